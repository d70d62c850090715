"""The three scenarios of the contract, in every spelling (docs/wire/interactions.md §8)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.interactions.client import ENCODINGS, MINUTE_MS, PRIMARY, new_device, now_ms, token_of
from wire.interactions.conftest import NewDataset

DEVICE = "0123456789abcdef"
WEB_ID = {"webId": "abc123"}
EMAIL = {"emailAddress": "ann@acme.example"}

ONE: list[dict[str, Any]] = [
    {"anonymousId": DEVICE, "id": "abc123"},
    {"anonymousId": DEVICE, "identities": WEB_ID},
    {"anonymousId": DEVICE, "attributes": WEB_ID},
    {"anonId": DEVICE, "id": "abc123"},
    {"anonId": DEVICE, "attributes": WEB_ID},
]
TWO: list[dict[str, Any]] = [
    {"anonymousId": DEVICE, "identities": EMAIL},
    {"anonymousId": DEVICE, "attributes": EMAIL},
    {"anonId": DEVICE, "attributes": EMAIL},
]
THREE: list[dict[str, Any]] = [
    {"anonymousId": DEVICE, "identities": {**WEB_ID, **EMAIL}},
    {"anonymousId": DEVICE, "id": "abc123", "attributes": EMAIL},
    {"anonId": DEVICE, "id": "abc123", "attributes": EMAIL},
]


def _spelling(user: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in user.items())


def _assert_complete(answer: dict[str, Any]) -> None:
    assert set(answer) == {
        "id", "campaignResponses", "compiledCampaignTemplates", "errorCode",
        "resolvedUserId", "persistedUserId",
    }  # fmt: skip
    assert (answer["campaignResponses"], answer["compiledCampaignTemplates"], answer["errorCode"]) == (
        [],
        [],
        0,
    )
    assert PRIMARY.fullmatch(answer["id"])
    assert PRIMARY.fullmatch(answer["resolvedUserId"])
    assert token_of(answer)


@pytest.mark.parametrize("user", ONE + TWO, ids=_spelling)
def test_scenarios_1_and_2_create_a_user_for_an_unknown_identity(
    new_dataset: NewDataset, user: dict[str, Any]
) -> None:
    web = new_dataset()
    answer = web.send({"action": "View", "user": user})
    _assert_complete(answer)
    identities = WEB_ID if user in ONE else EMAIL
    record = web.record(answer["resolvedUserId"])
    assert record["id"] == answer["resolvedUserId"]
    assert record["isAnonymous"] is False
    assert web.values(record["id"]) == identities
    assert web.resolve(**identities) == record["id"]


@pytest.mark.parametrize("user", ONE + TWO, ids=_spelling)
def test_scenarios_1_and_2_a_known_identity_resolves_to_its_user(
    new_dataset: NewDataset, user: dict[str, Any]
) -> None:
    web = new_dataset()
    identities = WEB_ID if user in ONE else EMAIL
    user_id = web.identify(**identities)
    answer = web.send({"action": "View", "user": user})
    _assert_complete(answer)
    assert answer["resolvedUserId"] == user_id
    assert web.events(user_id)[0]["event_id"] == answer["id"]
    assert web.values(user_id) == identities


@pytest.mark.parametrize("user", ONE + TWO, ids=_spelling)
@pytest.mark.parametrize("exists", [True, False])
def test_scenarios_1_and_2_the_anonymous_profile_is_merged(
    new_dataset: NewDataset, user: dict[str, Any], exists: bool
) -> None:
    web = new_dataset()
    user_id = web.identify(**(WEB_ID if user in ONE else EMAIL)) if exists else None
    before = [web.send({"user": {"anonymousId": DEVICE}}) for _ in range(2)]
    assert [entry["resolvedUserId"] for entry in before] == [DEVICE, DEVICE]
    assert web.record(DEVICE)["isAnonymous"] is True
    answer = web.send({"action": "View", "user": user})
    survivor = answer["resolvedUserId"]
    assert survivor == (user_id or survivor)
    record = web.record(DEVICE)
    assert record["id"] == survivor
    assert record["anonAliases"] == [DEVICE]
    assert len(record["anonMergeTimes"]) == 1
    recorded = {event["event_id"] for event in web.events(survivor)}
    assert {entry["id"] for entry in [*before, answer]} <= recorded


@pytest.mark.parametrize("user", THREE, ids=_spelling)
@pytest.mark.parametrize("later", ["webId", "emailAddress"])
def test_scenario_3_the_most_recently_active_survives(
    new_dataset: NewDataset, user: dict[str, Any], later: str
) -> None:
    web, now = new_dataset(), now_ms()
    user_id = {
        "webId": web.identify(at=now - (5 if later == "webId" else 9) * MINUTE_MS, **WEB_ID),
        "emailAddress": web.identify(at=now - (5 if later != "webId" else 9) * MINUTE_MS, **EMAIL),
    }
    answer = web.send({"action": "View", "user": user})
    _assert_complete(answer)
    survivor = user_id[later]
    assert answer["resolvedUserId"] == survivor
    (absorbed,) = set(user_id.values()) - {survivor}
    assert web.values(survivor) == {**WEB_ID, **EMAIL}
    assert web.survivor(absorbed) == survivor
    assert absorbed in web.record(survivor)["anonAliases"]
    assert len(web.events(survivor)) == 3
    assert web.resolve(**WEB_ID) == web.resolve(**EMAIL) == survivor


@pytest.mark.parametrize("user", THREE, ids=_spelling)
def test_scenario_3_both_identities_match_one_user(new_dataset: NewDataset, user: dict[str, Any]) -> None:
    web = new_dataset()
    user_id = web.identify(**WEB_ID, **EMAIL)
    assert web.send({"user": user})["resolvedUserId"] == user_id
    assert web.values(user_id) == {**WEB_ID, **EMAIL}


@pytest.mark.parametrize("user", THREE, ids=_spelling)
def test_scenario_3_a_known_and_an_unknown_identity_are_one_user(
    new_dataset: NewDataset, user: dict[str, Any]
) -> None:
    for identities in ({}, WEB_ID, EMAIL):
        web = new_dataset()
        user_id = web.identify(**identities) if identities else None
        answer = web.send({"user": user})
        assert answer["resolvedUserId"] == (user_id or answer["resolvedUserId"])
        assert web.values(answer["resolvedUserId"]) == {**WEB_ID, **EMAIL}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_all_spellings_resolve_to_one_user_in_every_encoding(new_dataset: NewDataset, encoding: str) -> None:
    web = new_dataset()
    for spellings in (ONE, TWO, THREE):
        assert len({web.send({"user": user}, encoding)["resolvedUserId"] for user in spellings}) == 1


def test_a_token_of_one_spelling_is_unchanged_by_the_others(new_dataset: NewDataset) -> None:
    web = new_dataset()
    for spellings in (ONE, TWO, THREE):
        first = web.send({"user": spellings[0]})
        for user in spellings:
            second = web.send({"user": {**user, "encryptedId": token_of(first)}})
            assert second["resolvedUserId"] == first["resolvedUserId"]
            assert token_of(second) == token_of(first)


def test_an_e_mail_click_and_a_sign_in_are_one_user(new_dataset: NewDataset) -> None:
    """A contact key from an e-mail link, then the e-mail address from a form, then the sign-in."""
    web = new_dataset()
    page = web.page(new_device())
    assert page.send() == page.device
    user_id = page.send(identities={"sfmcContactKey": "003A"})
    assert page.send(attributes={"emailAddress": "ann@acme.example"}) == user_id
    assert page.send(id="abc123") == user_id
    assert web.values(user_id) == {"sfmcContactKey": "003A", **EMAIL, **WEB_ID}
    assert web.survivor(page.device) == user_id
    assert len(web.events(user_id)) == 4
