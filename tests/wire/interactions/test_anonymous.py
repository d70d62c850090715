"""Anonymous visitors, shared devices, valid anonymous IDs (docs/wire/interactions.md §9.4)."""

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


def test_without_identities_the_user_id_is_the_anonymous_id(web: Dataset) -> None:
    page = web.page()
    assert [page.send(), page.send()] == [page.device] * 2
    record = web.record(page.device)
    assert (record["id"], record["isAnonymous"]) == (page.device, True)
    assert len(web.events(page.device)) == 2


def test_the_anonymous_profile_always_merges_into_the_user(web: Dataset) -> None:
    """The user existed before; three browsers merge into it."""
    web_id = fresh("w")
    user = web.identify(webId=web_id)
    for _ in range(3):
        page = web.page()
        page.send()
        assert page.send(id=web_id) == user
        assert web.survivor(page.device) == user
    assert len(web.record(user)["anonAliases"]) == 3


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


def test_attributes_of_an_anonymous_visitor_are_kept(default: Dataset) -> None:
    page = default.page()
    page.send(attributes={"favColour": "red"})
    assert default.values(page.send(id=fresh("w")))["favColour"] == "red"


# -- events without identities after a merge ----------------------------------------------------------------


def test_a_device_without_a_token_resolves_to_its_last_user(web: Dataset) -> None:
    page = web.page()
    page.send()
    user = page.send(id=fresh("w"))
    answer = web.send({"user": {"anonymousId": page.device}})
    assert answer["resolvedUserId"] == user
    assert "persistedUserId" not in answer


def test_a_device_that_was_never_anonymous_resolves_to_its_user(web: Dataset) -> None:
    page = web.page()
    user = page.send(id=fresh("w"))
    assert web.send({"user": {"anonymousId": page.device}})["resolvedUserId"] == user


def test_with_fresh_a_device_gets_a_new_anonymous_profile(
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


def test_a_changed_default_identity_moves_the_device_and_keeps_events(web: Dataset) -> None:
    page = web.page()
    page.send()
    first = page.send(id=fresh("w"))
    second = page.send(id=fresh("w"))
    assert second != first
    assert web.survivor(page.device) == first  # the alias stays, only the device identifier moves
    assert web.send({"user": {"anonymousId": page.device}})["resolvedUserId"] == second
    assert len(web.events(first)) == 2
    assert len(web.events(second)) == 2


def test_a_late_event_does_not_move_the_device(web: Dataset) -> None:
    device, now = new_device(), now_ms()
    later = web.identify(at=now - MINUTE_MS, device=device, webId=fresh("w"))
    earlier = web.identify(at=now - 30 * MINUTE_MS, device=device, webId=fresh("w"))
    assert later != earlier
    assert web.send({"user": {"anonymousId": device}})["resolvedUserId"] == later


def test_a_device_follows_through_merges(web: Dataset) -> None:
    page, web_id, email, now = web.page(), fresh("w"), _email(), now_ms()
    page.send(at=now - 50 * MINUTE_MS, id=web_id)
    survivor = web.identify(at=now - 20 * MINUTE_MS, emailAddress=email)
    assert web.identify(webId=web_id, emailAddress=email) == survivor
    assert web.send({"user": {"anonymousId": page.device}})["resolvedUserId"] == survivor


def test_identities_accumulate_in_the_token(web: Dataset) -> None:
    page, first, second = web.page(), _email(), fresh("L")
    user = page.send(identities={"emailAddress": first})
    assert page.send(identities={"loyaltyId": second}) == user


def test_a_new_device_without_a_token_is_a_new_user(web: Dataset) -> None:
    page = web.page()
    first = page.send(id=fresh("w"))
    new_page = web.page()
    assert new_page.send() == new_page.device
    assert new_page.send(id=fresh("w")) != first


# -- valid anonymous IDs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["x", "ABC_def-{}", "{:0>64}", "anon-{}", "{:f<16}", "{:a<23}", "{:a<25}", "{:g<24}"]
)
def test_a_valid_anonymous_id_is_used(web: Dataset, form: str) -> None:
    device = form.format(secrets.token_hex(4))
    answer = web.send({"user": {"anonymousId": device}})
    assert (answer["errorCode"], answer["resolvedUserId"]) == (0, device)
    assert "anonymousId" not in answer


