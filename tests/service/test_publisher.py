"""Changes over a real NATS server: in order, each once, whoever dies, and later if the server is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import nats
import pytest

from oneself.adapters.change_event import ChangeDocument, FeedSource, position_of, render_change
from oneself.adapters.nats import NatsBroker, NatsOptions, StreamLimits
from oneself.core.identity_graph.joins import View
from oneself.errors import BrokerFailed
from oneself.service.feed.publisher import Publisher
from oneself.services import Services
from oneself.store.directory import Directory
from oneself.telemetry import NullTelemetry
from support.nats_consumer import StreamMessage, read_stream, table_of
from support.nats_server import NatsServer
from support.profiles_harness import ProfilesHarness
from support.waiting import until_async

pytestmark = pytest.mark.postgres
RESET = "UPDATE broker_position SET recorded_at = 0, number = 0, observation_id = '{}'"
NO_ID = "00000000-0000-0000-0000-000000000000"


class CountingTelemetry(NullTelemetry):
    def __init__(self) -> None:
        self.published = 0
        self.causes: list[str] = []
        self.behind_s = 0.0

    def changes_published(self, number: int) -> None:
        self.published += number

    def publication_failed(self, cause: str) -> None:
        self.causes.append(cause)

    def publication_behind(self, seconds: float) -> None:
        self.behind_s = seconds


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    running = NatsServer(tmp_path / "nats").start()
    yield running
    running.stop()


@pytest.fixture
async def harness(services: Services) -> ProfilesHarness:
    created = await services.setup.provisioning.create("acme.example")
    harness = ProfilesHarness(services)
    harness.dataset_ref = created.dataset_ref
    return await harness.begin()


Make = Callable[..., Publisher]


@pytest.fixture
async def publisher_of(harness: ProfilesHarness, server: NatsServer) -> AsyncIterator[Make]:
    """`publisher_of(telemetry=None, views=("proven",), lease_s=15.0)`; each is another process."""
    brokers: list[NatsBroker] = []

    def make(
        telemetry: NullTelemetry | None = None, views: tuple[View, ...] = ("proven",), lease_s: float = 15.0
    ) -> Publisher:
        options = NatsOptions((server.url,), "oneself", StreamLimits(3600.0))
        brokers.append(NatsBroker(options, connect_s=5.0, answer_s=5.0))
        return Publisher(
            Directory(harness.database),
            harness.services.history.change_feed,
            brokers[-1],
            telemetry or NullTelemetry(),
            views=views,
            lease_s=lease_s,
            poll_s=0.05,
            retry_first_s=0.05,
        )

    yield make
    for broker in brokers:
        await broker.close()


@asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[None]:
    task = asyncio.create_task(publisher.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def in_feed(harness: ProfilesHarness, view: View = "proven") -> list[ChangeDocument]:
    """Everything that the feed has."""
    at = harness.dataset_ref
    page = await harness.services.history.change_feed.page(at, view, size=10_000)
    source = FeedSource(at.handle, at.dataset, view)
    return [render_change(item.change, item.position, item.observation_id, source) for item in page.changes]


def documents(found: list[StreamMessage]) -> list[ChangeDocument]:
    return [message.document for message in found]


async def people_who_merge(harness: ProfilesHarness, number: int) -> None:
    """So many profiles, every two of which become one."""
    await asyncio.gather(*(harness.person(mail=f"{item // 2}@acme.example") for item in range(number)))


async def test_the_stream_has_the_documents_of_the_feed_in_order(
    harness: ProfilesHarness, server: NatsServer, publisher_of: Make
) -> None:
    await harness.rule("mail")
    await people_who_merge(harness, 450)
    publisher = publisher_of()
    assert await publisher.publish_due() == len(await in_feed(harness))
    found = await read_stream(server.url)
    assert documents(found) == await in_feed(harness)
    assert {message.subject for message in found} == {
        f"oneself.acme%2Eexample.default.proven.{kind}" for kind in ("created", "merged")
    }
    assert len({message.message_id for message in found}) == len(found)
    one = await harness.person(plan="trial")
    await harness.write(one, plan="gold")
    assert await publisher.publish_due() == 2
    later = await read_stream(server.url, "oneself.*.*.*.updated")
    assert [document.profile_id for document in documents(later)] == [one]
    assert await publisher.publish_due() == 0


async def test_each_view_has_subjects_of_its_own(
    harness: ProfilesHarness, server: NatsServer, publisher_of: Make
) -> None:
    await harness.rule("mail")
    await people_who_merge(harness, 6)
    await publisher_of(views=("own", "all")).publish_due()
    for view in ("own", "all"):
        found = await read_stream(server.url, f"oneself.*.default.{view}.>")
        assert documents(found) == await in_feed(harness, view)  # type: ignore[arg-type]
    assert await read_stream(server.url, "oneself.*.*.proven.>") == []


async def test_what_a_dead_process_had_published_is_not_published_again(
    harness: ProfilesHarness, server: NatsServer, publisher_of: Make
) -> None:
    """The stream knows better than the position of the process that died before it moved it."""
    await people_who_merge(harness, 30)
    await publisher_of().publish_due()
    await harness.database.execute(RESET.format(NO_ID))
    await harness.database.execute("UPDATE broker SET leased_until = now() - interval '1 second'")
    await harness.person(plan="later")
    assert await publisher_of().publish_due() == 1
    assert documents(await read_stream(server.url)) == await in_feed(harness)


async def test_what_a_broker_lost_is_published_again(
    harness: ProfilesHarness, server: NatsServer, publisher_of: Make
) -> None:
    """A power cut of the broker takes what it had answered for but not written."""
    await people_who_merge(harness, 30)
    first = publisher_of()
    await first.publish_due()
    async with await nats.connect(server.url) as client:
        for seq in range(21, 31):
            await client.jetstream().delete_msg("oneself", seq)
    server.kill()
    with pytest.raises(BrokerFailed):
        await harness.person(plan="later")
        await first.publish_due()
    server.start()
    assert await first.publish_due() == 11
    assert documents(await read_stream(server.url)) == await in_feed(harness)


async def test_the_position_counts_when_the_stream_is_made_anew(
    harness: ProfilesHarness, server: NatsServer, publisher_of: Make
) -> None:
    await people_who_merge(harness, 4)
    await publisher_of(lease_s=0.0).publish_due()
    async with await nats.connect(server.url) as client:
        await client.jetstream().delete_stream("oneself")
    one = await harness.person(plan="later")
    assert await publisher_of().publish_due() == 1
    assert [item.profile_id for item in documents(await read_stream(server.url))] == [one]


async def test_a_broker_that_is_away_holds_up_nothing_and_gets_everything_later(
    harness: ProfilesHarness, server: NatsServer, publisher_of: Make
) -> None:
    server.stop()
    telemetry, table = CountingTelemetry(), Directory(harness.database).broker
    async with running(publisher_of(telemetry)):
        await harness.rule("mail")
        await people_who_merge(harness, 20)

        async def fails() -> bool:
            return (await table.find()).failure is not None

        await until_async(fails, "the failure is not recorded")

        async def is_behind() -> bool:
            return telemetry.behind_s > 0

        await until_async(is_behind, "nothing says that changes wait")
        state = await table.find()
        assert state.failure == "The NATS server cannot be reached: ConnectionRefusedError."
        assert state.failing_since is not None
        assert set(telemetry.causes) == {"unreachable"}
        server.start()

        async def is_published() -> bool:
            return telemetry.published == len(await in_feed(harness))

        await until_async(is_published, lambda: telemetry.causes)
        server.kill()
        await people_who_merge(harness, 10)
        server.start()
        await until_async(is_published, lambda: telemetry.causes)

        async def works() -> bool:
            return (await table.find()).failure is None

        await until_async(works, "the failure is recorded still")
    assert documents(await read_stream(server.url)) == await in_feed(harness)
    assert (await table_of(server.url)).current == await _heads(harness)


async def test_a_process_that_publishes_ends_the_failure_of_another_one(
    harness: ProfilesHarness, publisher_of: Make
) -> None:
    table, other = Directory(harness.database).broker, UUID(int=1)
    assert await table.lease(other, 60.0)
    await table.put_failure(other, "The NATS server did not answer in time.")
    await table.release(other)

    async def works() -> bool:
        return (await table.find()).failure is None

    async with running(publisher_of()):
        await until_async(works, "the failure is recorded still")


async def _heads(harness: ProfilesHarness) -> dict[Any, Any]:
    found = await harness.database.fetch("SELECT profile_id, survivor_id FROM profile")
    return {row["profile_id"]: row["survivor_id"] or row["profile_id"] for row in found}


async def test_one_process_publishes_and_another_one_takes_over(
    harness: ProfilesHarness, server: NatsServer, publisher_of: Make
) -> None:
    await people_who_merge(harness, 4)
    first, second = publisher_of(lease_s=0.5), publisher_of(lease_s=0.5)
    assert await first.publish_due() == 4
    await harness.person(plan="later")
    assert await second.publish_due() == 0, "the first one has the lease"

    async def takes_over() -> bool:
        return await second.publish_due() == 1

    await until_async(takes_over, "the lease does not end")
    await harness.person(plan="last")
    assert await first.publish_due() == 0, "it has lost the lease"
    assert await second.publish_due() == 1
    assert documents(await read_stream(server.url)) == await in_feed(harness)


async def test_processes_that_publish_at_once_keep_the_order(
    harness: ProfilesHarness, server: NatsServer, publisher_of: Make
) -> None:
    """Leases that end at once stand for processes that hang: each believes that it publishes alone."""
    await harness.rule("mail")
    telemetry = CountingTelemetry()
    async with (
        running(publisher_of(telemetry, lease_s=0.0)),
        running(publisher_of(telemetry, lease_s=0.0)),
        running(publisher_of(telemetry, lease_s=0.0)),
    ):
        for _ in range(10):
            await people_who_merge(harness, 30)

        async def is_published() -> bool:
            return len(await read_stream(server.url)) >= len(await in_feed(harness))

        await until_async(is_published, lambda: telemetry.causes)
    assert documents(await read_stream(server.url)) == await in_feed(harness)


async def test_changes_that_are_too_old_are_said_to_be_lost(
    harness: ProfilesHarness, server: NatsServer, publisher_of: Make
) -> None:
    await harness.person(plan="a")
    publisher = publisher_of()
    await publisher.publish_due()
    await harness.person(plan="b")
    old = "recorded_at = recorded_at - 30 * 24 * 3600 * 1000000::bigint"
    await harness.database.execute(f"UPDATE profile_change SET {old}")
    await harness.database.execute(f"UPDATE broker_position SET {old}")
    await harness.services.history.change_feed.sweep()
    late = await harness.person(plan="c")
    await publisher.publish_due()
    assert documents(await read_stream(server.url))[-1].profile_id == late
    (lost,) = await Directory(harness.database).broker.list_lost(10)
    assert (lost.handle, lost.dataset, lost.view) == ("acme.example", "default", "proven")


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"cursor": "%"}', b'{"cursor": "WzEsMl0"}',
     b'{"cursor": "WzQ2MTE2ODYwMTg0MjczODc5MDMsIjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMCIsMF0"}'],
)  # fmt: skip
async def test_what_others_wrote_into_the_stream_does_no_harm(
    harness: ProfilesHarness, server: NatsServer, publisher_of: Make, body: bytes
) -> None:
    """Neither what is no change, nor a position that is not reached yet."""
    publisher = publisher_of(lease_s=0.0)
    await harness.person(plan="a")
    await publisher.publish_due()
    async with await nats.connect(server.url) as client:
        await client.jetstream().publish("oneself.acme%2Eexample.default.proven.updated", body)
    await harness.person(plan="b")
    assert await publisher_of().publish_due() == 1


async def test_a_change_that_is_too_large_waits(
    harness: ProfilesHarness, tmp_path: Path, publisher_of: Make, server: NatsServer
) -> None:
    server.stop()
    strict = NatsServer(tmp_path / "strict", "max_payload: 300").start()
    try:
        options = NatsOptions((strict.url,), "oneself", StreamLimits(3600.0))
        telemetry = CountingTelemetry()
        feed = harness.services.history.change_feed
        broker = NatsBroker(options)
        publisher = Publisher(Directory(harness.database), feed, broker, telemetry, views=("proven",))
        await harness.person(plan="a")
        with pytest.raises(BrokerFailed, match="max_payload"):
            await publisher.publish_due()
        assert telemetry.published == 0
        await broker.close()
    finally:
        strict.stop()


def test_a_position_is_that_of_the_cursor() -> None:
    assert position_of(msgspec.json.encode({"cursor": "WzEsMl0"})) is None


async def test_without_a_broker_nothing_runs(harness: ProfilesHarness) -> None:
    await harness.services.feed.publisher.run()
    assert await harness.services.feed.publisher.publish_due() == 0
