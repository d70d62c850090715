"""One person on two wires; organisations and datasets are separate (docs/wire/interactions.md §6)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from wire.browser import CALLBACK, Browser, WebApplication, new_person, register, sign_in
from wire.client import Cds, assert_error, fresh, tracker_of
from wire.interactions.client import PRIMARY, Dataset, new_device
from wire.interactions.conftest import NewDataset


def _email() -> str:
    return f"{fresh('ann')}@acme.example"


def _cds_profile(org: Cds, tracker: str) -> str:
    """The profile of a tracker on the CDS wire."""
    answer = org.post("/profiles", {}, tracker=tracker)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["profile_id"])


# -- the tracker --------------------------------------------------------------------------------------------


def test_a_tracker_is_returned_only_if_requested(default: Dataset) -> None:
    device = new_device()
    assert "anonymousProfileTracker" not in default.send({"user": {"anonymousId": device}})
    answer = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": ""}})
    tracker = answer["anonymousProfileTracker"]
    assert tracker
    repeated = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": tracker}})
    assert repeated["anonymousProfileTracker"] == tracker
    assert repeated["resolvedUserId"] == device


def test_a_tracker_alone_identifies_the_browser(default: Dataset) -> None:
    device = new_device()
    tracker = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": ""}})[
        "anonymousProfileTracker"
    ]
    repeated = default.send({"user": {"anonymousProfileTracker": tracker}})["resolvedUserId"]
    assert default.profile(repeated)["profile_id"] == default.profile(device)["profile_id"]
    assert len(default.events(device)) == 2


def test_a_tracker_of_the_event_wire_is_valid_on_the_cds_wire(default: Dataset, shop: Cds) -> None:
    device = new_device()
    tracker = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": ""}})[
        "anonymousProfileTracker"
    ]
    assert _cds_profile(shop, tracker) == default.profile(device)["profile_id"]


def test_a_tracker_of_the_cds_wire_resolves_to_its_profile(default: Dataset, shop: Cds) -> None:
    created = shop.post("/profiles", {"traits": {"favColour": "red"}})
    tracker, device = tracker_of(created), new_device()
    answer = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": tracker}})
    assert answer["anonymousProfileTracker"] == tracker
    assert default.profile(answer["resolvedUserId"])["profile_id"] == created.json()["profile_id"]
    assert default.values(answer["resolvedUserId"])["favColour"] == "red"


def test_two_anonymous_profiles_of_one_browser_merge(default: Dataset, shop: Cds) -> None:
    device = new_device()
    default.send({"user": {"anonymousId": device}})
    before = default.profile(device)["profile_id"]
    created = shop.post("/profiles", {})
    answer = default.send({"user": {"anonymousId": device, "anonymousProfileTracker": tracker_of(created)}})
    one = default.profile(answer["resolvedUserId"])["profile_id"]
    assert one in (before, created.json()["profile_id"])
    assert default.profile(device)["profile_id"] == one
    for profile_id in (before, created.json()["profile_id"]):
        found = shop.read(profile_id, view="all")
        assert found.get("merged_to", found)["profile_id"] == one
        assert "merged_to" not in shop.read(profile_id)


def test_an_identity_with_a_tracker_is_stored_on_the_cds_profile(default: Dataset, shop: Cds) -> None:
    created = shop.post("/profiles", {})
    web_id = fresh("w")
    user = default.send({"user": {"anonymousProfileTracker": tracker_of(created), "id": web_id}})[
        "resolvedUserId"
    ]
    assert PRIMARY.fullmatch(user)
    assert default.profile(user)["profile_id"] == created.json()["profile_id"]
    assert default.resolve(webId=web_id) == user


@pytest.mark.parametrize("tracker", ["unknown", "0" * 64, "x" * 500, "☕", "a b"], ids=lambda t: t[:10])
def test_an_unknown_tracker_merges_nothing(default: Dataset, tracker: str) -> None:
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
    """A web application of the shop, for registration."""
    body = {
        "name": fresh("shop"),
        "kind": "web",
        "redirect_uris": [CALLBACK],
        "permissions": ["internal_cds_profile_view", "internal_cds_profile_update"],
    }
    created = shop.admin("POST", "/applications", body)
    assert created.status_code == 201, created.text
    return WebApplication(
        shop.base_url, shop.org, created.json()["client_id"], created.json()["client_secret"]
    )


def _subject(tokens: dict[str, Any]) -> str:
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
    profile = shop.read(one)
    assert profile["user_id"] == subject
    assert "merged_to" not in profile

    customer = fresh("c")
    server = default.server_event(id=customer, identities={"emailAddress": person["email"]})["resolvedUserId"]
    assert "user_id" not in default.profile(server), "nobody has verified the address yet"
    verified = shop.admin("PATCH", f"/users/{subject}", {"email_verified": True})
    assert verified.status_code == 200, verified.text
    assert default.profile(server)["profile_id"] == one
    assert default.profile(server)["user_id"] == subject

    second_browser = Browser(shop.base_url)
    sign_in(second_browser, accounts, person)
    assert default.page().send(identities={"customerId": customer}) == default.survivor(server)
    assert default.values(server)["emailAddress"] == person["email"]
    assert len(default.events(server)) == 4
    browser.close()
    second_browser.close()


def test_a_registered_user_survives_an_unregistered_one(default: Dataset, shop: Cds) -> None:
    email, subject = _email(), fresh("u")
    page = default.page()
    page.send(anonymousProfileTracker="", id=fresh("w"))
    tracker = page.answer["anonymousProfileTracker"]
    registered = page.answer["resolvedUserId"]
    profile_id = default.profile(registered)["profile_id"]
    shop.write(profile_id, {"user_id": subject})
    later = default.identify(emailAddress=email)
    assert page.send(identities={"emailAddress": email}, anonymousProfileTracker=tracker) == registered
    assert default.survivor(later) == registered


def test_two_user_ids_are_never_merged(default: Dataset, shop: Cds) -> None:
    web_id, email = fresh("w"), _email()
    users = [default.identify(webId=web_id), default.identify(emailAddress=email)]
    profiles = [default.profile(user)["profile_id"] for user in users]
    for profile_id in profiles:
        shop.write(profile_id, {"user_id": fresh("u")})
    answer = default.send(
        {"user": {"id": web_id, "identities": {"emailAddress": email}}, "explain": True}, endpoint="authevent"
    )
    assert answer["resolvedUserId"] in users
    assert [default.survivor(user) for user in users] == users
    assert default.resolve(webId=web_id) == users[0]
    assert default.resolve(emailAddress=email) == users[1]
    params = {"code": "different_user", "view": "all"}
    listed = shop.admin("GET", "/refusals", params=params).json()["refusals"]
    assert any(set(entry["profiles"]) == set(profiles) for entry in listed)
    assert "different_user" in str(answer["eventDetails"])


def test_absorbed_users_point_to_the_survivor_on_the_cds_wire(default: Dataset, shop: Cds) -> None:
    web_id, email = fresh("w"), _email()
    one, two = default.identify(webId=web_id), default.identify(emailAddress=email)
    ids = [default.profile(user)["profile_id"] for user in (one, two)]
    survivor = default.profile(default.identify(webId=web_id, emailAddress=email))["profile_id"]
    for profile_id in ids:
        found = shop.read(profile_id, view="all")
        assert found.get("merged_to", found)["profile_id"] == survivor


# -- tenants and datasets -----------------------------------------------------------------------------------


def test_two_tenants_with_the_same_identities_stay_separate(web: Dataset, other_tenant: Dataset) -> None:
    assert web.name == other_tenant.name
    web_id, email, device = fresh("w"), _email(), new_device()
    datasets = (web, other_tenant)
    for dataset in datasets:
        dataset.send({"user": {"anonymousId": device}})
    users = [dataset.identify(device=device, webId=web_id, emailAddress=email) for dataset in datasets]
    assert users[0] != users[1]
    for dataset, own, other in ((web, *users), (other_tenant, *users[::-1])):
        assert dataset.resolve(webId=web_id) == dataset.survivor(device) == own
        assert dataset.user(other) is None
        assert len(dataset.events(own)) == 2


def test_two_datasets_of_one_organisation_stay_separate(web: Dataset, new_dataset: NewDataset) -> None:
    second = new_dataset()
    web_id = fresh("w")
    one, two = web.identify(webId=web_id), second.identify(webId=web_id)
    assert one != two
    assert web.user(two) is None
    assert second.user(one) is None


def test_users_of_other_organisations_are_not_found(web: Dataset, other: Cds) -> None:
    user = web.identify(webId=fresh("w"))
    path = f"/t/{web.org.org}/api/dataset/{web.name}/user/{user}"
    for auth in ((other.client_id, other.client_secret), None):
        assert web.request("GET", path, auth=auth).status_code == 401
    answer = web.org.admin("GET", f"/datasets/{web.name}/profiles/{user}", token=other.token())
    assert_error(answer, 401, "CDS-10002")
