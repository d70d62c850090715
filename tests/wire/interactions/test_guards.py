"""Guards, trust and allowed origins (docs/wire/interactions.md §3, §9.6, §10)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.client import fresh
from wire.interactions.client import MINUTE_MS, PRIMARY, Dataset, new_device, now_ms
from wire.interactions.conftest import NewDataset


def _email() -> str:
    return f"{fresh('ann')}@acme.example"


# -- conflictBlocksMerge ------------------------------------------------------------------------------------


def test_two_users_with_different_keys_of_a_guarded_type_are_not_merged(web: Dataset) -> None:
    email, now = _email(), now_ms()
    one, two = fresh("acc"), fresh("acc")
    first = web.named(at=now - 30 * MINUTE_MS, accountNumber=one, emailAddress=email)
    second = web.named(at=now - 20 * MINUTE_MS, accountNumber=two)
    assert web.named(accountNumber=two, emailAddress=email) == second
    assert web.survivor(first) == first
    assert web.values(first) == {"accountNumber": one, "emailAddress": email}
    assert web.values(second) == {"accountNumber": two}


def test_a_refusal_is_listed_in_its_own_dataset(web: Dataset) -> None:
    def listed(**which: str) -> dict[str, int]:
        counts: dict[str, int] = web.org.admin("GET", "/refusals", params=which).json()["counts"]
        return counts

    email, elsewhere = _email(), listed()
    before = listed(dataset=web.name).get("conflicting_identity", 0)
    web.named(accountNumber=fresh("acc"), emailAddress=email)
    web.named(accountNumber=fresh("acc"), emailAddress=email)
    assert listed(dataset=web.name)["conflicting_identity"] == before + 1
    assert listed() == elsewhere
    assert web.org.admin("GET", "/refusals", params={"dataset": "nowhere"}).status_code == 404


def test_a_pair_that_was_passed_over_is_not_in_the_token(web: Dataset) -> None:
    email, loyalty = _email(), fresh("L")
    holder = web.named(accountNumber=fresh("acc"), emailAddress=email)
    page = web.page()
    user = page.send(identities={"accountNumber": fresh("acc"), "emailAddress": email})
    assert user != holder
    assert page.send(identities={"loyaltyId": loyalty}) == user
    assert web.resolve(emailAddress=email) == holder


def test_without_a_key_in_the_set_the_most_recently_active_is_used_alone(web: Dataset) -> None:
    email, loyalty, now = _email(), fresh("L"), now_ms()
    first = web.named(at=now - 30 * MINUTE_MS, accountNumber=fresh("acc"), emailAddress=email)
    second = web.named(at=now - 20 * MINUTE_MS, accountNumber=fresh("acc"), loyaltyId=loyalty)
    assert web.named(emailAddress=email, loyaltyId=loyalty) == second
    assert web.survivor(first) == first
    assert web.resolve(emailAddress=email) == first


def test_one_without_such_a_key_is_merged(web: Dataset) -> None:
    email, account, now = _email(), fresh("acc"), now_ms()
    first = web.named(at=now - 30 * MINUTE_MS, accountNumber=account)
    second = web.named(at=now - 20 * MINUTE_MS, emailAddress=email)
    assert web.named(accountNumber=account, emailAddress=email) == second
    assert web.survivor(first) == second


def test_those_compatible_with_the_first_are_still_merged(web: Dataset) -> None:
    now, one, email, loyalty = now_ms(), fresh("acc"), _email(), fresh("L")
    first = web.named(at=now - 10 * MINUTE_MS, accountNumber=one)
    other = web.named(at=now - 20 * MINUTE_MS, accountNumber=fresh("acc"), emailAddress=email)
    compatible = web.named(at=now - 30 * MINUTE_MS, loyaltyId=loyalty)
    assert web.named(accountNumber=one, emailAddress=email, loyaltyId=loyalty) == first
    assert web.survivor(compatible) == first
    assert web.survivor(other) == other


def test_an_anonymous_profile_is_always_folded_in(web: Dataset) -> None:
    page = web.page()
    page.send()
    user = page.send(identities={"accountNumber": fresh("acc")})
    assert web.survivor(page.device) == user


def test_a_refusal_is_recorded_and_told(web: Dataset) -> None:
    email = _email()
    first = web.named(accountNumber=fresh("acc"), emailAddress=email)
    user = {"identities": {"accountNumber": fresh("acc"), "emailAddress": email}}
    answer = web.send({"user": user, "explain": True}, endpoint="authevent")
    assert answer["resolvedUserId"] != first
    assert "conflicting_identity" in str(answer["eventDetails"])


# -- channelIdentityConflict --------------------------------------------------------------------------------


def test_two_customer_numbers_are_two_people(web: Dataset) -> None:
    """Two customers who share an e-mail address, or a browser where a stranger types somebody's address."""
    email, one, two = _email(), fresh("w"), fresh("w")
    first = web.named(webId=one, emailAddress=email)
    user = {"id": two, "identities": {"emailAddress": email}}
    answer = web.send({"user": user, "explain": True}, endpoint="authevent")
    assert answer["resolvedUserId"] != first
    assert "conflicting_identity" in answer["eventDetails"]["refusals"]
    assert web.values(first) == {"webId": one, "emailAddress": email}
    assert web.values(answer["resolvedUserId"]) == {"webId": two}
    assert web.resolve(emailAddress=email) == first


