"""Who survives, who is absorbed, what becomes of values (docs/wire/interactions.md §9.2, §9.3)."""

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
    """Three users by three identities, active so many minutes ago."""
    identities = {"webId": fresh("w"), "emailAddress": _email(), "loyaltyId": fresh("L")}
    now = now_ms()
    users = [
        web.named(at=now - minutes * MINUTE_MS, **{name: value})
        for (name, value), minutes in zip(identities.items(), order, strict=True)
    ]
    return identities, users


@pytest.mark.parametrize("order", list(itertools.permutations((5, 10, 15))), ids=str)
def test_three_users_are_folded_into_the_most_recently_active_in_one_go(
    web: Dataset, order: tuple[int, ...]
) -> None:
    identities, users = _three(web, order)
    survivor = users[order.index(5)]
    assert web.named(**identities) == survivor
    record = web.record(survivor)
    assert web.values(survivor) == identities
    assert set(users) - {survivor} <= set(record["anonAliases"])
    assert {web.survivor(each) for each in users} == {survivor}
    assert {web.resolve(**{name: value}) for name, value in identities.items()} == {survivor}
    assert len(web.events(survivor)) == 4


def test_a_wide_merge_is_warned_of(new_dataset: NewDataset) -> None:
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
    users = [web.named(**{name: value}) for name, value in identities.items()]
    answer = web.send({"user": {"identities": identities}, "explain": True}, endpoint="authevent")
    assert "wide_merge" in warnings_of(answer)
    assert {web.survivor(each) for each in users} == {answer["resolvedUserId"]}


def test_activity_before_the_event_decides_not_after(web: Dataset) -> None:
    """A late event is judged as of its own time."""
    web_id, email, now = fresh("w"), _email(), now_ms()
    one = web.named(at=now - 60 * MINUTE_MS, webId=web_id)
    two = web.named(at=now - 50 * MINUTE_MS, emailAddress=email)
    web.named(at=now - 10 * MINUTE_MS, webId=web_id)
    assert web.named(at=now - 40 * MINUTE_MS, webId=web_id, emailAddress=email) == two
    assert web.survivor(one) == two


def test_the_event_itself_does_not_count(web: Dataset) -> None:
    page, web_id, email, now = web.page(), fresh("w"), _email(), now_ms()
    older = page.send(at=now - 60 * MINUTE_MS, id=web_id)
    newer = web.named(at=now - 30 * MINUTE_MS, emailAddress=email)
    assert page.send(at=now, identities={"emailAddress": email}) == newer != older


def test_at_equal_activity_the_earlier_made_survives(web: Dataset) -> None:
    web_id, email, at = fresh("w"), _email(), now_ms() - MINUTE_MS
    first = web.named(at=at, emailAddress=email)
    web.named(at=at, webId=web_id)
    assert web.named(webId=web_id, emailAddress=email) == first


