"""Anonymous visitors, shared devices, acceptable anonymous IDs (docs/wire/interactions.md §9.4)."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from wire.client import fresh
from wire.interactions.client import ANONYMOUS, MINUTE_MS, PRIMARY, Dataset, new_device, now_ms, token_of
from wire.interactions.conftest import NewDataset


def _email() -> str:
    return f"{fresh('ann')}@acme.example"


# -- the anonymous profile ----------------------------------------------------------------------------------


def test_without_identities_the_anonymous_id_is_the_user_s(web: Dataset) -> None:
    page = web.page()
    assert [page.send(), page.send()] == [page.device] * 2
    record = web.record(page.device)
    assert (record["id"], record["isAnonymous"]) == (page.device, True)
    assert len(web.events(page.device)) == 2


def test_the_anonymous_profile_is_folded_in_always(web: Dataset) -> None:
    """Also into a user who was known before, also without interaction, also the second and third time."""
    web_id = fresh("w")
    known = web.named(webId=web_id)
    for _ in range(3):
        page = web.page()
        page.send()
        assert page.send(id=web_id) == known
        assert web.survivor(page.device) == known
    assert len(web.record(known)["anonAliases"]) == 3


def test_a_profile_that_becomes_known_keeps_its_profile_id(web: Dataset) -> None:
    page = web.page()
    page.send()
    before = web.profile(page.device)
    user = page.send(id=fresh("w"))
    after = web.profile(user)
    assert after["profile_id"] == before["profile_id"]
    assert (before["primary_id"], after["primary_id"]) == (page.device, user)
    assert page.device in after["aliases"]
    assert PRIMARY.fullmatch(user)


def test_an_anonymous_visitor_s_attributes_come_along(default: Dataset) -> None:
    page = default.page()
    page.send(attributes={"favColour": "red"})
    assert default.values(page.send(id=fresh("w")))["favColour"] == "red"


# -- the device afterwards ----------------------------------------------------------------------------------


def test_a_device_follows_to_the_user_seen_there_last_without_a_token(web: Dataset) -> None:
    page = web.page()
    page.send()
    user = page.send(id=fresh("w"))
    answer = web.send({"user": {"anonymousId": page.device}})
    assert answer["resolvedUserId"] == user
    assert "persistedUserId" not in answer


def test_a_device_that_was_never_anonymous_follows_as_well(web: Dataset) -> None:
    page = web.page()
    user = page.send(id=fresh("w"))
    assert web.send({"user": {"anonymousId": page.device}})["resolvedUserId"] == user


def test_fresh_creates_an_anonymous_profile_that_merges_later(
    new_dataset: NewDataset,
) -> None:
    web = new_dataset(merged_anonymous="fresh")
    page, web_id = web.page(), fresh("w")
    page.send()
    first = page.send(id=web_id)
    page.token = ""
    assert page.send() == page.device
    assert web.record(page.device)["isAnonymous"] is True
    second = page.send(id=fresh("w"))
    assert second != first
    assert web.survivor(page.device) in (first, second)
    assert len(web.events(second)) == 2
    assert len(web.events(first)) == 2


def test_a_changed_default_identity_keeps_history_and_moves_the_pointer(web: Dataset) -> None:
    page = web.page()
    page.send()
    first = page.send(id=fresh("w"))
    second = page.send(id=fresh("w"))
    assert second != first
    assert web.survivor(page.device) == first  # the alias, not the pointer
    assert web.send({"user": {"anonymousId": page.device}})["resolvedUserId"] == second
    assert len(web.events(first)) == 2
    assert len(web.events(second)) == 2


def test_a_later_event_that_arrived_before_keeps_the_pointer(web: Dataset) -> None:
    device, now = new_device(), now_ms()
    later = web.named(at=now - MINUTE_MS, device=device, webId=fresh("w"))
    earlier = web.named(at=now - 30 * MINUTE_MS, device=device, webId=fresh("w"))
    assert later != earlier
    assert web.send({"user": {"anonymousId": device}})["resolvedUserId"] == later


def test_a_device_follows_through_merges(web: Dataset) -> None:
    page, web_id, email, now = web.page(), fresh("w"), _email(), now_ms()
    page.send(at=now - 50 * MINUTE_MS, id=web_id)
    survivor = web.named(at=now - 20 * MINUTE_MS, emailAddress=email)
    assert web.named(webId=web_id, emailAddress=email) == survivor
    assert web.send({"user": {"anonymousId": page.device}})["resolvedUserId"] == survivor


def test_two_people_with_one_default_identity_share_one_token_set(web: Dataset) -> None:
    page, first, second = web.page(), _email(), fresh("L")
    user = page.send(identities={"emailAddress": first})
    assert page.send(identities={"loyaltyId": second}) == user


def test_logout_is_a_new_device_without_a_token(web: Dataset) -> None:
    page = web.page()
    first = page.send(id=fresh("w"))
    stranger = web.page()
    assert stranger.send() == stranger.device
    assert stranger.send(id=fresh("w")) != first


# -- acceptable anonymous IDs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["x", "ABC_def-{}", "{:0>64}", "anon-{}", "{:f<16}", "{:a<23}", "{:a<25}", "{:g<24}"]
)
def test_acceptable(web: Dataset, form: str) -> None:
    device = form.format(secrets.token_hex(4))
    answer = web.send({"user": {"anonymousId": device}})
    assert (answer["errorCode"], answer["resolvedUserId"]) == (0, device)
    assert "anonymousId" not in answer


NOT_ACCEPTABLE = (
    "0123456789abcdef01234567", "0123456789ABCDEF01234567", "a" * 65,
    "a b", "a.b", "ä", "a/b", "a\nb", "☕", "a'b", "<a>", "abc\n", " abc",
)  # fmt: skip


@pytest.mark.parametrize("field", ["anonymousId", "anonId"])
@pytest.mark.parametrize("device", NOT_ACCEPTABLE, ids=repr)
def test_not_acceptable_is_answered_with_a_new_one_and_error_4(web: Dataset, field: str, device: str) -> None:
    answer = web.send({"user": {field: device}})
    assert answer["errorCode"] == 4
    assert ANONYMOUS.fullmatch(answer["anonymousId"])
    assert answer["resolvedUserId"] == answer["anonymousId"]
    assert "persistedUserId" not in answer
    assert web.send({"user": {field: answer["anonymousId"]}})["resolvedUserId"] == answer["anonymousId"]


@pytest.mark.parametrize("device", NOT_ACCEPTABLE[:6], ids=repr)
def test_a_named_event_keeps_its_identity_beside_error_4(web: Dataset, device: str) -> None:
    web_id = fresh("w")
    answer = web.send({"user": {"anonymousId": device, "id": web_id}})
    assert answer["errorCode"] == 4
    assert ANONYMOUS.fullmatch(answer["anonymousId"])
    assert answer["resolvedUserId"] == web.resolve(webId=web_id)
    assert token_of(answer)


@pytest.mark.parametrize("device", [5, 5.5, True, [], ["0123456789abcdef"], {"a": 1}], ids=str)
def test_an_anonymous_id_of_another_type_is_not_acceptable(web: Dataset, device: Any) -> None:
    answer = web.send({"user": {"anonymousId": device}})
    assert answer["errorCode"] == 4
    assert ANONYMOUS.fullmatch(answer["anonymousId"])
    assert answer["resolvedUserId"] == answer["anonymousId"]


@pytest.mark.parametrize("user", [{}, {"anonymousId": None}, {"anonymousId": ""}, {"anonId": None}], ids=str)
def test_the_server_makes_one_when_none_was_sent(web: Dataset, user: dict[str, Any]) -> None:
    answer = web.send({"user": user})
    assert ANONYMOUS.fullmatch(answer["anonymousId"])
    assert answer["resolvedUserId"] == answer["anonymousId"]
    assert answer["errorCode"] == 0


def test_an_event_without_identifiers_is_a_new_user_each_time(web: Dataset) -> None:
    assert web.send({})["resolvedUserId"] != web.send({})["resolvedUserId"]


def test_a_named_event_without_an_anonymous_id_gets_none(web: Dataset) -> None:
    answer = web.send({"user": {"id": fresh("w")}})
    assert "anonymousId" not in answer
    assert PRIMARY.fullmatch(answer["resolvedUserId"])


def test_anonymous_ids_differ_by_case(web: Dataset) -> None:
    device = "A" + new_device()[1:].upper()
    for each in (device, device.lower()):
        assert web.send({"user": {"anonymousId": each}})["resolvedUserId"] == each


def test_a_primary_id_as_anonymous_id_does_not_reach_the_user(web: Dataset) -> None:
    known = web.named(webId=fresh("w"))
    answer = web.send({"user": {"anonymousId": known}})
    assert answer["errorCode"] == 4
    assert answer["resolvedUserId"] != known
    assert len(web.events(known)) == 1