INVALID_IDS = (
    "0123456789abcdef01234567", "0123456789ABCDEF01234567", "a" * 65,
    "a b", "a.b", "ä", "a/b", "a\nb", "☕", "a'b", "<a>", "abc\n", " abc",
)  # fmt: skip


@pytest.mark.parametrize("field", ["anonymousId", "anonId"])
@pytest.mark.parametrize("device", INVALID_IDS, ids=repr)
def test_an_invalid_anonymous_id_is_replaced_with_error_4(web: Dataset, field: str, device: str) -> None:
    answer = web.send({"user": {field: device}})
    assert answer["errorCode"] == 4
    assert ANONYMOUS.fullmatch(answer["anonymousId"])
    assert answer["resolvedUserId"] == answer["anonymousId"]
    assert "persistedUserId" not in answer
    assert web.send({"user": {field: answer["anonymousId"]}})["resolvedUserId"] == answer["anonymousId"]


@pytest.mark.parametrize("device", INVALID_IDS[:6], ids=repr)
def test_an_event_with_identities_resolves_despite_error_4(web: Dataset, device: str) -> None:
    web_id = fresh("w")
    answer = web.send({"user": {"anonymousId": device, "id": web_id}})
    assert answer["errorCode"] == 4
    assert ANONYMOUS.fullmatch(answer["anonymousId"])
    assert answer["resolvedUserId"] == web.resolve(webId=web_id)
    assert token_of(answer)


@pytest.mark.parametrize("device", [5, 5.5, True, [], ["0123456789abcdef"], {"a": 1}], ids=str)
def test_an_anonymous_id_of_another_type_is_invalid(web: Dataset, device: Any) -> None:
    answer = web.send({"user": {"anonymousId": device}})
    assert answer["errorCode"] == 4
    assert ANONYMOUS.fullmatch(answer["anonymousId"])
    assert answer["resolvedUserId"] == answer["anonymousId"]


@pytest.mark.parametrize("user", [{}, {"anonymousId": None}, {"anonymousId": ""}, {"anonId": None}], ids=str)
def test_a_missing_anonymous_id_is_generated(web: Dataset, user: dict[str, Any]) -> None:
    answer = web.send({"user": user})
    assert ANONYMOUS.fullmatch(answer["anonymousId"])
    assert answer["resolvedUserId"] == answer["anonymousId"]
    assert answer["errorCode"] == 0


def test_an_event_without_identifiers_is_a_new_user_each_time(web: Dataset) -> None:
    assert web.send({})["resolvedUserId"] != web.send({})["resolvedUserId"]


def test_an_event_with_identities_gets_no_anonymous_id(web: Dataset) -> None:
    answer = web.send({"user": {"id": fresh("w")}})
    assert "anonymousId" not in answer
    assert PRIMARY.fullmatch(answer["resolvedUserId"])


def test_anonymous_ids_are_case_sensitive(web: Dataset) -> None:
    device = "A" + new_device()[1:].upper()
    for anonymous_id in (device, device.lower()):
        assert web.send({"user": {"anonymousId": anonymous_id}})["resolvedUserId"] == anonymous_id


def test_a_primary_id_is_not_a_valid_anonymous_id(web: Dataset) -> None:
    user = web.identify(webId=fresh("w"))
    answer = web.send({"user": {"anonymousId": user}})
    assert answer["errorCode"] == 4
    assert answer["resolvedUserId"] != user
    assert len(web.events(user)) == 1
