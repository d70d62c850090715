"""The events of a dataset, in pages and as a stream; each event exactly once."""

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
from oneself.service.history.followers import Followers
from oneself.services import Services
from oneself.store.database import connect
from oneself.store.tables.event import NOW, EventFilter, EventPosition, scan_statement
from oneself.store.transaction import Transaction, begin
from support.interactions_harness import ACTOR, InteractionsHarness, customer, mail
from support.statement_plans import plan_of

X, Y = "0123456789abcdef", "fedcba9876543210"
DEADLINE_S = 30.0
BEGINNING = EventPosition(0, UUID(int=0))
#: 2026-01-01T00:00:00Z
BEGINNING_US = 1_767_225_600_000_000


@pytest.fixture
async def harness(services: Services) -> InteractionsHarness:
    return await InteractionsHarness(services).begin()


def limit_stream(harness: InteractionsHarness, **limits: Any) -> None:
    """Replace the event stream of the service by one with these limits."""
    stream = EventStream(harness.services.database, **limits)
    history = msgspec.structs.replace(harness.services.history, event_stream=stream)
    harness.services = msgspec.structs.replace(harness.services, history=history)


async def read_all_pages(
    harness: InteractionsHarness, event_filter: EventFilter = EventFilter(), size: int = 2
) -> list[StreamedEvent]:
    """All pages, one after another."""
    events, before = list[StreamedEvent](), NOW
    while True:
        batch = await harness.services.history.event_stream.page(
            harness.dataset_ref, event_filter, before=before, size=size
        )
        assert len(batch.events) <= size
        events += batch.events
        if batch.next_position is None:
            return events
        before = batch.next_position


async def next_batch(
    harness: InteractionsHarness, after: EventPosition, event_filter: EventFilter = EventFilter()
) -> EventBatch:
    return await harness.services.history.event_stream.next_batch(
        harness.dataset_ref, event_filter, after=after
    )


async def read_events_after(
    harness: InteractionsHarness, after: EventPosition, count: int, event_filter: EventFilter = EventFilter()
) -> list[StreamedEvent]:
    """Wait until the stream has `count` events after a position, and return them."""
    found = list[StreamedEvent]()
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            batch = await next_batch(harness, after, event_filter)
            found, after = found + list(batch.events), batch.position
    return found


def names(events: object) -> list[str | None]:
    return [event.name for event in events]  # type: ignore[attr-defined]


async def test_the_outcome_of_an_event_is_reported(harness: InteractionsHarness) -> None:
    await harness.event(device=X, name="one")
    await harness.event(device=X, name="two")
    await harness.event(mail("ann@acme.example"), device=X, name="three")
    joined = await harness.event(mail("ann@acme.example"), device=Y, name="four")
    await harness.event(customer("null"), device=X, name="five", trust="server")
    streamed = (await read_all_pages(harness))[::-1]
    assert names(streamed) == ["one", "two", "three", "four", "five"]
    assert [event.decision for event in streamed] == [
        Decision("created"),
        Decision("attached"),
        Decision("promoted"),
        Decision("attached"),
        Decision("attached", refusals=("blocked_value",)),
    ]
    assert [event.identity_types for event in streamed] == [
        (), (), ("emailAddress",), ("emailAddress",), ("customerId",),
    ]  # fmt: skip
    assert {event.primary_id for event in streamed} == {joined.survivor.primary_id}, (
        "not the current primary id"
    )
    assert [event.trust for event in streamed] == ["browser"] * 4 + ["server"]
    assert {(event.interface, event.body) for event in streamed} == {("interactions", None)}
    assert streamed[0].occurred_at == streamed[0].received_at == streamed[0].position.seq


async def test_the_decision_of_an_event_counts_merged_profiles(harness: InteractionsHarness) -> None:
    for device in (X, Y):
        await harness.event(device=device)
    await harness.event(mail("ann@acme.example"), device=X)
    await harness.event(customer("c-1"), device=Y)
    await harness.event(mail("ann@acme.example"), customer("c-1"), name="both")
    assert (await read_all_pages(harness, EventFilter(name="both")))[0].decision == Decision(
        "merged", merged=1
    )


