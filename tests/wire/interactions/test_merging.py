"""Merges: survivors, absorbed users and values (docs/wire/interactions.md §9.2, §9.3)."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from wire.client import fresh
from wire.interactions.client import MINUTE_MS, Dataset, new_device, now_ms, warnings_of
from wire.interactions.conftest import NewDataset


def _email() -> str:
    return f"{fresh('ann')}@acme.example"


def _three(web: Dataset, order: tuple[int, ...]) -> tuple[dict[str, str], list[str]]:
    """Three users with one identity each, last active `order` minutes ago."""
    identities = {"webId": fresh("w"), "emailAddress": _email(), "loyaltyId": fresh("L")}
    now = now_ms()
    users = [
        web.identify(at=now - minutes * MINUTE_MS, **{name: value})
        for (name, value), minutes in zip(identities.items(), order, strict=True)
    ]
    return identities, users


@pytest.mark.parametrize("order", list(itertools.permutations((5, 10, 15))), ids=str)
def test_three_users_merge_into_the_most_recently_active(web: Dataset, order: tuple[int, ...]) -> None:
    identities, users = _three(web, order)
    survivor = users[order.index(5)]
    assert web.identify(**identities) == survivor
    record = web.record(survivor)
    assert web.values(survivor) == identities
    assert set(users) - {survivor} <= set(record["anonAliases"])
    assert {web.survivor(user) for user in users} == {survivor}
    assert {web.resolve(**{name: value}) for name, value in identities.items()} == {survivor}
    assert len(web.events(survivor)) == 4


def test_a_wide_merge_has_a_warning(new_dataset: NewDataset) -> None:
    web = new_dataset()
    names = (
        "webId",
        "loyaltyId",
        "emailAddress",
        "SecondaryEmail",
        "sfmcContactKey",
        "customerId",
        "memberNumber",
    )
    identities = {name: fresh("value") for name in names}
    users = [web.identify(**{name: value}) for name, value in identities.items()]
    answer = web.send({"user": {"identities": identities}, "explain": True}, endpoint="authevent")
    assert "wide_merge" in warnings_of(answer)
    assert {web.survivor(user) for user in users} == {answer["resolvedUserId"]}


def test_activity_before_the_event_decides(web: Dataset) -> None:
    """Activity after the time of a late event is ignored."""
    web_id, email, now = fresh("w"), _email(), now_ms()
    one = web.identify(at=now - 60 * MINUTE_MS, webId=web_id)
    two = web.identify(at=now - 50 * MINUTE_MS, emailAddress=email)
    web.identify(at=now - 10 * MINUTE_MS, webId=web_id)
    assert web.identify(at=now - 40 * MINUTE_MS, webId=web_id, emailAddress=email) == two
    assert web.survivor(one) == two


def test_the_event_itself_is_not_activity(web: Dataset) -> None:
    page, web_id, email, now = web.page(), fresh("w"), _email(), now_ms()
    older = page.send(at=now - 60 * MINUTE_MS, id=web_id)
    newer = web.identify(at=now - 30 * MINUTE_MS, emailAddress=email)
    assert page.send(at=now, identities={"emailAddress": email}) == newer != older


def test_at_equal_activity_the_user_created_first_survives(web: Dataset) -> None:
    web_id, email, at = fresh("w"), _email(), now_ms() - MINUTE_MS
    first = web.identify(at=at, emailAddress=email)
    web.identify(at=at, webId=web_id)
    assert web.identify(webId=web_id, emailAddress=email) == first


def test_non_interactive_events_are_not_activity(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    older = web.identify(at=now - 60 * MINUTE_MS, webId=web_id)
    newer = web.identify(at=now - 30 * MINUTE_MS, emailAddress=email)
    non_interactive = {
        "user": {"id": web_id},
        "flags": {"nonInteractive": True},
        "source": {"time": now - MINUTE_MS},
    }
    assert web.send(non_interactive)["resolvedUserId"] == older
    assert web.identify(webId=web_id, emailAddress=email) == newer


def test_a_user_created_by_a_non_interactive_event_has_no_activity(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    active = web.identify(at=now - 60 * MINUTE_MS, webId=web_id)
    non_interactive = {"identities": {"emailAddress": email}}
    web.send(
        {"user": non_interactive, "flags": {"nonInteractive": True}, "source": {"time": now - 30 * MINUTE_MS}}
    )
    assert web.identify(at=now, webId=web_id, emailAddress=email) == active


def test_absorbed_ids_resolve_to_the_last_survivor(replacing: Dataset) -> None:
    """After a chain of merges every absorbed ID resolves to the last survivor."""
    web = replacing
    now, email = now_ms(), _email()
    users = [web.identify(at=now - 90 * MINUTE_MS, emailAddress=email)]
    for minutes in (60, 40, 20):
        web_id = fresh("w")
        users.append(web.identify(at=now - minutes * MINUTE_MS, webId=web_id))
        assert web.identify(at=now - (minutes - 5) * MINUTE_MS, webId=web_id, emailAddress=email) == users[-1]
    for user in users:
        assert web.survivor(user) == users[-1]
        assert web.profile(user)["primary_id"] == users[-1]


def test_the_survivor_has_the_aliases_of_both(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    one, two = web.page(), web.page()
    first = one.send(at=now - 60 * MINUTE_MS, id=web_id)
    second = two.send(at=now - 30 * MINUTE_MS, identities={"emailAddress": email})
    assert web.identify(at=now, webId=web_id, emailAddress=email) == second
    record = web.record(second)
    assert record["lastActivity"] == now
    assert record["created"] <= record["updated"]
    assert first in record["anonAliases"]
    assert len(record["anonAliases"]) == len(record["anonMergeTimes"])


def test_a_new_identity_replaces_the_old_value_of_its_type(web: Dataset) -> None:
    web_id, old, new = fresh("w"), _email(), _email()
    user = web.identify(webId=web_id, emailAddress=old)
    assert web.identify(webId=web_id, emailAddress=new) == user
    assert web.values(user) == {"webId": web_id, "emailAddress": new}
    assert web.resolve(emailAddress=old) is None
    assert web.identify(emailAddress=old) != user


def test_a_merge_keeps_the_identities_of_the_event(replacing: Dataset) -> None:
    """Two users who share an e-mail address merge; the identities of the event are kept."""
    web = replacing
    one, two, email, now = fresh("w"), fresh("w"), _email(), now_ms()
    first = web.identify(at=now - 30 * MINUTE_MS, webId=one, emailAddress=email)
    second = web.identify(at=now - 20 * MINUTE_MS, webId=two)
    assert web.identify(webId=two, emailAddress=email) == second
    assert web.survivor(first) == second
    assert web.values(second) == {"webId": two, "emailAddress": email}
    assert web.resolve(webId=one) is None
    assert web.identify(webId=one) != second


def test_a_merge_removes_the_replaced_identity(web: Dataset) -> None:
    now, values = now_ms(), [(fresh("w"), fresh("L")) for _ in range(2)]
    older = web.identify(at=now - 30 * MINUTE_MS, webId=values[0][0], loyaltyId=values[0][1])
    newer = web.identify(at=now - 20 * MINUTE_MS, sfmcContactKey=(key := fresh("k")), loyaltyId=values[1][1])
    assert web.identify(webId=values[0][0], sfmcContactKey=key) == newer != older
    assert web.values(newer)["loyaltyId"] == values[1][1]
    assert web.resolve(loyaltyId=values[0][1]) is None


def test_a_late_event_does_not_replace_a_newer_value(web: Dataset) -> None:
    web_id, old, new, now = fresh("w"), _email(), _email(), now_ms()
    user = web.identify(at=now - 10 * MINUTE_MS, webId=web_id, emailAddress=new)
    assert web.identify(at=now - 60 * MINUTE_MS, webId=web_id, emailAddress=old) == user
    assert web.values(user)["emailAddress"] == new
    assert web.resolve(emailAddress=new) == user
    assert web.resolve(emailAddress=old) is None


def test_merging_is_not_limited_per_visit(web: Dataset) -> None:
    page = web.page()
    page.send(id=fresh("w"))
    for name in ("emailAddress", "loyaltyId", "sfmcContactKey", "SecondaryEmail"):
        value = fresh("v")
        holder = web.identify(**{name: value})
        user = page.send(identities={name: value})
        assert web.survivor(holder) == user


def test_shared_devices_and_objects_never_merge_users(web: Dataset) -> None:
    device = new_device()
    assert web.identify(emailAddress=_email(), device=device) != web.identify(
        emailAddress=_email(), device=device
    )
    objects = {"Lease": [{"id": "L1", "attributes": {}}]}
    one, two = (web.send({"user": {"id": fresh("w"), "profileObjects": objects}}) for _ in range(2))
    assert one["resolvedUserId"] != two["resolvedUserId"]
    first, second = new_device(), new_device()
    for device in (first, second):
        user = {"anonymousId": device, "attributes": {"phone": "1"}}
        assert web.send({"user": user})["resolvedUserId"] == device


def test_profile_objects_are_stored_and_merged(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()

    def lease(object_id: str, colour: str) -> dict[str, Any]:
        return {
            "Lease": [
                {"id": object_id, "attributes": {"colour": colour}, "relatedCatalogObjects": {"Car": ["c"]}}
            ]
        }

    for at, user in (
        (30, {"id": web_id, "profileObjects": lease("L1", "red")}),
        (20, {"identities": {"emailAddress": email}, "profileObjects": lease("L2", "blue")}),
    ):
        web.send({"user": user, "source": {"time": now - at * MINUTE_MS}})
    survivor = web.identify(webId=web_id, emailAddress=email)
    items = web.record(survivor)["profileObjects"]["Lease"]
    assert {item["id"]: item["attributes"] for item in items} == {
        "L1": {"colour": "red"},
        "L2": {"colour": "blue"},
    }


def test_the_receipt_names_users_and_identities(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    one = web.identify(at=now - 9 * MINUTE_MS, webId=web_id)
    two = web.identify(at=now - 5 * MINUTE_MS, emailAddress=email)
    answer = web.send(
        {"user": {"id": web_id, "identities": {"emailAddress": email}}, "explain": True}, endpoint="authevent"
    )
    text = str(answer["eventDetails"])
    assert one in text
    assert two in text
    assert "webId" in text
    assert "emailAddress" in text


def _receipt(web: Dataset, **user: Any) -> tuple[str, dict[str, Any]]:
    """The ID that the event resolves to, and its receipt."""
    answer = web.server_event(channel="Web", **user)
    return str(answer["resolvedUserId"]), dict(answer["eventDetails"])


def test_the_profiles_of_the_receipt_can_be_looked_up(web: Dataset) -> None:
    identities, users = _three(web, (5, 10, 15))
    page = web.page()
    page.send()
    user, receipt = _receipt(web, anonymousId=page.device, identities=identities)
    absorbed = {merge["user"]: merge["reason"] for merge in receipt["merges"]}
    assert set(absorbed) == {*users[1:], page.device}
    assert set(receipt["matched"]) == {*users, page.device}
    assert {web.survivor(matched_user) for matched_user in receipt["matched"]} == {user}


def test_an_event_that_creates_a_user_reports_no_match(web: Dataset) -> None:
    for fields in ({"id": fresh("w")}, {"anonymousId": new_device(), "id": fresh("w")}, {}):
        user, receipt = _receipt(web, **fields)
        assert (receipt["matched"], receipt["merges"]) == ([], [])
        assert web.survivor(user) == user


def test_the_receipt_names_an_anonymous_profile_by_its_anonymous_id(web: Dataset) -> None:
    page, web_id = web.page(), fresh("w")
    assert _receipt(web, anonymousId=page.device)[1]["matched"] == []
    assert _receipt(web, anonymousId=page.device)[1]["matched"] == [page.device]
    existing = web.identify(webId=web_id)
    user, receipt = _receipt(web, anonymousId=page.device, id=web_id)
    assert user == existing
    assert [merge["user"] for merge in receipt["merges"]] == [page.device]
    assert set(receipt["matched"]) == {existing, page.device}


def test_an_anonymous_profile_that_becomes_known_is_not_a_merge(web: Dataset) -> None:
    page = web.page()
    page.send()
    user, receipt = _receipt(web, anonymousId=page.device, id=fresh("w"))
    assert receipt["merges"] == []
    assert {web.survivor(matched_user) for matched_user in (page.device, *receipt["matched"])} == {user}


def test_an_event_sent_twice_is_stored_twice_for_one_user(web: Dataset) -> None:
    event = {"user": {"anonymousId": new_device(), "id": fresh("w")}, "source": {"time": now_ms() - 5}}
    first, second = web.send(event), web.send(event)
    assert first["id"] != second["id"]
    assert first["resolvedUserId"] == second["resolvedUserId"]
    assert len(web.events(first["resolvedUserId"])) == 2


def test_concurrent_events_with_one_new_identity_create_one_user(web: Dataset) -> None:
    for _ in range(5):
        user = {"anonymousId": new_device(), "id": fresh("w")}
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda user: web.try_send({"user": user}), [user] * 8))
        assert {answer.status_code for answer in answers} == {200}
        users = {answer.json()["resolvedUserId"] for answer in answers}
        assert {web.survivor(user) for user in users} == users
        assert len(users) == 1


def test_concurrent_merging_events_leave_one_user(web: Dataset) -> None:
    for _ in range(5):
        values = [("webId", fresh("w")), ("emailAddress", _email()), ("loyaltyId", fresh("L"))]
        users = [web.identify(**dict([identity])) for identity in values]
        pairs = [dict(pair) for pair in itertools.permutations(values, 2)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda pair: web.try_send({"user": {"identities": pair}}), pairs))
        assert {answer.status_code for answer in answers} <= {200, 503}
        web.identify(**dict(values))
        assert len({web.survivor(user) for user in users}) == 1
