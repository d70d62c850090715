"""The application behind two servers: one with the short way for events, one without."""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import msgspec
import pytest
import uvicorn

from oneself.api.app import create_app
from oneself.api.http.metrics import Metrics
from oneself.processes.bounded_protocol import BoundedProtocol
from oneself.processes.event_protocol import EventCycle
from oneself.processes.worker import Server, server_config
from oneself.services import Services
from support.waiting import until_async

DEADLINE_S = 20.0
_COUNTED = ("oneself_http_requests_total", "oneself_events_total", "oneself_http_request_seconds_count")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_SECONDS = re.compile(rb"(?<=retry-after: )\d+|(?<=again in )\d+")
_CHANGING = (
    (re.compile(rb"(?<=date: )[^\r]+"), b"now"),
    (re.compile(rb'"(?:[0-9a-f]{24}|[0-9a-f]{16})"'), b'"id"'),
    (re.compile(rb'(?<="entityId":")[\w-]+'), b"token"),
    (_SECONDS, b"seconds"),
)


class Reads:
    """Counts what connections have read, and which requests took the short way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.short = 0, 0
        receive, answer = BoundedProtocol.data_received, EventCycle.answer

        def data_received(protocol: BoundedProtocol, data: bytes) -> None:
            self.count += 1
            receive(protocol, data)

        async def counted(cycle: EventCycle, *arguments: object) -> None:
            self.short += 1
            await answer(cycle, *arguments)

        monkeypatch.setattr(BoundedProtocol, "data_received", data_received)
        monkeypatch.setattr(EventCycle, "answer", counted)
        # pytest gives a handler to each logger that does not propagate, which would turn the access log on.
        monkeypatch.setattr(logging.getLogger("uvicorn.access"), "hasHandlers", lambda: False)

    async def has_passed(self, count: int) -> bool:
        return self.count > count


class Exchange(msgspec.Struct, frozen=True):
    """What a client sends on one connection, and how many responses it expects.

    `parts`: each is one read of the server. `short`: requests that take the short way, None if
    it depends on the time.
    """

    parts: tuple[bytes, ...]
    responses: int = 1
    short: int | None = 1
    is_head: bool = False


class Way:
    """One of the two servers."""

    def __init__(self, server: Server, port: int, metrics: Metrics, reads: Reads) -> None:
        self.server, self.port, self.reads, self._metrics = server, port, reads, metrics
        self.stopped: asyncio.Task[None] | None = None
        self._counted_before: dict[str, float] = {}

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, writer: asyncio.StreamWriter, parts: Sequence[bytes]) -> None:
        """Send parts, each when the server has read the one before."""
        for part in parts:
            passed = partial(self.reads.has_passed, self.reads.count)
            writer.write(part)
            await until_async(passed, f"the server did not read {part[:80]!r}")

    async def exchange(self, exchange: Exchange) -> bytes:
        """Everything that the server sends, with what changes from one request to the next masked."""
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await self.connect()
            await self.send(writer, exchange.parts)
            received = [await response(reader, exchange.is_head) for _ in range(exchange.responses)]
            if b"\r\nconnection: close" in received[-1].lower():
                received.append(await reader.read())
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        return b"".join(received)

    def protocol(self, transport: asyncio.Transport) -> BoundedProtocol:
        """The protocol of a new connection on a transport of a test."""
        made: BoundedProtocol = self.server.config.http_protocol_class(  # type: ignore[assignment, call-arg]
            config=self.server.config, server_state=self.server.server_state, app_state={}
        )
        made.connection_made(transport)
        return made

    async def is_stopping(self) -> bool:
        """Whether connections with a request in flight close after its response."""
        connections = self.server.server_state.connections
        return bool(connections) and not any(connection.cycle.keep_alive for connection in connections)

    async def is_idle(self) -> bool:
        return not self.server.server_state.connections

    async def has_no_task(self) -> bool:
        return not self.server.server_state.tasks

    def counts(self) -> dict[str, float]:
        """Requests and events by what became of them, since `forget_counts`."""
        before = self._counted_before
        counted = {name: value - before.get(name, 0) for name, value in self._all_counts().items()}
        return {name: value for name, value in counted.items() if value}

    def forget_counts(self) -> None:
        self._counted_before = self._all_counts()

    def _all_counts(self) -> dict[str, float]:
        lines = self._metrics.render().decode().splitlines()
        named = (line.rpartition(" ") for line in lines if line.startswith(_COUNTED))
        return {name: float(value) for name, _, value in named}


async def response(reader: asyncio.StreamReader, is_head: bool = False) -> bytes:
    """The next response, masked; with the interim ones before it."""
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 1"):
        return head + await response(reader, is_head)
    length = _LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length and not is_head else b""
    if b"content-encoding: gzip" in head.lower() and body:
        body = gzip.decompress(body)
        head = _LENGTH.sub(b"\r\ncontent-length: compressed", head)
    if _SECONDS.search(body):
        # One digit or two.
        head = _LENGTH.sub(b"\r\ncontent-length: with seconds", head)
    for pattern, instead in _CHANGING:
        head, body = pattern.sub(instead, head), pattern.sub(instead, body)
    return head + body


@asynccontextmanager
async def two_ways(
    services: Services, reads: Reads, config: dict[str, object] | None = None, **settings: object
) -> AsyncIterator[tuple[Way, Way]]:
    """The short way and the long one. `config`: attributes of uvicorn's configuration."""
    changed = msgspec.structs.replace(services.settings, **settings)
    ways = [await _start(services, changed, reads, {**(config or {}), **way}) for way in ({}, _LONG)]
    try:
        yield ways[0], ways[1]
    finally:
        for way in ways:
            way.server.should_exit = True
        await asyncio.gather(*(way.stopped for way in ways if way.stopped is not None))


_LONG = {"http": BoundedProtocol}


async def _start(services: Services, settings: object, reads: Reads, config: dict[str, object]) -> Way:
    metrics, ready = Metrics(), asyncio.Event()
    made: uvicorn.Config = server_config(create_app(services, settings, metrics), settings)  # type: ignore[arg-type]
    for name, value in config.items():
        setattr(made, name, value)
    listener = socket.create_server(("127.0.0.1", 0))
    way = Way(Server(made, ready.set), listener.getsockname()[1], metrics, reads)
    way.stopped = asyncio.create_task(way.server.serve([listener]))
    await ready.wait()
    return way