async def test_the_body_of_an_event_is_returned_on_request(harness: InteractionsHarness) -> None:
    await harness.event(device=X, name="View")
    page = await harness.services.history.event_stream.page(
        harness.dataset_ref, EventFilter(), size=1, with_body=True
    )
    assert page.events[0].body == {"interaction": {"name": "View"}}


async def test_events_are_filtered_by_name_and_time(harness: InteractionsHarness) -> None:
    for hour, name in enumerate(("View", "Buy", "View", "Leave")):
        await harness.event(device=X, name=name, at=BEGINNING_US + hour)
    assert names(await read_all_pages(harness, EventFilter(name="View"), 1)) == ["View", "View"]
    assert names(await read_all_pages(harness, EventFilter(since=BEGINNING_US + 1))) == [
        "Leave",
        "View",
        "Buy",
    ]
    assert names(await read_all_pages(harness, EventFilter(until=BEGINNING_US + 1))) == ["Buy", "View"]
    assert names(await read_events_after(harness, BEGINNING, 2, EventFilter(name="View"))) == ["View", "View"]


async def test_only_events_of_this_dataset_are_streamed(
    harness: InteractionsHarness, services: Services
) -> None:
    other = await InteractionsHarness(services).begin()
    await other.event(device=X, name="other")
    resolution = await harness.event(device=X, name="View")
    await services.profiles.profiles.patch(
        harness.dataset_ref, ACTOR, resolution.profile.profile_id, {"traits": {"plan": "gold"}}
    )
    assert names(await read_all_pages(harness)) == ["View"]
    assert names(await read_events_after(harness, BEGINNING, 1)) == ["View"]


async def test_events_of_an_erased_person_are_not_streamed(harness: InteractionsHarness) -> None:
    resolution = await harness.event(mail("ann@acme.example"), device=X, name="View")
    await harness.erase(resolution.profile.profile_id)
    await harness.event(device=Y, name="Buy")
    assert names(await read_all_pages(harness)) == ["Buy"]
    assert names(await read_events_after(harness, BEGINNING, 1)) == ["Buy"]


@pytest.mark.parametrize("size", [1, 3, 50])
async def test_bounded_scans_still_return_all_events(harness: InteractionsHarness, size: int) -> None:
    for number in range(9):
        await harness.event(device=X, name=f"{number}")
    limit_stream(harness, scanned_max=4, scanned_at_once=2)
    assert names(await read_all_pages(harness, size=size)) == [f"{number}" for number in range(9)][::-1]
    assert names(await read_all_pages(harness, EventFilter(name="0"), size)) == ["0"]
    assert names(await read_events_after(harness, BEGINNING, 9)) == [f"{number}" for number in range(9)]


async def test_a_page_ends_where_the_stream_begins(harness: InteractionsHarness) -> None:
    await harness.event(device=X, name="before")
    watermark = await harness.services.history.event_stream.watermark(harness.dataset_ref)
    await harness.event(device=X, name="after")
    page = await harness.services.history.event_stream.page(
        harness.dataset_ref, EventFilter(), before=watermark, size=10
    )
    assert names(page.events) == ["before"]
    assert names(await read_events_after(harness, watermark, 1)) == ["after"]


async def test_an_earlier_timestamp_that_commits_later_is_not_skipped(
    harness: InteractionsHarness,
) -> None:
    """A slow batch takes a seq first and commits after a later seq."""
    dataset_ref = harness.dataset_ref
    slow_connection = await connect(harness.services.database.url)
    transaction = slow_connection.transaction()
    await transaction.start()
    try:
        writer = Transaction(slow_connection, dataset_ref.dataset_id)
        await writer.lock_identifiers(())
        early = (await writer.read_clock()).now
        fast = await harness.event(device=X, name="fast")
        assert fast.seq > early
        batch_before_commit = await next_batch(harness, BEGINNING)
        assert (batch_before_commit.events, batch_before_commit.position.seq <= early) == ((), True)
        assert names(await read_all_pages(harness)) == ["fast"], "pages do not wait for the slow batch"
        content = PageEvent(
            observation_id=UUID(int=7), new_profile_id=UUID(int=8), interface="interactions", name="slow"
        )
        await slow_connection.execute(
            "INSERT INTO log (dataset_id, seq, observation_id, kind, name, config_version, content) "
            "VALUES ($1, $2, $3, 'event', 'slow', 0, $4)",
            dataset_ref.dataset_id, early, content.observation_id, content,
        )  # fmt: skip
        await transaction.commit()
    finally:
        await slow_connection.close()
    assert names(await read_events_after(harness, batch_before_commit.position, 2)) == ["slow", "fast"]


