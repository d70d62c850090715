"""Connections with the short way for events: they stop, end, wait and are limited as on the long way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from oneself.service.ingest.submission import Resolution, Submission
from support.caller import Cds
from support.two_ways import DEADLINE_S, Exchange, Reads, Way, response, two_ways
from support.waiting import until_async

PATH = "/t/acme/api2/event/default"
BODY = b'{"interaction": {"name": "View"}, "user": {"anonymousId": "0123456789abcdef-1"}}'
EVENT = b"POST %b HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%b" % (PATH.encode(), len(BODY), BODY)
Scenario = Callable[[Way], Awaitable[object]]


class HeldBatches:
    """Holds observations back until they are released."""

    def __init__(self, cds: Cds, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting, self.committed = 0, 0
        self.released = asyncio.Event()
        self.released.set()
        self._submit = cds.services.ingest.submit
        monkeypatch.setattr(cds.services.ingest, "submit", self._held)

    async def _held(self, dataset_id: int, submission: Submission) -> Resolution:
        self.waiting += 1
        await self.released.wait()
        resolution = await self._submit(dataset_id, submission)
        self.committed += 1
        return resolution

    def hold(self) -> None:
        self.released.clear()
        self.waiting = self.committed = 0

    async def send_event(self, way: Way) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send an event that is held back."""
        self.hold()
        reader, writer = await way.connect()
        writer.write(EVENT)
        await self.until_one_waits()
        return reader, writer

    async def until_one_waits(self) -> None:
        await until_async(self._one_waits, "no event was submitted")

    async def until_one_is_committed(self) -> None:
        await until_async(self._one_is_committed, "no event was committed")

    async def _one_waits(self) -> bool:
        return self.waiting == 1

    async def _one_is_committed(self) -> bool:
        return self.committed == 1


class MemoryTransport(asyncio.Transport):
    """A socket in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


@pytest.fixture
def held(cds: Cds, monkeypatch: pytest.MonkeyPatch) -> HeldBatches:
    return HeldBatches(cds, monkeypatch)


async def results_of(cds: Cds, reads: Reads, scenario: Scenario, **config: object) -> tuple[object, object]:
    """What a scenario returns on the short way and on the long one."""
    async with two_ways(cds.services, reads, config) as (fast, slow):
        # The first event creates the visitor.
        await slow.exchange(Exchange((EVENT,)))
        slow.forget_counts()
        short, counts = await scenario(fast), fast.counts()
        assert reads.short > 0
        found = short, await scenario(slow)
        assert counts == slow.counts()
    return found


async def test_a_request_in_flight_is_answered_before_the_worker_exits(
    cds: Cds, reads: Reads, held: HeldBatches
) -> None:
    async def scenario(way: Way) -> bytes:
        reader, writer = await held.send_event(way)
        way.server.should_exit = True
        await until_async(way.is_stopping, "the connection does not know that the server stops")
        held.released.set()
        received = await response(reader) + await reader.read()
        writer.close()
        assert way.stopped is not None
        await way.stopped
        return received

    short, long = await results_of(cds, reads, scenario)
    assert short == long
    assert b"HTTP/1.1 200 OK" in short
    assert b"\r\nconnection: close\r\n" in short


async def test_a_request_that_takes_longer_than_the_shutdown_gets_an_error(
    cds: Cds, reads: Reads, held: HeldBatches
) -> None:
    async def scenario(way: Way) -> bytes:
        reader, writer = await held.send_event(way)
        way.server.should_exit = True
        received = await response(reader) + await reader.read()
        writer.close()
        return received

    short, long = await results_of(cds, reads, scenario, timeout_graceful_shutdown=0.01)
    assert short == long
    assert b"500 Internal Server Error" in short
    held.released.set()


async def test_an_event_is_stored_when_its_client_disconnects(
    cds: Cds, reads: Reads, held: HeldBatches
) -> None:
    async def scenario(way: Way) -> dict[str, float]:
        _, writer = await held.send_event(way)
        writer.transport.abort()
        await until_async(way.is_idle, "the connection was not lost")
        held.released.set()
        await until_async(way.has_no_task, "the request did not end")
        return way.counts()

    short, long = await results_of(cds, reads, scenario)
    assert short == long
    rows = await cds.services.database.fetch("SELECT count(*) AS count FROM log WHERE kind = 'event'")
    assert rows[0]["count"] == 3


async def test_nothing_is_read_of_a_client_that_has_disconnected(cds: Cds, reads: Reads) -> None:
    async def scenario(way: Way) -> bytes:
        transport = MemoryTransport()
        protocol = way.protocol(transport)
        protocol.data_received(EVENT)
        protocol.connection_lost(None)
        await until_async(way.has_no_task, "the request did not end")
        return transport.written

    short, long = await results_of(cds, reads, scenario)
    assert short == long == b""


async def test_a_client_that_does_not_read_gets_its_answer_later(
    cds: Cds, reads: Reads, held: HeldBatches
) -> None:
    async def scenario(way: Way) -> int:
        held.hold()
        transport = MemoryTransport()
        protocol = way.protocol(transport)
        protocol.pause_writing()
        held.released.set()
        protocol.data_received(EVENT)
        await held.until_one_is_committed()
        assert transport.written == b""
        assert not await way.has_no_task()
        protocol.resume_writing()
        await until_async(way.has_no_task, "the request did not end")
        protocol.connection_lost(None)
        return len(transport.written)

    short, long = await results_of(cds, reads, scenario)
    assert short == long > 0


async def test_an_idle_connection_is_closed_after_the_keep_alive_time(cds: Cds, reads: Reads) -> None:
    async def scenario(way: Way) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await way.connect()
            writer.write(EVENT)
            received = await response(reader) + await reader.read()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        return received

    short, long = await results_of(cds, reads, scenario, timeout_keep_alive=0.05)
    assert short == long


async def test_connections_beyond_the_limit_are_refused(cds: Cds, reads: Reads) -> None:
    async with two_ways(cds.services, reads, {"limit_concurrency": 2}) as ways:
        for way in ways:
            _, idle = await way.connect()
            refused = await way.exchange(Exchange((EVENT,)))
            assert refused.startswith(b"HTTP/1.1 503 ")
            idle.close()
    assert reads.short == 0
