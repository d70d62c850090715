"""The HTTP protocol of a connection, with a short way for events: from the bytes of a request to its raw
endpoint and from there to the socket, without the layers of ASGI between them.

    bytes ─▶ parser ─▶ a request to a raw endpoint, complete in one read, and no other one in flight?
                         yes ─▶ EventCycle ─▶ RawEndpoint.answer ─▶ one write to the socket
                         no  ─▶ uvicorn ─▶ proxy headers ─▶ api.dispatch ─▶ …

It equals the long way, because uvicorn parses, queues, times and shuts down the requests of both and the same
raw endpoint answers them; `tests/wire/interactions/in_process/test_event_protocol.py` sends requests of every
shape both ways and compares the bytes.

Invariants: a request takes one of the two ways before the next one is parsed. Nothing here knows a wire.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from oneself.api.dispatch import Dispatch
from oneself.api.http.asgi import Receive, Scope
from oneself.api.http.raw import RawAnswer, RawEndpoint, RawRequest
from oneself.processes.bounded_protocol import BoundedProtocol


def event_protocol(
    dispatch: Dispatch, trusted_proxies: list[str], connections_max: int | None = None
) -> type[asyncio.Protocol]:
    """What uvicorn makes the protocol of each connection with.

    `trusted_proxies`: whose `X-Forwarded-For` names the client, as uvicorn's `forwarded_allow_ips`.
    `connections_max`: how many connections the process may have.
    """
    proxies = ProxyHeadersMiddleware(_ignore, trusted_proxies)
    made = partial(EventProtocol, dispatch, proxies, connections_max=connections_max)
    return cast("type[asyncio.Protocol]", made)


async def _ignore(*_: Any) -> None:
    """The application behind the proxy headers: only what they change in the scope is used."""


class EventProtocol(BoundedProtocol):
    """The protocol of one connection."""

    def __init__(self, dispatch: Dispatch, proxies: ProxyHeadersMiddleware, **server: Any) -> None:
        super().__init__(**server)
        self.proxies = proxies
        #: Cycles do not wait for their bodies, so that one event is enough for all.
        self.unused_event = asyncio.Event()
        self._dispatch = dispatch
        #: A request that takes the short way if it is complete at the end of this read.
        self._pending: EventCycle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._pending is not None:
            self._take_long_way(self._pending)

    def take_head(self) -> None:
        endpoint = None if self._is_unusual() else self._find_endpoint()
        if endpoint is None:
            super().take_head()
            return
        version = self.parser.get_http_version()
        keep_alive = version != "1.0" and self.parser.should_keep_alive()
        self._pending = EventCycle(self, endpoint, keep_alive=keep_alive)

    def take_body(self, body: bytes) -> None:
        if self._pending is None:
            super().take_body(body)
        else:
            self._pending.body += body

    def take_end(self) -> None:
        if self._pending is None:
            super().take_end()
            return
        self.cycle, self._pending = self._pending, None
        self.cycle.more_body = False
        self._start_asgi_task(self.cycle, self.cycle.answer)

    def drop_request(self) -> bool:
        if self._pending is not None:
            # Uvicorn has begun to answer a request whose body is invalid.
            self._take_long_way(self._pending)
        return super().drop_request()

    def _is_unusual(self) -> bool:
        """Whether uvicorn has something to do for the request that is not done here."""
        is_behind_another = self.cycle is not None and not self.cycle.response_complete
        limit = self.limit_concurrency
        is_limited = limit is not None and max(len(self.connections), len(self.tasks)) >= limit
        is_plain = not (self.expect_100_continue or self.access_log)
        return is_behind_another or is_limited or not is_plain

    def _find_endpoint(self) -> RawEndpoint | None:
        """The raw endpoint of the request, if it has one; then the scope describes the request."""
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        endpoint = self._dispatch.find_endpoint(path)
        if endpoint is not None:
            self.scope["method"] = self.parser.get_method().decode("ascii")
            self.scope["path"] = path
            self.scope["raw_path"] = url.path
            self.scope["query_string"] = url.query or b""
        return endpoint

    def _take_long_way(self, pending: EventCycle) -> None:
        """Give uvicorn what has been received of a request."""
        self._pending = None
        super().take_head()
        if pending.body:
            super().take_body(bytes(pending.body))


class EventCycle(RequestResponseCycle):
    """A complete request to a raw endpoint, and its response."""

    def __init__(self, protocol: EventProtocol, endpoint: RawEndpoint, *, keep_alive: bool) -> None:
        super().__init__(
            scope=protocol.scope,
            transport=protocol.transport,
            flow=protocol.flow,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=protocol.access_log,
            default_headers=protocol.server_state.default_headers,
            message_event=protocol.unused_event,
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=protocol.on_response_complete,
        )
        self._endpoint = endpoint
        self._proxies = protocol.proxies

    async def answer(self, *_: Any) -> None:
        """Answer the request, as an ASGI application whose errors uvicorn handles."""
        started_s = time.perf_counter()
        request = ReceivedRequest(self)
        if b"x-forwarded-for" in request.headers:
            await self._proxies(self.scope, self.receive, self.send)
        answer = await self._endpoint.answer(request)
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected:
            self._write(answer)
        self._endpoint.observe(request.scope, answer, time.perf_counter() - started_s)

    def _write(self, answer: RawAnswer) -> None:
        """As `RequestResponseCycle.send` writes the two messages of a response."""
        self.response_started = True
        every = [b"%b: %b\r\n" % header for header in self.default_headers]
        own = [b"%b: %b\r\n" % header for header in answer.headers]
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        body = b"" if self.scope["method"] == "HEAD" else answer.body
        head = (STATUS_LINE[answer.status], *every, self._endpoint.header_lines, *own, end)
        self.transport.write(b"".join((*head, body)))
        self.response_complete = True
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class ReceivedRequest(RawRequest):
    """A request whose body has been received."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: EventCycle) -> None:
        super().__init__(cast("Scope", cycle.scope), cast("Receive", cycle.receive))
        self._cycle = cycle

    async def _receive_body(self, bytes_max: int) -> bytes:
        # As in `RequestResponseCycle.receive`: nothing is read of a client that has disconnected.
        return b"" if self._cycle.disconnected else bytes(self._cycle.body)
