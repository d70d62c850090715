"""One browser and one person on two wires; tenants and datasets stay apart (docs/wire/interactions.md §6)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.browser import Browser, WebApplication, new_person, register, sign_in
from wire.client import Cds, fresh, refused, tracker_of
from wire.interactions.client import PRIMARY, Dataset, new_device, warnings_of
from wire.interactions.conftest import NewDataset


def _email() -> str:
    return f"{fresh('ann')}@acme.example"


def _cds_profile(org: Cds, tracker: str) -> str:
    """The profile that the CDS wire finds behind a tracker."""
    answer = org.post("/profiles", {}, tracker=tracker)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["profile_id"])


# -- the tracker --------------------------------------------------------------------------------------------


def test_a_tracker_is_answered_only_when_sent_or_asked_for(default: Dataset) -> None:
    device = new_device()
    assert "anonymousProfileTracker" not in default.send({"user": {"anonymousId": device}})
    answer = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": ""}})
    tracker = answer["anonymousProfileTracker"]
    assert tracker
    again = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": tracker}})
    assert again["anonymousProfileTracker"] == tracker
    assert again["resolvedUserId"] == device


def test_a_tracker_alone_names_the_browser(default: Dataset) -> None:
    device = new_device()
    tracker = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": ""}})[
        "anonymousProfileTracker"
    ]
    again = default.send({"user": {"anonymousProfileTracker": tracker}})["resolvedUserId"]
    assert default.profile(again)["profile_id"] == default.profile(device)["profile_id"]
    assert len(default.events(device)) == 2


def test_a_tracker_of_this_wire_is_good_on_the_cds_wire(default: Dataset, shop: Cds) -> None:
    device = new_device()
    tracker = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": ""}})[
        "anonymousProfileTracker"
    ]
    assert _cds_profile(shop, tracker) == default.profile(device)["profile_id"]


def test_a_tracker_of_the_cds_wire_joins_its_profile(default: Dataset, shop: Cds) -> None:
    made = shop.post("/profiles", {"traits": {"favColour": "red"}})
    tracker, device = tracker_of(made), new_device()
    answer = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": tracker}})
    assert answer["anonymousProfileTracker"] == tracker
    assert default.profile(answer["resolvedUserId"])["profile_id"] == made.json()["profile_id"]
    assert default.values(answer["resolvedUserId"])["favColour"] == "red"


def test_two_anonymous_profiles_of_one_browser_are_joined(default: Dataset, shop: Cds) -> None:
    device = new_device()
    default.send({"user": {"anonymousId": device}})
    before = default.profile(device)["profile_id"]
    made = shop.post("/profiles", {})
    answer = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": tracker_of(made)}})
    one = default.profile(answer["resolvedUserId"])["profile_id"]
    assert one in (before, made.json()["profile_id"])
    assert default.profile(device)["profile_id"] == one
    for each in (before, made.json()["profile_id"]):
        found = shop.read(each)
        assert found.get("merged_to", found)["profile_id"] == one


def test_an_identity_beside_a_tracker_names_the_cds_profile(default: Dataset, shop: Cds) -> None:
    made = shop.post("/profiles", {})
    web_id = fresh("w")
    user = default.send({"user": {"anonymousProfileTracker": tracker_of(made), "id": web_id}})[
        "resolvedUserId"
    ]
    assert PRIMARY.fullmatch(user)
    assert default.profile(user)["profile_id"] == made.json()["profile_id"]
    assert default.resolve(webId=web_id) == user


@pytest.mark.parametrize("tracker", ["nobody", "0" * 64, "x" * 500, "☕", "a b"], ids=lambda t: t[:10])
def test_a_made_up_tracker_merges_nothing(default: Dataset, tracker: str) -> None:
    device = new_device()
    answer = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": tracker}})
    assert answer["resolvedUserId"] == device
    assert answer["anonymousProfileTracker"] != tracker


def test_the_tracker_of_another_organisation_merges_nothing(default: Dataset, other: Cds) -> None:
    tracker, device = tracker_of(other.post("/profiles", {})), new_device()
    answer = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": tracker}})
    assert answer["resolvedUserId"] == device
    assert answer["anonymousProfileTracker"] != tracker


# -- one person across wires --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def accounts(shop: Cds) -> WebApplication:
    """The shop's web application, where people register."""
    from wire.browser import CALLBACK

    body = {
        "name": fresh("shop"),
        "kind": "web",
        "redirect_uris": [CALLBACK],
        "permissions": ["internal_cds_profile_view", "internal_cds_profile_update"],
    }
    made = shop.admin("POST", "/applications", body)
    assert made.status_code == 201, made.text
    return WebApplication(shop.base_url, shop.org, made.json()["client_id"], made.json()["client_secret"])


def _subject(tokens: dict[str, Any]) -> str:
    import base64
    import json

    part = tokens["access_token"].split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["sub"])