async def test_a_slow_batch_does_not_delay_other_datasets(
    harness: InteractionsHarness, services: Services
) -> None:
    other = await InteractionsHarness(services).begin()
    async with begin(services.database, other.dataset_ref.dataset_id) as slow:
        await slow.lock_identifiers(())
        await harness.event(device=X, name="View")
        assert names(await read_events_after(harness, BEGINNING, 1)) == ["View"]


async def test_followers_of_a_busy_dataset_get_each_event_once(harness: InteractionsHarness) -> None:
    """Concurrent writers use shared profiles, while a follower reconnects at random positions."""
    limit_stream(harness, followers=Followers(poll_s=0.005))
    count, streamed = 400, list[StreamedEvent]()
    start = await harness.services.history.event_stream.watermark(harness.dataset_ref)
    chance = random.Random(7)

    async def write(number: int) -> None:
        await asyncio.sleep(0)
        identities = [mail(f"{chance.randrange(20)}@acme.example")] if chance.random() < 0.5 else []
        await harness.event(*identities, device=f"{chance.randrange(40):016x}", name=f"{number}")

    async def follow() -> None:
        after = start
        while len(streamed) < count:
            follower = harness.services.history.event_stream.follow(
                harness.dataset_ref, EventFilter(), after=after
            )
            async with aclosing(follower) as following:
                async for batch in following:
                    streamed.extend(batch.events)
                    after = (
                        batch.events[-1].position
                        if batch.events and chance.random() < 0.5
                        else batch.position
                    )
                    if len(streamed) >= count or chance.random() < 0.3:
                        break

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(follow())
        for number in range(count):
            group.create_task(write(number))
    assert sorted(int(event.name or "") for event in streamed) == list(range(count))
    assert [event.position for event in streamed] == sorted(
        (event.position for event in streamed), key=_order
    )


def _order(position: EventPosition) -> tuple[int, UUID]:
    return position.seq, position.observation_id


async def test_following_ends_when_the_service_stops(harness: InteractionsHarness) -> None:
    started, stream = asyncio.Event(), harness.services.history.event_stream

    async def follow() -> None:
        async for _ in stream.follow(harness.dataset_ref, EventFilter(), after=BEGINNING):
            started.set()

    async with asyncio.timeout(DEADLINE_S):
        task = asyncio.create_task(follow())
        await started.wait()
        stream.followers.close()
        await task


async def test_the_number_of_followers_of_a_process_is_limited(harness: InteractionsHarness) -> None:
    limit_stream(harness, followers=Followers(followers_max=1))
    stream = harness.services.history.event_stream
    assert not stream.followers.is_full
    async with aclosing(stream.follow(harness.dataset_ref, EventFilter(), after=BEGINNING)) as following:
        await anext(following)
        assert stream.followers.is_full
    assert not stream.followers.is_full


@pytest.mark.parametrize("direction", ["forwards", "backwards"])
async def test_a_scan_reads_the_index_in_its_order(harness: InteractionsHarness, direction: str) -> None:
    person = (await harness.event(device=X)).profile.profile_id
    plan = await plan_of(
        harness.services.database, harness.dataset_ref.dataset_id, person, scan_statement(direction),
        0, UUID(int=0), 10, None, 0, 1, False, 10,
    )  # fmt: skip
    assert "log_key" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "Sort Key: log" not in plan, plan
