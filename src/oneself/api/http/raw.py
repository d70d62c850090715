"""Raw endpoints: HTTP endpoints without the framework, for the wires whose requests are most of the load.

    request ─▶ handler: check_url, check_method, read_body, decode, one use-case, render
        error ─▶ table of the wire: error → response
        response ─▶ gzip, headers of the wire, CORS ─▶ client ─▶ metrics

A wire builds one `RawEndpoint` from a handler (a coroutine `RawRequest → RawResponse`), its error table and
its CORS policy, and names its paths to `api.dispatch`. The handler raises; the table renders.

The tracking wire (`/v1/*`, docs/wire/tracking.md) would use it like this: its handler checks
`RateLimiter.acquire` for the address, reads at most 500 kB with `request.read_body(500_000)`, finds the
source by the write key in the Basic credentials or the document, decodes each message of the batch into an
`IncomingEvent`, submits them, and renders one status for the batch. Its policy is
`CorsPolicy(methods=b"POST", headers=b"Content-Type, Authorization")`; its table renders the same errors as
`{"success": false}` documents.

Invariants: nothing here knows a wire's documents or texts. Errors carry numbers; a wire's table words them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from oneself.api.http.asgi import Headers, Receive, Scope, Send
from oneself.api.http.cors import CorsPolicy, cors_headers
from oneself.api.http.metrics import Metrics
from oneself.web.gzip import accepts_gzip, compress

NO_CONTENT = 204


class RawRequestError(Exception):
    """A raw request that no handler can answer as it is."""


class UrlTooLong(RawRequestError):
    """The path and query have more than `chars_max` characters."""

    def __init__(self, chars_max: int) -> None:
        super().__init__(f"The URL has more than {chars_max} characters.")
        self.chars_max = chars_max


class BodyTooLarge(RawRequestError):
    """The body has more than `bytes_max` bytes."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"The body has more than {bytes_max} bytes.")
        self.bytes_max = bytes_max


class BodyIncomplete(RawRequestError):
    """The client disconnected while it sent the body."""


class RateLimited(RawRequestError):
    """Too many requests; `retry_after_s`: seconds until the next one is accepted."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many requests; retry in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class RawRequest:
    """A request before anything of it is decoded."""

    __slots__ = ("_receive", "body", "headers", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.scope = scope
        #: What `read_body` has read.
        self.body = b""
        self.headers: dict[bytes, bytes] = dict(scope["headers"])

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def query(self) -> bytes:
        return bytes(self.scope["query_string"])

    @property
    def address(self) -> str:
        """The IP address of the client; empty if the server does not know it."""
        client = self.scope.get("client")
        return client[0] if client else ""

    def check_url(self, chars_max: int) -> None:
        """Raise UrlTooLong for a longer path and query."""
        if len(self.scope["raw_path"]) + len(self.scope["query_string"]) + 1 > chars_max:
            raise UrlTooLong(chars_max)

    async def read_body(self, bytes_max: int) -> bytes:
        """The body; raises BodyTooLarge without reading much further, BodyIncomplete."""
        body = await self._receive_body(bytes_max)
        if len(body) > bytes_max:
            raise BodyTooLarge(bytes_max)
        self.body = body
        return body

    async def _receive_body(self, bytes_max: int) -> bytes:
        message = await self._receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body") and len(body) <= bytes_max:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise BodyIncomplete("The client disconnected before the end of the body.")
            body += message.get("body", b"")
        return body


class RawResponse(msgspec.Struct, frozen=True):
    """A response before it is compressed and given the wire's headers."""

    status: int
    body: bytes
    #: What became of the request, as metrics count it; one of a few words of the wire.
    outcome: str
    #: Headers of this response, beside those of every response of the wire.
    headers: tuple[tuple[bytes, bytes], ...] = ()


class RawAnswer(msgspec.Struct, frozen=True):
    """A response as it is sent. `outcome`: as in RawResponse."""

    status: int
    #: The headers beside those of every response of the wire.
    headers: Headers
    body: bytes
    outcome: str


Handler: TypeAlias = Callable[[RawRequest], Awaitable[RawResponse]]
#: Error → response. The entry of the nearest base class applies; `Exception` needs one.
ErrorTable: TypeAlias = Mapping[type[Exception], Callable[[Any], RawResponse]]


class RawEndpoint:
    """An ASGI application around one handler."""

    def __init__(
        self, handler: Handler, *, errors: ErrorTable, headers: Headers, cors: CorsPolicy, metrics: Metrics
    ) -> None:
        assert Exception in errors, "an error without an entry would leave a request unanswered"
        self._handler = handler
        self._errors = errors
        self._headers = headers
        self._cors = cors
        self._metrics = metrics
        #: The headers of every response of the wire, as they are sent.
        self.header_lines = b"".join(b"%b: %b\r\n" % header for header in headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = time.perf_counter()
        answer = await self.answer(RawRequest(scope, receive))
        headers = [*self._headers, *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
        self.observe(scope, answer, time.perf_counter() - started_s)

    async def answer(self, request: RawRequest) -> RawAnswer:
        """The response of the handler, or the one to its error, as it is sent."""
        try:
            response = await self._handler(request)
        except Exception as error:
            response = self._render(error)
        return self._complete(request, response)

    def observe(self, scope: Scope, answer: RawAnswer, duration_s: float) -> None:
        """Count a request that has its answer."""
        self._metrics.observe(scope, answer.status, duration_s)
        self._metrics.observe_event(answer.outcome)

    def _render(self, error: Exception) -> RawResponse:
        kind = next(kind for kind in type(error).__mro__ if kind in self._errors)
        return self._errors[kind](error)

    def _complete(self, request: RawRequest, response: RawResponse) -> RawAnswer:
        body, headers = response.body, cors_headers(self._cors, request.headers)
        if body and accepts_gzip(request.headers.get(b"accept-encoding", b"")):
            body = compress(body)
            headers.append((b"content-encoding", b"gzip"))
        headers += response.headers
        if response.status != NO_CONTENT:
            headers.append((b"content-length", b"%d" % len(body)))
        return RawAnswer(response.status, headers, body, response.outcome)
