"""What arrives on a connection is bounded in size and time, whichever way a request takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from oneself.processes.bounded_protocol import (
    ARRIVAL_S,
    BODY_BYTES_PER_S,
    DELIVERY_S,
    FAREWELL_S,
    HEAD_BYTES_MAX,
    UNUSED_BYTES_MAX,
    BoundedProtocol,
)
from support.caller import Cds
from support.two_ways import Exchange, Reads, Way, two_ways
from support.waiting import until_async

PATH = "/t/acme/api2/event/default"
BODY = b'{"interaction": {"name": "View"}, "user": {"anonymousId": "0123456789abcdef-1"}}'
HEAD = b"POST %b HTTP/1.1\r\nHost: here\r\n" % PATH.encode()
EVENT = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BODY_CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)
FRAMEWORK = b"GET /health HTTP/1.1\r\nHost: here\r\n"
ENDLESS = UNUSED_BYTES_MAX * 4


class HeldTransport(asyncio.Transport):
    """A socket in memory whose client reads nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed, self.aborted = b"", False, False

    def write(self, data: object) -> None:
        self.written += bytes(data)  # type: ignore[call-overload]

    def write_eof(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return len(self.written)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


@pytest_asyncio.fixture
async def ways(cds: Cds, reads: Reads) -> AsyncIterator[tuple[Way, Way]]:
    async with two_ways(cds.services, reads) as both:
        yield both


async def exchanged(way: Way, *parts: bytes, responses: int = 1) -> bytes:
    return await way.exchange(Exchange(parts, responses))


@pytest.mark.parametrize("head", [HEAD, FRAMEWORK])
async def test_a_head_may_have_64_kib(ways: tuple[Way, Way], head: bytes) -> None:
    room = HEAD_BYTES_MAX - len(head) - len("X: \r\n")
    for way in ways:
        for parts in ((b"%bX: %b\r\n\r\n" % (head, b"x" * room),), (head, b"X: %b\r\n\r\n" % (b"x" * room))):
            assert b" 431 " not in await exchanged(way, *parts)
        longer = await exchanged(way, b"%bX: %b\r\n\r\n" % (head, b"x" * (room + 100)))
        assert longer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert b"\r\nconnection: close\r\n" in longer


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"X: " + b"x" * ENDLESS,
        HEAD + b"X: x\r\n" * (ENDLESS // 6),
        b"GET /" + b"x" * ENDLESS,
        b"\r\n" * (ENDLESS // 2),
        CHUNKED + BODY_CHUNK + b"0\r\n" + b"X: x\r\n" * (ENDLESS // 6),
        CHUNKED + BODY_CHUNK + b"0\r\nX: " + b"x" * ENDLESS,
        CHUNKED + b"1;x=" + b"x" * ENDLESS,
    ],
    ids=["header", "headers", "url", "blank lines", "trailers", "trailer", "chunk extension"],
)
async def test_what_has_no_end_is_not_stored(ways: tuple[Way, Way], sent: bytes) -> None:
    for way in ways:
        received = await exchanged(way, sent)
        assert received.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


async def test_trailers_change_nothing(ways: tuple[Way, Way]) -> None:
    for way in ways:
        plain = await exchanged(way, CHUNKED + BODY_CHUNK + b"0\r\n\r\n")
        trailer = b"Origin: https://shop.example\r\nX-Forwarded-For: 192.0.2.7\r\nAccept-Encoding: gzip\r\n"
        assert plain == await exchanged(way, CHUNKED + BODY_CHUNK + b"0\r\n" + trailer + b"\r\n")


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0"])
async def test_a_request_for_another_protocol_is_answered_as_if_it_had_not_asked(
    ways: tuple[Way, Way], protocol: bytes
) -> None:
    """The HTTP client of Java asks for HTTP/2 in every request."""
    asking = (
        HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %b\r\nHTTP2-Settings: AAMA\r\n" % protocol
    )
    event = asking + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
    health = FRAMEWORK + b"Connection: Upgrade\r\nUpgrade: %b\r\n\r\n" % protocol
    for way in ways:
        plain = await exchanged(way, EVENT)
        assert plain.startswith(b"HTTP/1.1 200 ")
        assert await exchanged(way, event) == plain
        assert await exchanged(way, event[:-5], event[-5:]) == plain
        assert (await exchanged(way, event + health + event, responses=3)).count(b"HTTP/1.1 200 ") == 3
        assert (await exchanged(way, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n")).startswith(
            b"HTTP/1.1 501 "
        )


async def test_requests_before_an_invalid_one_are_answered_before_its_rejection(
    ways: tuple[Way, Way],
) -> None:
    for way in ways:
        received = await exchanged(way, EVENT * 3 + b"NO HTTP\r\n\r\n", responses=4)
        assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"400"]


def on_memory(way: Way) -> tuple[BoundedProtocol, HeldTransport, float]:
    """A connection on a socket in memory, and the instant when it began."""
    transport = HeldTransport()
    protocol = way.protocol(transport)
    return protocol, transport, asyncio.get_running_loop().time()


@pytest.mark.parametrize("sent", [EVENT[:10], EVENT[:-5], CHUNKED + BODY_CHUNK, FRAMEWORK])
async def test_a_request_has_to_arrive_in_time(ways: tuple[Way, Way], sent: bytes) -> None:
    for way in ways:
        protocol, transport, began_s = on_memory(way)
        for at in range(len(sent)):
            protocol.data_received(sent[at : at + 1])
        protocol.check(began_s + ARRIVAL_S - 1)
        assert transport.written == b""
        protocol.check(began_s + ARRIVAL_S + 2)
        assert transport.written.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        protocol.check(began_s + ARRIVAL_S + 3 + FAREWELL_S)
        protocol.check(began_s + ARRIVAL_S + 3 + FAREWELL_S + DELIVERY_S)
        assert transport.closed
        protocol.connection_lost(None)
        await until_async(way.has_no_task, "the request did not end")


async def test_a_connection_without_a_request_is_closed(ways: tuple[Way, Way]) -> None:
    for way in ways:
        for sent in (b"", b"\r\n"):
            protocol, transport, began_s = on_memory(way)
            if sent:
                protocol.data_received(sent)
            protocol.check(began_s + ARRIVAL_S - 1)
            assert not transport.closed
            protocol.check(began_s + ARRIVAL_S + 1)
            assert transport.closed
            assert transport.written == b""
            protocol.connection_lost(None)


async def test_a_body_has_more_time_the_more_of_it_arrives(ways: tuple[Way, Way]) -> None:
    for way in ways:
        protocol, transport, began_s = on_memory(way)
        protocol.data_received(HEAD + b"Content-Length: 200000\r\n\r\n")
        protocol.data_received(b" " * 50 * BODY_BYTES_PER_S)
        protocol.check(began_s + ARRIVAL_S + 45)
        assert transport.written == b""
        protocol.check(began_s + ARRIVAL_S + 55)
        assert b" 408 " in transport.written
        protocol.connection_lost(None)
        await until_async(way.has_no_task, "the request did not end")


async def test_an_answer_has_to_be_taken(ways: tuple[Way, Way]) -> None:
    for way in ways:
        protocol, transport, _ = on_memory(way)
        protocol.data_received(EVENT)
        await until_async(way.has_no_task, "the request did not end")
        answered_s = asyncio.get_running_loop().time()
        protocol.check(answered_s)
        protocol.check(answered_s + DELIVERY_S - 1)
        assert not transport.aborted
        transport.written += b"more"
        protocol.check(answered_s + DELIVERY_S)
        assert not transport.aborted
        protocol.check(answered_s + 2 * DELIVERY_S + 1)
        assert transport.aborted
        protocol.connection_lost(None)


async def test_the_server_checks_its_connections(
    ways: tuple[Way, Way], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[BoundedProtocol] = []
    monkeypatch.setattr(BoundedProtocol, "check", lambda protocol, now_s: checked.append(protocol))

    async def is_checked() -> bool:
        return bool(checked)

    for way in ways:
        checked.clear()
        _, writer = await way.connect()
        await until_async(is_checked, "the connection was not checked")
        writer.close()


async def test_a_process_has_no_more_connections_than_descriptors(cds: Cds, reads: Reads) -> None:
    async with two_ways(cds.services, reads) as (way, _):
        way.server.config.http_protocol_class.keywords["connections_max"] = 2  # type: ignore[attr-defined]
        held = [await way.connect() for _ in range(2)]
        for _, writer in held:
            passed = way.reads.count
            writer.write(EVENT[:10])
            await until_async(lambda passed=passed: way.reads.has_passed(passed), "nothing was read")
        reader, writer = await way.connect()
        assert await reader.read() == b""
        for _, one in (*held, (reader, writer)):
            one.close()