def test_a_click_a_registration_and_a_server_event_are_one_profile(
    default: Dataset, shop: Cds, accounts: WebApplication
) -> None:
    page, browser, person = default.page(), Browser(shop.base_url), new_person(fresh("ann"))
    page.send(anonymousProfileTracker="")
    tracker = page.answer["anonymousProfileTracker"]
    by_click = page.send(identities={"emailAddress": person["email"]}, anonymousProfileTracker=tracker)
    one = default.profile(by_click)["profile_id"]

    subject = _subject(register(browser, accounts, person, anonymous_profile_tracker=tracker))
    known = shop.read(one)
    assert known["user_id"] == subject
    assert "merged_to" not in known

    customer = fresh("c")
    server = default.server(id=customer, identities={"emailAddress": person["email"]})["resolvedUserId"]
    assert default.profile(server)["profile_id"] == one
    assert default.profile(server)["user_id"] == subject

    elsewhere = Browser(shop.base_url)
    sign_in(elsewhere, accounts, person)
    assert default.page().send(identities={"customerId": customer}) == server
    assert default.values(server)["emailAddress"] == person["email"]
    assert len(default.events(server)) == 4
    browser.close()
    elsewhere.close()


def test_a_registered_user_outranks_an_unregistered_one(default: Dataset, shop: Cds) -> None:
    email, subject = _email(), fresh("u")
    page = default.page()
    page.send(anonymousProfileTracker="", id=fresh("w"))
    tracker = page.answer["anonymousProfileTracker"]
    registered = page.answer["resolvedUserId"]
    profile_id = default.profile(registered)["profile_id"]
    shop.write(profile_id, {"user_id": subject})
    later = default.named(emailAddress=email)
    assert page.send(identities={"emailAddress": email}, anonymousProfileTracker=tracker) == registered
    assert default.survivor(later) == registered


def test_two_user_ids_are_never_merged(default: Dataset, shop: Cds) -> None:
    web_id, email = fresh("w"), _email()
    users = [default.named(webId=web_id), default.named(emailAddress=email)]
    profiles = [default.profile(each)["profile_id"] for each in users]
    for each in profiles:
        shop.write(each, {"user_id": fresh("u")})
    answer = default.send(
        {"user": {"id": web_id, "identities": {"emailAddress": email}}, "explain": True}, endpoint="authevent"
    )
    assert answer["resolvedUserId"] in users
    assert [default.survivor(each) for each in users] == users
    assert default.resolve(webId=web_id) == users[0]
    assert default.resolve(emailAddress=email) == users[1]
    listed = shop.admin("GET", "/refusals", params={"code": "different_user"}).json()["refusals"]
    assert any(set(each["profiles"]) == set(profiles) for each in listed)
    assert warnings_of(answer) is not None


def test_an_absorbed_user_s_primary_id_answers_on_the_cds_wire_s_reads(default: Dataset, shop: Cds) -> None:
    web_id, email = fresh("w"), _email()
    one, two = default.named(webId=web_id), default.named(emailAddress=email)
    ids = [default.profile(each)["profile_id"] for each in (one, two)]
    survivor = default.profile(default.named(webId=web_id, emailAddress=email))["profile_id"]
    for each in ids:
        found = shop.read(each)
        assert found.get("merged_to", found)["profile_id"] == survivor


# -- tenants and datasets -----------------------------------------------------------------------------------


def test_two_tenants_with_the_same_identities_stay_separate(web: Dataset, other_tenant: Dataset) -> None:
    assert web.name == other_tenant.name
    web_id, email, device = fresh("w"), _email(), new_device()
    for each in (web, other_tenant):
        each.send({"user": {"anonymousId": device}})
    users = [each.named(device=device, webId=web_id, emailAddress=email) for each in (web, other_tenant)]
    assert users[0] != users[1]
    for each, mine, theirs in ((web, *users), (other_tenant, *users[::-1])):
        assert each.resolve(webId=web_id) == each.survivor(device) == mine
        assert each.user(theirs) is None
        assert len(each.events(mine)) == 2


def test_two_datasets_of_one_organisation_stay_separate(web: Dataset, new_dataset: NewDataset) -> None:
    second = new_dataset()
    web_id = fresh("w")
    one, two = web.named(webId=web_id), second.named(webId=web_id)
    assert one != two
    assert web.user(two) is None
    assert second.user(one) is None


def test_users_of_other_organisations_are_not_found(web: Dataset, other: Cds) -> None:
    user = web.named(webId=fresh("w"))
    path = f"/t/{web.org.org}/api/dataset/{web.name}/user/{user}"
    for auth in ((other.client_id, other.client_secret), None):
        assert web.request("GET", path, auth=auth).status_code == 401
    answer = web.org.admin("GET", f"/datasets/{web.name}/profiles/{user}", token=other.token())
    refused(answer, 401, "CDS-10002")
