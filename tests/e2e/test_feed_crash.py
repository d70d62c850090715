"""kill -9 under load: whoever follows the change feed, by whichever way, misses nothing and is right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from conftest import StartService
from support.feed_consumer import FeedConsumer
from support.nats_consumer import read_stream
from support.nats_server import NatsServer
from support.service import RunningService
from support.waiting import until_async

from .feed_followers import (
    ChangeReceiver,
    MergingWriters,
    PageFollower,
    StreamFollower,
    current_of,
    of_each_profile,
    table_of,
)
from .load import ADMIN, PERMISSIONS, client, define

MORE_PERMISSIONS = tuple(
    f"internal_cds_{name}" for name in ("profile_merge", "admin_config_view", "admin_config_update")
)
WRITERS = 8
BETWEEN_KILLS = 40
#: A webhook that a killed process was serving waits for two minutes.
DEADLINE_S = 240.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    running = NatsServer(tmp_path / "nats").start()
    yield running
    running.stop()


@pytest.fixture
def receiver() -> Iterator[ChangeReceiver]:
    receiver = ChangeReceiver()
    yield receiver
    receiver.stop()


async def test_every_way_to_follow_changes_survives_kills(
    start_service: StartService, broker: NatsServer, receiver: ChangeReceiver
) -> None:
    await _survive(start_service, broker, receiver, rounds=1)


@pytest.mark.soak
async def test_every_way_to_follow_changes_survives_ten_rounds_of_kills(
    start_service: StartService, broker: NatsServer, receiver: ChangeReceiver
) -> None:
    await _survive(start_service, broker, receiver, rounds=10)


async def _survive(
    start_service: StartService, broker: NatsServer, receiver: ChangeReceiver, *, rounds: int
) -> None:
    environment = {"ONESELF_NATS_URL": broker.url, "ONESELF_NATS_VIEWS": "proven,all"}
    service = await asyncio.to_thread(start_service, environment=environment)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            client(service, service.token(*PERMISSIONS, *MORE_PERMISSIONS))
        )
        for name in ("mail", "n"):
            await define(http, name)
        rule = {"rule_name": "by mail", "property_name": "traits.mail", "priority": 1, "is_active": True}
        assert (await http.post("/unification-rules", json=rule)).status_code == 201
        http.base_url = service.base_url
        made = await http.post(f"{ADMIN}/webhooks", json={"url": receiver.url})
        assert made.status_code == 201, made.text
        pages, stream = PageFollower(http, "proven"), StreamFollower(http, "proven")
        everything = PageFollower(http, "all")
        writers = MergingWriters(http, WRITERS)
        tasks = [asyncio.create_task(one.run()) for one in (pages, everything, stream)]
        writing = writers.begin()
        try:
            for _ in range(rounds):
                await _kill_each(service, broker, writers)
            await _wait_for_more(writers)
            writers.stop()
            await writing
            await _caught_up(pages, everything, stream, receiver, broker)
        finally:
            for task in (*tasks, writing):
                task.cancel()
            outcomes = await asyncio.gather(*tasks, writing, return_exceptions=True)
        failures = [item for item in outcomes if isinstance(item, Exception)]
        assert not failures, failures
        assert writers.split > 0
        await _compare(http, pages.consumer, everything.consumer, stream.consumer, receiver, broker)


async def _kill_each(service: RunningService, broker: NatsServer, writers: MergingWriters) -> None:
    """Kill the service twice and the broker once, each while changes are written."""
    await _wait_for_more(writers)
    await _kill(service)
    await _wait_for_more(writers)
    await asyncio.to_thread(broker.kill)
    await _wait_for_more(writers)
    await asyncio.to_thread(broker.start)
    await _wait_for_more(writers)
    await _kill(service)


async def _kill(service: RunningService) -> None:
    service.kill()
    await asyncio.to_thread(service.start)


async def _wait_for_more(writers: MergingWriters) -> None:
    expected = writers.written + BETWEEN_KILLS

    async def is_written() -> bool:
        writers.raise_failure()
        return writers.written >= expected

    await until_async(is_written, lambda: f"only {writers.written} writes were acknowledged")


async def _caught_up(
    pages: PageFollower,
    everything: PageFollower,
    stream: StreamFollower,
    receiver: ChangeReceiver,
    broker: NatsServer,
) -> None:
    """Wait until every follower has as many changes as the pages."""

    async def is_equal() -> bool:
        await asyncio.sleep(0.5)
        number, every = len(pages.consumer.documents), len(everything.consumer.documents)
        return (
            pages.is_done
            and everything.is_done
            and len(stream.consumer.documents) >= number
            and len(receiver.documents()) >= number
            and len(await read_stream(broker.url)) >= number + every
        )

    def missing() -> str:
        counts = (len(pages.consumer.documents), len(stream.consumer.documents), len(receiver.documents()))
        return f"changes by pages, stream and webhook: {counts}"

    await until_async(is_equal, missing, DEADLINE_S)


async def _compare(
    http: httpx.AsyncClient,
    pages: FeedConsumer,
    everything: FeedConsumer,
    stream: FeedConsumer,
    receiver: ChangeReceiver,
    broker: NatsServer,
) -> None:
    published = {
        view: [item.document for item in await read_stream(broker.url, f"oneself.acme.default.{view}.>")]
        for view in ("proven", "all")
    }
    kinds = {document.type for document in pages.documents}
    assert {"profile.created", "profile.merged", "profile.split"} <= kinds
    assert stream.documents == pages.documents
    assert published["proven"] == pages.documents, "each once, in order"
    assert published["all"] == everything.documents
    received = receiver.documents()
    assert sorted(item.cursor for item in received) == sorted(item.cursor for item in pages.documents)
    assert of_each_profile(received) == of_each_profile(pages.documents), "in order for each profile"
    for view, consumer in (("proven", pages), ("all", everything)):
        current = await current_of(http, consumer.current, view)
        differing = {item for item, head in consumer.current.items() if head != current[item]}
        assert not differing, view
        assert table_of(published[view]).current == current, view
    assert table_of(received).current == pages.current