def test_an_address_without_a_customer_number_gets_one(web: Dataset) -> None:
    email, web_id = _email(), fresh("w")
    first = web.named(emailAddress=email)
    assert web.named(webId=web_id, emailAddress=email) == first
    assert web.values(first) == {"webId": web_id, "emailAddress": email}


def test_a_customer_can_change_the_address(web: Dataset) -> None:
    """An opened e-mail is named by the address: it is not the customer number."""
    web_id, new = fresh("w"), _email()
    first = web.named(webId=web_id, emailAddress=_email())
    assert web.named(webId=web_id, emailAddress=new) == first
    assert web.values(first)["emailAddress"] == new


def test_every_channel_s_customer_number_keeps_people_apart(web: Dataset) -> None:
    email = _email()
    first = web.server(id=fresh("c"), identities={"emailAddress": email})["resolvedUserId"]
    assert web.server(id=fresh("c"), identities={"emailAddress": email})["resolvedUserId"] != first


def test_another_type_does_not_keep_people_apart(web: Dataset) -> None:
    email, loyalty = _email(), fresh("L")
    first = web.named(loyaltyId=fresh("L"), emailAddress=email)
    assert web.named(loyaltyId=loyalty, emailAddress=email) == first
    assert web.values(first)["loyaltyId"] == loyalty


def test_with_replace_the_newer_customer_number_stands(replacing: Dataset) -> None:
    email, one, two = _email(), fresh("w"), fresh("w")
    first = replacing.named(webId=one, emailAddress=email)
    assert replacing.named(webId=two, emailAddress=email) == first
    assert replacing.values(first)["webId"] == two
    assert replacing.resolve(webId=one) is None


def test_the_setting_applies_from_the_next_event_on(new_dataset: NewDataset) -> None:
    web, email = new_dataset(), _email()
    first = web.named(webId=fresh("w"), emailAddress=email)
    assert web.named(webId=fresh("w"), emailAddress=email) != first
    change = {"channel_identity_conflict": "replace"}
    assert web.org.admin("PATCH", f"/datasets/{web.name}", change).status_code == 200
    assert web.named(webId=fresh("w"), emailAddress=email) == first


# -- trustedOnly --------------------------------------------------------------------------------------------


def test_an_untrusted_source_cannot_use_a_trusted_only_value(web: Dataset) -> None:
    key = fresh("k")
    holder = web.server(identities={"crmKey": key})["resolvedUserId"]
    assert PRIMARY.fullmatch(holder)
    page = web.page()
    assert page.send(identities={"crmKey": key}) == page.device
    assert "persistedUserId" not in page.answer
    unknown = fresh("k")
    user = page.send(id=fresh("w"), identities={"crmKey": unknown})
    assert web.resolve(crmKey=unknown) is None
    assert web.survivor(holder) == holder != user


@pytest.mark.parametrize(
    ("endpoint", "channel"), [("event", "Server"), ("authevent", "Web"), ("authevent", None)]
)
def test_only_the_authenticated_server_channel_is_trusted(
    web: Dataset, endpoint: str, channel: str | None
) -> None:
    key = fresh("k")
    holder = web.server(identities={"crmKey": key})["resolvedUserId"]
    event = {
        "user": {"anonymousId": new_device(), "identities": {"crmKey": key}},
        "source": {"channel": channel},
    }
    assert web.send(event, endpoint=endpoint)["resolvedUserId"] != holder


def test_from_a_trusted_source_it_matches(web: Dataset) -> None:
    key, email = fresh("k"), _email()
    holder = web.server(identities={"crmKey": key})["resolvedUserId"]
    assert web.server(identities={"crmKey": key, "emailAddress": email})["resolvedUserId"] == holder
    assert web.page().send(identities={"emailAddress": email}) == holder


# -- tiers --------------------------------------------------------------------------------------------------


def test_timestamp_the_later_identity_wins_whatever_the_tier(web: Dataset) -> None:
    web_id, trusted, later = fresh("w"), _email(), _email()
    user = web.server(identities={"webId": web_id, "emailAddress": trusted})["resolvedUserId"]
    assert web.named(webId=web_id, emailAddress=later) == user
    assert web.values(user)["emailAddress"] == later
    assert web.resolve(emailAddress=trusted) is None


