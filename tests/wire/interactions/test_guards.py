"""Merge guards, trust and allowed origins (docs/wire/interactions.md §3, §9.6, §10)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.client import fresh
from wire.interactions.client import MINUTE_MS, PRIMARY, Dataset, new_device, now_ms
from wire.interactions.conftest import NewDataset, configure


def _email() -> str:
    return f"{fresh('ann')}@acme.example"


# -- conflictBlocksMerge ------------------------------------------------------------------------------------


def test_two_users_with_different_keys_of_a_guarded_type_are_not_merged(web: Dataset) -> None:
    email, now = _email(), now_ms()
    one, two = fresh("acc"), fresh("acc")
    first = web.identify(at=now - 30 * MINUTE_MS, accountNumber=one, emailAddress=email)
    second = web.identify(at=now - 20 * MINUTE_MS, accountNumber=two)
    assert web.identify(accountNumber=two, emailAddress=email) == second
    assert web.survivor(first) == first
    assert web.values(first) == {"accountNumber": one, "emailAddress": email}
    assert web.values(second) == {"accountNumber": two}


def test_a_refusal_is_listed_for_its_dataset_only(web: Dataset) -> None:
    def listed(**query: str) -> dict[str, int]:
        counts: dict[str, int] = web.org.admin("GET", "/refusals", params={"view": "all", **query}).json()[
            "counts"
        ]
        return counts

    email, of_default_before = _email(), listed()
    before = listed(dataset=web.name).get("conflicting_identity", 0)
    web.identify(accountNumber=fresh("acc"), emailAddress=email)
    web.identify(accountNumber=fresh("acc"), emailAddress=email)
    assert listed(dataset=web.name)["conflicting_identity"] == before + 1
    assert listed() == of_default_before
    assert web.org.admin("GET", "/refusals", params={"dataset": "nowhere"}).status_code == 404


def test_a_skipped_identity_is_not_in_the_token(web: Dataset) -> None:
    email, loyalty = _email(), fresh("L")
    holder = web.identify(accountNumber=fresh("acc"), emailAddress=email)
    page = web.page()
    user = page.send(identities={"accountNumber": fresh("acc"), "emailAddress": email})
    assert user != holder
    assert page.send(identities={"loyaltyId": loyalty}) == user
    assert web.resolve(emailAddress=email) == holder


def test_without_a_guarded_identity_only_the_most_recent_user_is_used(web: Dataset) -> None:
    email, loyalty, now = _email(), fresh("L"), now_ms()
    first = web.identify(at=now - 30 * MINUTE_MS, accountNumber=fresh("acc"), emailAddress=email)
    second = web.identify(at=now - 20 * MINUTE_MS, accountNumber=fresh("acc"), loyaltyId=loyalty)
    assert web.identify(emailAddress=email, loyaltyId=loyalty) == second
    assert web.survivor(first) == first
    assert web.resolve(emailAddress=email) == first


def test_a_user_without_a_guarded_identity_is_merged(web: Dataset) -> None:
    email, account, now = _email(), fresh("acc"), now_ms()
    first = web.identify(at=now - 30 * MINUTE_MS, accountNumber=account)
    second = web.identify(at=now - 20 * MINUTE_MS, emailAddress=email)
    assert web.identify(accountNumber=account, emailAddress=email) == second
    assert web.survivor(first) == second


def test_users_without_a_conflict_are_still_merged(web: Dataset) -> None:
    now, one, email, loyalty = now_ms(), fresh("acc"), _email(), fresh("L")
    first = web.identify(at=now - 10 * MINUTE_MS, accountNumber=one)
    other = web.identify(at=now - 20 * MINUTE_MS, accountNumber=fresh("acc"), emailAddress=email)
    compatible = web.identify(at=now - 30 * MINUTE_MS, loyaltyId=loyalty)
    assert web.identify(accountNumber=one, emailAddress=email, loyaltyId=loyalty) == first
    assert web.survivor(compatible) == first
    assert web.survivor(other) == other


def test_a_guarded_identity_does_not_stop_the_merge_of_an_anonymous_profile(web: Dataset) -> None:
    page = web.page()
    page.send()
    user = page.send(identities={"accountNumber": fresh("acc")})
    assert web.survivor(page.device) == user


def test_a_refusal_is_in_the_event_details(web: Dataset) -> None:
    email = _email()
    first = web.identify(accountNumber=fresh("acc"), emailAddress=email)
    user = {"identities": {"accountNumber": fresh("acc"), "emailAddress": email}}
    answer = web.send({"user": user, "explain": True}, endpoint="authevent")
    assert answer["resolvedUserId"] != first
    assert "conflicting_identity" in str(answer["eventDetails"])


# -- channelIdentityConflict --------------------------------------------------------------------------------


def test_two_customer_numbers_are_two_users(web: Dataset) -> None:
    """Such as two customers with one e-mail address, or a visitor who enters the address of another."""
    email, one, two = _email(), fresh("w"), fresh("w")
    first = web.identify(webId=one, emailAddress=email)
    user = {"id": two, "identities": {"emailAddress": email}}
    answer = web.send({"user": user, "explain": True}, endpoint="authevent")
    assert answer["resolvedUserId"] != first
    assert "conflicting_identity" in answer["eventDetails"]["refusals"]
    assert web.values(first) == {"webId": one, "emailAddress": email}
    assert web.values(answer["resolvedUserId"]) == {"webId": two}
    assert web.resolve(emailAddress=email) == first


def test_a_user_without_a_customer_number_gets_one(web: Dataset) -> None:
    email, web_id = _email(), fresh("w")
    first = web.identify(emailAddress=email)
    assert web.identify(webId=web_id, emailAddress=email) == first
    assert web.values(first) == {"webId": web_id, "emailAddress": email}


def test_another_address_replaces_the_address(web: Dataset) -> None:
    """The e-mail address is not the channel identity, so another address replaces it."""
    web_id, new = fresh("w"), _email()
    first = web.identify(webId=web_id, emailAddress=_email())
    assert web.identify(webId=web_id, emailAddress=new) == first
    assert web.values(first)["emailAddress"] == new


def test_the_channel_identity_of_another_channel_keeps_users_apart(web: Dataset) -> None:
    email = _email()
    first = web.server_event(id=fresh("c"), identities={"emailAddress": email})["resolvedUserId"]
    assert web.server_event(id=fresh("c"), identities={"emailAddress": email})["resolvedUserId"] != first


def test_another_identity_type_does_not_keep_users_apart(web: Dataset) -> None:
    email, loyalty = _email(), fresh("L")
    first = web.identify(loyaltyId=fresh("L"), emailAddress=email)
    assert web.identify(loyaltyId=loyalty, emailAddress=email) == first
    assert web.values(first)["loyaltyId"] == loyalty


def test_with_replace_the_newer_customer_number_is_kept(replacing: Dataset) -> None:
    email, one, two = _email(), fresh("w"), fresh("w")
    first = replacing.identify(webId=one, emailAddress=email)
    assert replacing.identify(webId=two, emailAddress=email) == first
    assert replacing.values(first)["webId"] == two
    assert replacing.resolve(webId=one) is None


def test_a_changed_setting_applies_from_the_next_event(new_dataset: NewDataset) -> None:
    web, email = new_dataset(), _email()
    first = web.identify(webId=fresh("w"), emailAddress=email)
    assert web.identify(webId=fresh("w"), emailAddress=email) != first
    change = {"channel_identity_conflict": "replace"}
    assert web.org.admin("PATCH", f"/datasets/{web.name}", change).status_code == 200
    assert web.identify(webId=fresh("w"), emailAddress=email) == first


# -- trustedOnly --------------------------------------------------------------------------------------------


def test_an_untrusted_source_cannot_use_a_trusted_only_value(web: Dataset) -> None:
    key = fresh("k")
    holder = web.server_event(identities={"crmKey": key})["resolvedUserId"]
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
    holder = web.server_event(identities={"crmKey": key})["resolvedUserId"]
    event = {
        "user": {"anonymousId": new_device(), "identities": {"crmKey": key}},
        "source": {"channel": channel},
    }
    assert web.send(event, endpoint=endpoint)["resolvedUserId"] != holder


def test_a_trusted_only_value_from_a_trusted_source_matches(web: Dataset) -> None:
    key, email = fresh("k"), _email()
    holder = web.server_event(identities={"crmKey": key})["resolvedUserId"]
    assert web.server_event(identities={"crmKey": key, "emailAddress": email})["resolvedUserId"] == holder
    assert web.page().send(identities={"emailAddress": email}) == holder


# -- tiers --------------------------------------------------------------------------------------------------


def test_timestamp_the_later_identity_replaces_a_trusted_one(new_dataset: NewDataset) -> None:
    web = new_dataset(identity_trust="timestamp")
    web_id, trusted, later = fresh("w"), _email(), _email()
    user = web.server_event(identities={"webId": web_id, "emailAddress": trusted})["resolvedUserId"]
    assert web.identify(webId=web_id, emailAddress=later) == user
    assert web.values(user)["emailAddress"] == later
    assert web.resolve(emailAddress=trusted) is None


def test_an_untrusted_identity_does_not_replace_a_trusted_one(web: Dataset) -> None:
    """A new dataset has `identity_trust: tiered`."""
    web_id, trusted, later = fresh("w"), _email(), _email()
    user = web.server_event(identities={"webId": web_id, "emailAddress": trusted})["resolvedUserId"]
    assert web.identify(webId=web_id, emailAddress=later) == user
    assert web.values(user)["emailAddress"] == trusted
    assert web.resolve(emailAddress=later) is None
    newer = _email()
    assert web.server_event(identities={"webId": web_id, "emailAddress": newer})["resolvedUserId"] == user
    assert web.values(user)["emailAddress"] == newer


def test_tiered_the_later_of_two_untrusted_identities_is_kept(new_dataset: NewDataset) -> None:
    web = new_dataset(identity_trust="tiered")
    web_id, one, two = fresh("w"), _email(), _email()
    user = web.identify(webId=web_id, emailAddress=one)
    assert web.identify(webId=web_id, emailAddress=two) == user
    assert web.values(user)["emailAddress"] == two


def test_tiered_an_older_trusted_value_replaces_a_newer_untrusted_one(new_dataset: NewDataset) -> None:
    web, now = new_dataset(identity_trust="tiered"), now_ms()
    web_id, from_page, from_server = fresh("w"), _email(), _email()
    user = web.identify(at=now - MINUTE_MS, webId=web_id, emailAddress=from_page)
    web.server_event(at=now - 60 * MINUTE_MS, identities={"webId": web_id, "emailAddress": from_server})
    assert web.values(user)["emailAddress"] == from_server


def test_tiered_an_identity_that_is_not_stored_still_matches(new_dataset: NewDataset) -> None:
    web, now = new_dataset(identity_trust="tiered"), now_ms()
    web_id, trusted, untrusted = fresh("w"), _email(), _email()
    first = web.server_event(at=now - 30 * MINUTE_MS, identities={"webId": web_id, "emailAddress": trusted})[
        "resolvedUserId"
    ]
    second = web.identify(at=now - 20 * MINUTE_MS, emailAddress=untrusted)
    web.identify(webId=web_id, emailAddress=untrusted)
    assert web.survivor(first) == web.survivor(second)
    assert web.values(first)["emailAddress"] == trusted


@pytest.mark.parametrize("trust", ["timestamp", "tiered"])
def test_an_untrusted_value_does_not_replace_a_trusted_one(tenant: Any, trust: str) -> None:
    org = tenant()
    assert org.admin("PATCH", "/datasets/default", {"identity_trust": trust}).status_code == 200
    web = configure(org, "default")
    org.trait(key="favColour")
    web_id = fresh("w")
    user = web.identify(webId=web_id)
    web.page().send(id=web_id, attributes={"favColour": "page"})
    web.server_event(identities={"webId": web_id}, attributes={"favColour": "server"})
    assert web.values(user)["favColour"] == "server"
    web.page().send(id=web_id, attributes={"favColour": "page again"})
    assert web.values(user)["favColour"] == "server"
    web.server_event(identities={"webId": web_id}, attributes={"favColour": "server again"})
    assert web.values(user)["favColour"] == "server again"


# -- user_id ------------------------------------------------------------------------------------------------


def test_an_event_cannot_set_the_user_id(default: Dataset, shop: Any) -> None:
    subject = fresh("u")
    profile_id = shop.create({"user_id": subject})["profile_id"]
    page = default.page()
    for fields in (
        {"id": subject},
        {"attributes": {"user_id": subject}},
        {"identities": {"user_id": subject}},
    ):
        user = page.send(**fields)
        assert default.profile(user)["profile_id"] != profile_id
        assert "user_id" not in default.profile(user)


# -- origins ------------------------------------------------------------------------------------------------


def test_an_origin_that_is_not_listed_is_rejected(new_dataset: NewDataset) -> None:
    web = new_dataset(allowed_origins=["https://www.acme.example"])
    event = {"user": {"anonymousId": new_device()}}
    allowed = web.try_send(event, headers={"Origin": "https://www.acme.example"})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://www.acme.example"
    email = _email()
    other_event = {"user": {"anonymousId": new_device(), "identities": {"emailAddress": email}}}
    for encoding in ("json", "get"):
        rejected = web.try_send(other_event, encoding, headers={"Origin": "https://evil.example"})
        assert rejected.status_code == 403
        assert rejected.json()["errorCode"] == 5
    assert web.resolve(emailAddress=email) is None
    assert web.user(other_event["user"]["anonymousId"]) is None
    server = web.try_send(event, endpoint="authevent")
    assert server.status_code == 200