def test_non_interactive_activity_does_not_count(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    older = web.named(at=now - 60 * MINUTE_MS, webId=web_id)
    newer = web.named(at=now - 30 * MINUTE_MS, emailAddress=email)
    quiet = {"user": {"id": web_id}, "flags": {"nonInteractive": True}, "source": {"time": now - MINUTE_MS}}
    assert web.send(quiet)["resolvedUserId"] == older
    assert web.named(webId=web_id, emailAddress=email) == newer


def test_a_user_made_by_a_non_interactive_event_was_never_active(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    active = web.named(at=now - 60 * MINUTE_MS, webId=web_id)
    quiet = {"identities": {"emailAddress": email}}
    web.send({"user": quiet, "flags": {"nonInteractive": True}, "source": {"time": now - 30 * MINUTE_MS}})
    assert web.named(at=now, webId=web_id, emailAddress=email) == active


def test_forwarding_ids_never_expire(replacing: Dataset) -> None:
    """A chain of merges: each absorbed ID, old and older, answers with the last survivor."""
    web = replacing
    now, email = now_ms(), _email()
    users = [web.named(at=now - 90 * MINUTE_MS, emailAddress=email)]
    for minutes in (60, 40, 20):
        web_id = fresh("w")
        users.append(web.named(at=now - minutes * MINUTE_MS, webId=web_id))
        assert web.named(at=now - (minutes - 5) * MINUTE_MS, webId=web_id, emailAddress=email) == users[-1]
    for each in users:
        assert web.survivor(each) == users[-1]
        assert web.profile(each)["primary_id"] == users[-1]


def test_the_record_of_the_survivor_is_the_union(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    one, two = web.page(), web.page()
    first = one.send(at=now - 60 * MINUTE_MS, id=web_id)
    second = two.send(at=now - 30 * MINUTE_MS, identities={"emailAddress": email})
    assert web.named(at=now, webId=web_id, emailAddress=email) == second
    record = web.record(second)
    assert record["lastActivity"] == now
    assert record["created"] <= record["updated"]
    assert first in record["anonAliases"]
    assert len(record["anonAliases"]) == len(record["anonMergeTimes"])


def test_a_matched_user_gets_the_unknown_identity_and_the_old_value_is_free(web: Dataset) -> None:
    web_id, old, new = fresh("w"), _email(), _email()
    user = web.named(webId=web_id, emailAddress=old)
    assert web.named(webId=web_id, emailAddress=new) == user
    assert web.values(user) == {"webId": web_id, "emailAddress": new}
    assert web.resolve(emailAddress=old) is None
    assert web.named(emailAddress=old) != user


def test_the_values_of_the_event_stand_when_two_are_merged(replacing: Dataset) -> None:
    """Two customers who share an e-mail address become one at the first event with both keys."""
    web = replacing
    one, two, email, now = fresh("w"), fresh("w"), _email(), now_ms()
    first = web.named(at=now - 30 * MINUTE_MS, webId=one, emailAddress=email)
    second = web.named(at=now - 20 * MINUTE_MS, webId=two)
    assert web.named(webId=two, emailAddress=email) == second
    assert web.survivor(first) == second
    assert web.values(second) == {"webId": two, "emailAddress": email}
    assert web.resolve(webId=one) is None
    assert web.named(webId=one) != second


def test_a_losing_identity_leaves_the_index_when_two_are_merged(web: Dataset) -> None:
    now, values = now_ms(), [(fresh("w"), fresh("L")) for _ in range(2)]
    older = web.named(at=now - 30 * MINUTE_MS, webId=values[0][0], loyaltyId=values[0][1])
    newer = web.named(at=now - 20 * MINUTE_MS, sfmcContactKey=(key := fresh("k")), loyaltyId=values[1][1])
    assert web.named(webId=values[0][0], sfmcContactKey=key) == newer != older
    assert web.values(newer)["loyaltyId"] == values[1][1]
    assert web.resolve(loyaltyId=values[0][1]) is None


def test_a_late_event_does_not_replace_a_newer_value(web: Dataset) -> None:
    web_id, old, new, now = fresh("w"), _email(), _email(), now_ms()
    user = web.named(at=now - 10 * MINUTE_MS, webId=web_id, emailAddress=new)
    assert web.named(at=now - 60 * MINUTE_MS, webId=web_id, emailAddress=old) == user
    assert web.values(user)["emailAddress"] == new
    assert web.resolve(emailAddress=new) == user
    assert web.resolve(emailAddress=old) is None


def test_merging_is_not_limited_per_visit(web: Dataset) -> None:
    page = web.page()
    page.send(id=fresh("w"))
    for name in ("emailAddress", "loyaltyId", "sfmcContactKey", "SecondaryEmail"):
        value = fresh("v")
        holder = web.named(**{name: value})
        user = page.send(identities={name: value})
        assert web.survivor(holder) == user


def test_shared_devices_and_objects_never_merge_users(web: Dataset) -> None:
    device = new_device()
    assert web.named(emailAddress=_email(), device=device) != web.named(emailAddress=_email(), device=device)
    objects = {"Lease": [{"id": "L1", "attributes": {}}]}
    one, two = (web.send({"user": {"id": fresh("w"), "profileObjects": objects}}) for _ in range(2))
    assert one["resolvedUserId"] != two["resolvedUserId"]
    first, second = new_device(), new_device()
    for each in (first, second):
        assert (
            web.send({"user": {"anonymousId": each, "attributes": {"phone": "1"}}})["resolvedUserId"] == each
        )


def test_profile_objects_are_stored_and_joined(web: Dataset) -> None:
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
    survivor = web.named(webId=web_id, emailAddress=email)
    kept = web.record(survivor)["profileObjects"]["Lease"]
    assert {each["id"]: each["attributes"] for each in kept} == {
        "L1": {"colour": "red"},
        "L2": {"colour": "blue"},
    }


def test_the_receipt_tells_what_was_decided(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    one = web.named(at=now - 9 * MINUTE_MS, webId=web_id)
    two = web.named(at=now - 5 * MINUTE_MS, emailAddress=email)
    answer = web.send(
        {"user": {"id": web_id, "identities": {"emailAddress": email}}, "explain": True}, endpoint="authevent"
    )
    text = str(answer["eventDetails"])
    assert one in text
    assert two in text
    assert "webId" in text
    assert "emailAddress" in text


def _receipt(web: Dataset, **user: Any) -> tuple[str, dict[str, Any]]:
    """Whom the event went to, and its receipt."""
    answer = web.server(channel="Web", **user)
    return str(answer["resolvedUserId"]), dict(answer["eventDetails"])


def test_the_profiles_of_the_receipt_can_be_looked_up(web: Dataset) -> None:
    identities, users = _three(web, (5, 10, 15))
    page = web.page()
    page.send()
    user, receipt = _receipt(web, anonymousId=page.device, identities=identities)
    absorbed = {each["user"]: each["reason"] for each in receipt["merges"]}
    assert set(absorbed) == {*users[1:], page.device}
    assert set(receipt["matched"]) == {*users, page.device}
    assert {web.survivor(each) for each in receipt["matched"]} == {user}


def test_an_event_that_creates_a_user_reports_no_match(web: Dataset) -> None:
    for said in ({"id": fresh("w")}, {"anonymousId": new_device(), "id": fresh("w")}, {}):
        user, receipt = _receipt(web, **said)
        assert (receipt["matched"], receipt["merges"]) == ([], [])
        assert web.survivor(user) == user


def test_an_anonymous_profile_is_named_by_its_anonymous_id(web: Dataset) -> None:
    page, web_id = web.page(), fresh("w")
    assert _receipt(web, anonymousId=page.device)[1]["matched"] == []
    assert _receipt(web, anonymousId=page.device)[1]["matched"] == [page.device]
    known = web.named(webId=web_id)
    user, receipt = _receipt(web, anonymousId=page.device, id=web_id)
    assert user == known
    assert [each["user"] for each in receipt["merges"]] == [page.device]
    assert set(receipt["matched"]) == {known, page.device}


def test_an_anonymous_profile_that_becomes_known_is_not_a_merge(web: Dataset) -> None:
    page = web.page()
    page.send()
    user, receipt = _receipt(web, anonymousId=page.device, id=fresh("w"))
    assert receipt["merges"] == []
    assert {web.survivor(each) for each in (page.device, *receipt["matched"])} == {user}


def test_an_event_sent_twice_is_recorded_twice_and_identifies_once(web: Dataset) -> None:
    event = {"user": {"anonymousId": new_device(), "id": fresh("w")}, "source": {"time": now_ms() - 5}}
    first, second = web.send(event), web.send(event)
    assert first["id"] != second["id"]
    assert first["resolvedUserId"] == second["resolvedUserId"]
    assert len(web.events(first["resolvedUserId"])) == 2


def test_simultaneous_events_with_one_new_identity_give_one_user(web: Dataset) -> None:
    for _ in range(5):
        user = {"anonymousId": new_device(), "id": fresh("w")}
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda user: web.ask({"user": user}), [user] * 8))
        assert {answer.status_code for answer in answers} == {200}
        users = {answer.json()["resolvedUserId"] for answer in answers}
        assert {web.survivor(each) for each in users} == users
        assert len(users) == 1


def test_simultaneous_events_that_join_leave_one_user(web: Dataset) -> None:
    for _ in range(5):
        values = [("webId", fresh("w")), ("emailAddress", _email()), ("loyaltyId", fresh("L"))]
        users = [web.named(**dict([each])) for each in values]
        pairs = [dict(pair) for pair in itertools.permutations(values, 2)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda pair: web.ask({"user": {"identities": pair}}), pairs))
        assert {answer.status_code for answer in answers} <= {200, 503}
        web.named(**dict(values))
        assert len({web.survivor(each) for each in users}) == 1