def test_tiered_a_trusted_identity_stands(new_dataset: NewDataset) -> None:
    web = new_dataset(identity_trust="tiered")
    web_id, trusted, later = fresh("w"), _email(), _email()
    user = web.server(identities={"webId": web_id, "emailAddress": trusted})["resolvedUserId"]
    assert web.named(webId=web_id, emailAddress=later) == user
    assert web.values(user)["emailAddress"] == trusted
    assert web.resolve(emailAddress=later) is None
    newer = _email()
    assert web.server(identities={"webId": web_id, "emailAddress": newer})["resolvedUserId"] == user
    assert web.values(user)["emailAddress"] == newer


def test_tiered_within_a_tier_the_later_wins(new_dataset: NewDataset) -> None:
    web = new_dataset(identity_trust="tiered")
    web_id, one, two = fresh("w"), _email(), _email()
    user = web.named(webId=web_id, emailAddress=one)
    assert web.named(webId=web_id, emailAddress=two) == user
    assert web.values(user)["emailAddress"] == two


def test_tiered_an_older_trusted_value_replaces_a_newer_untrusted_one(new_dataset: NewDataset) -> None:
    web, now = new_dataset(identity_trust="tiered"), now_ms()
    web_id, page_s, server_s = fresh("w"), _email(), _email()
    user = web.named(at=now - MINUTE_MS, webId=web_id, emailAddress=page_s)
    web.server(at=now - 60 * MINUTE_MS, identities={"webId": web_id, "emailAddress": server_s})
    assert web.values(user)["emailAddress"] == server_s


def test_tiered_an_identity_that_may_not_be_written_still_matches(new_dataset: NewDataset) -> None:
    web, now = new_dataset(identity_trust="tiered"), now_ms()
    web_id, mine, hers = fresh("w"), _email(), _email()
    first = web.server(at=now - 30 * MINUTE_MS, identities={"webId": web_id, "emailAddress": mine})[
        "resolvedUserId"
    ]
    second = web.named(at=now - 20 * MINUTE_MS, emailAddress=hers)
    web.named(webId=web_id, emailAddress=hers)
    assert web.survivor(first) == web.survivor(second)
    assert web.values(first)["emailAddress"] == mine


@pytest.mark.parametrize("trust", ["timestamp", "tiered"])
def test_a_plain_trusted_value_stands_over_an_untrusted_one(tenant: Any, trust: str) -> None:
    from wire.interactions.conftest import configure

    org = tenant()
    assert org.admin("PATCH", "/datasets/default", {"identity_trust": trust}).status_code == 200
    web = configure(org, "default")
    org.trait(key="favColour")
    web_id = fresh("w")
    user = web.named(webId=web_id)
    web.page().send(id=web_id, attributes={"favColour": "page"})
    web.server(identities={"webId": web_id}, attributes={"favColour": "server"})
    assert web.values(user)["favColour"] == "server"
    web.page().send(id=web_id, attributes={"favColour": "page again"})
    assert web.values(user)["favColour"] == "server"
    web.server(identities={"webId": web_id}, attributes={"favColour": "server again"})
    assert web.values(user)["favColour"] == "server again"


# -- what a script on a foreign page can do -----------------------------------------------------------------


def test_this_wire_binds_no_user_id(default: Dataset, shop: Any) -> None:
    subject = fresh("u")
    theirs = shop.create({"user_id": subject})["profile_id"]
    page = default.page()
    for said in ({"id": subject}, {"attributes": {"user_id": subject}}, {"identities": {"user_id": subject}}):
        user = page.send(**said)
        assert default.profile(user)["profile_id"] != theirs
        assert "user_id" not in default.profile(user)


# -- origins ------------------------------------------------------------------------------------------------


def test_any_origin_is_answered_unless_the_dataset_lists_some(new_dataset: NewDataset) -> None:
    web = new_dataset(allowed_origins=["https://www.acme.example"])
    event = {"user": {"anonymousId": new_device()}}
    good = web.ask(event, headers={"Origin": "https://www.acme.example"})
    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == "https://www.acme.example"
    email = _email()
    foreign = {"user": {"anonymousId": new_device(), "identities": {"emailAddress": email}}}
    for encoding in ("json", "get"):
        bad = web.ask(foreign, encoding, headers={"Origin": "https://evil.example"})
        assert bad.status_code == 403
        assert bad.json()["errorCode"] == 5
    assert web.resolve(emailAddress=email) is None
    assert web.user(foreign["user"]["anonymousId"]) is None
    server = web.ask(event, endpoint="authevent")
    assert server.status_code == 200
