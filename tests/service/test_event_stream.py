"""The events of a dataset: page by page and as a stream; each exactly once."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import Any
from uuid import UUID

import msgspec
import pytest

from oneself.core.resolution.observation import PageEvent
from oneself.service.history.event_stream import (
    Decision,
    EventBatch,
    EventStream,
    StreamedEvent,
)
from oneself.services import Services
from oneself.store.database import connect
from oneself.store.tables.event import NOW, EventFilter, EventPosition, scan_statement
from oneself.store.transaction import Transaction, begin
from support.interactions_harness import ACTOR, InteractionsHarness, customer, mail

X, Y = "0123456789abcdef", "fedcba9876543210"
DEADLINE_S = 30.0
BEGINNING = EventPosition(0, UUID(int=0))
#: 2026-01-01T00:00:00Z
BEGINNING_US = 1_767_225_600_000_000


@pytest.fixture
async def harness(services: Services) -> InteractionsHarness:
    return await InteractionsHarness(services).begin()


def limit_tail(harness: InteractionsHarness, **limits: Any) -> None:
    """Let the site have a tail with these limits from now on."""
    stream = EventStream(harness.services.database, **limits)
    history = msgspec.structs.replace(harness.services.history, event_stream=stream)
    harness.services = msgspec.structs.replace(harness.services, history=history)


async def everything(
    harness: InteractionsHarness, wanted: EventFilter = EventFilter(), size: int = 2
) -> list[StreamedEvent]:
    """All pages, one after another."""
    events, before = list[StreamedEvent](), NOW
    while True:
        got = await harness.services.history.event_stream.page(
            harness.dataset_ref, wanted, before=before, size=size
        )
        assert len(got.events) <= size
        events += got.events
        if got.next_position is None:
            return events
        before = got.next_position


async def news(
    harness: InteractionsHarness, after: EventPosition, wanted: EventFilter = EventFilter()
) -> EventBatch:
    return await harness.services.history.event_stream.next_batch(harness.dataset_ref, wanted, after=after)


async def settled(
    harness: InteractionsHarness, after: EventPosition, count: int, wanted: EventFilter = EventFilter()
) -> list[StreamedEvent]:
    """So many events after a place, as soon as they are told."""
    found = list[StreamedEvent]()
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            got = await news(harness, after, wanted)
            found, after = found + list(got.events), got.position
    return found


def names(events: object) -> list[str | None]:
    return [event.name for event in events]  # type: ignore[attr-defined]


async def test_the_outcome_of_an_event_is_reported(harness: InteractionsHarness) -> None:
    await harness.event(device=X, name="one")
    await harness.event(device=X, name="two")
    await harness.event(mail("ann@acme.example"), device=X, name="three")
    joined = await harness.event(mail("ann@acme.example"), device=Y, name="four")
    await harness.event(customer("null"), device=X, name="five", trust="server")
    told = (await everything(harness))[::-1]
    assert names(told) == ["one", "two", "three", "four", "five"]
    assert [each.decision for each in told] == [
        Decision("created"),
        Decision("attached"),
        Decision("promoted"),
        Decision("attached"),
        Decision("attached", refusals=("blocked_value",)),
    ]
    assert [each.identity_types for each in told] == [
        (), (), ("emailAddress",), ("emailAddress",), ("customerId",),
    ]  # fmt: skip
    assert {each.primary_id for each in told} == {joined.survivor.primary_id}, "whoever it is by now"
    assert [each.trust for each in told] == ["browser"] * 4 + ["server"]
    assert {(each.interface, each.body) for each in told} == {("interactions", None)}
    assert told[0].occurred_at == told[0].received_at == told[0].position.seq


async def test_a_merge_is_counted(harness: InteractionsHarness) -> None:
    for device in (X, Y):
        await harness.event(device=device)
    await harness.event(mail("ann@acme.example"), device=X)
    await harness.event(customer("c-1"), device=Y)
    await harness.event(mail("ann@acme.example"), customer("c-1"), name="both")
    assert (await everything(harness, EventFilter(name="both")))[0].decision == Decision("merged", merged=1)


async def test_the_body_of_an_event_is_returned_on_request(harness: InteractionsHarness) -> None:
    await harness.event(device=X, name="View")
    page = await harness.services.history.event_stream.page(
        harness.dataset_ref, EventFilter(), size=1, with_body=True
    )
    assert page.events[0].body == {"interaction": {"name": "View"}}


async def test_filters(harness: InteractionsHarness) -> None:
    for hour, name in enumerate(("View", "Buy", "View", "Leave")):
        await harness.event(device=X, name=name, at=BEGINNING_US + hour)
    assert names(await everything(harness, EventFilter(name="View"), 1)) == ["View", "View"]
    assert names(await everything(harness, EventFilter(since=BEGINNING_US + 1))) == ["Leave", "View", "Buy"]
    assert names(await everything(harness, EventFilter(until=BEGINNING_US + 1))) == ["Buy", "View"]
    assert names(await settled(harness, BEGINNING, 2, EventFilter(name="View"))) == ["View", "View"]


async def test_only_events_of_this_dataset_are_streamed(
    harness: InteractionsHarness, services: Services
) -> None:
    elsewhere = await InteractionsHarness(services).begin()
    await elsewhere.event(device=X, name="elsewhere")
    made = await harness.event(device=X, name="View")
    await services.profiles.profiles.patch(
        harness.dataset_ref, ACTOR, made.profile.profile_id, {"traits": {"plan": "gold"}}
    )
    assert names(await everything(harness)) == ["View"]
    assert names(await settled(harness, BEGINNING, 1)) == ["View"]


async def test_events_of_an_erased_person_are_not_streamed(harness: InteractionsHarness) -> None:
    made = await harness.event(mail("ann@acme.example"), device=X, name="View")
    await harness.erase(made.profile.profile_id)
    await harness.event(device=Y, name="Buy")
    assert names(await everything(harness)) == ["Buy"]
    assert names(await settled(harness, BEGINNING, 1)) == ["Buy"]


@pytest.mark.parametrize("size", [1, 3, 50])
async def test_a_bounded_walk_comes_to_the_end_as_well(harness: InteractionsHarness, size: int) -> None:
    for number in range(9):
        await harness.event(device=X, name=f"{number}")
    limit_tail(harness, scanned_max=4, scanned_at_once=2)
    assert names(await everything(harness, size=size)) == [f"{number}" for number in range(9)][::-1]
    assert names(await everything(harness, EventFilter(name="0"), size)) == ["0"]
    assert names(await settled(harness, BEGINNING, 9)) == [f"{number}" for number in range(9)]


async def test_the_list_ends_where_following_begins(harness: InteractionsHarness) -> None:
    await harness.event(device=X, name="before")
    horizon = await harness.services.history.event_stream.watermark(harness.dataset_ref)
    await harness.event(device=X, name="after")
    page = await harness.services.history.event_stream.page(
        harness.dataset_ref, EventFilter(), before=horizon, size=10
    )
    assert names(page.events) == ["before"]
    assert names(await settled(harness, horizon, 1)) == ["after"]


async def test_an_earlier_timestamp_that_commits_later_is_not_skipped(
    harness: InteractionsHarness,
) -> None:
    """The event of a slow batch has an earlier seq than those that are durable before it."""
    dataset_ref = harness.dataset_ref
    slow = await connect(harness.services.database.url)
    transaction = slow.transaction()
    await transaction.start()
    try:
        writer = Transaction(slow, dataset_ref.dataset_id)
        await writer.lock_identifiers(())
        early = (await writer.read_clock()).now
        fast = await harness.event(device=X, name="fast")
        assert fast.seq > early
        held_back = await news(harness, BEGINNING)
        assert (held_back.events, held_back.position.seq <= early) == ((), True)
        assert names(await everything(harness)) == ["fast"], "the list does not wait"
        content = PageEvent(
            observation_id=UUID(int=7), new_profile_id=UUID(int=8), interface="interactions", name="slow"
        )
        await slow.execute(
            "INSERT INTO log (dataset_id, seq, observation_id, kind, name, config_version, content) "
            "VALUES ($1, $2, $3, 'event', 'slow', 0, $4)",
            dataset_ref.dataset_id, early, content.observation_id, content,
        )  # fmt: skip
        await transaction.commit()
    finally:
        await slow.close()
    assert names(await settled(harness, held_back.position, 2)) == ["slow", "fast"]


async def test_a_slow_batch_delays_no_other_dataset(harness: InteractionsHarness, services: Services) -> None:
    elsewhere = await InteractionsHarness(services).begin()
    async with begin(services.database, elsewhere.dataset_ref.dataset_id) as slow:
        await slow.lock_identifiers(())
        await harness.event(device=X, name="View")
        assert names(await settled(harness, BEGINNING, 1)) == ["View"]


async def test_followers_of_a_busy_dataset_get_each_event_once(harness: InteractionsHarness) -> None:
    """Writers race on shared people while one follower stays and others come back from random places."""
    limit_tail(harness, poll_s=0.005)
    count, told = 400, list[StreamedEvent]()
    start = await harness.services.history.event_stream.watermark(harness.dataset_ref)
    chance = random.Random(7)

    async def write(number: int) -> None:
        await asyncio.sleep(0)
        who = [mail(f"{chance.randrange(20)}@acme.example")] if chance.random() < 0.5 else []
        await harness.event(*who, device=f"{chance.randrange(40):016x}", name=f"{number}")

    async def follow() -> None:
        after = start
        while len(told) < count:
            follower = harness.services.history.event_stream.follow(
                harness.dataset_ref, EventFilter(), after=after
            )
            async with aclosing(follower) as following:
                async for each in following:
                    told.extend(each.events)
                    after = (
                        each.events[-1].position if each.events and chance.random() < 0.5 else each.position
                    )
                    if len(told) >= count or chance.random() < 0.3:
                        break

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(follow())
        for number in range(count):
            group.create_task(write(number))
    assert sorted(int(each.name or "") for each in told) == list(range(count))
    assert [each.position for each in told] == sorted((each.position for each in told), key=_order)


def _order(position: EventPosition) -> tuple[int, UUID]:
    return position.seq, position.observation_id


async def test_following_ends_when_the_service_stops(harness: InteractionsHarness) -> None:
    seen, tail = asyncio.Event(), harness.services.history.event_stream

    async def follow() -> None:
        async for _ in tail.follow(harness.dataset_ref, EventFilter(), after=BEGINNING):
            seen.set()

    async with asyncio.timeout(DEADLINE_S):
        task = asyncio.create_task(follow())
        await seen.wait()
        tail.close()
        await task


async def test_a_process_serves_a_bounded_number_of_followers(harness: InteractionsHarness) -> None:
    limit_tail(harness, followers_max=1)
    tail = harness.services.history.event_stream
    assert not tail.is_full
    async with aclosing(tail.follow(harness.dataset_ref, EventFilter(), after=BEGINNING)) as following:
        await anext(following)
        assert tail.is_full
    assert not tail.is_full


async def test_both_walks_are_read_by_the_index(harness: InteractionsHarness) -> None:
    """In its order, too: a small table may be sorted for less, a large one must not be."""
    await harness.event(device=X)
    for statement in (scan_statement("forwards"), scan_statement("backwards")):
        async with harness.services.database.transaction() as connection:
            await connection.execute("SET LOCAL enable_bitmapscan = off")
            found = await connection.fetch(
                f"EXPLAIN {statement}",
                harness.dataset_ref.dataset_id, 0, UUID(int=0), 10, None, 0, 1, False, 10,
            )  # fmt: skip
        plan = "\n".join(row[0] for row in found)
        assert "log_key" in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "Sort Key: log" not in plan, plan
