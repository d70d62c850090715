"""What all responses of the framework have in common: a plain ASGI layer around its router.

OPTIONS            200, empty, for any path and any caller
HEAD               answered as GET, without the body
/t/{org} alone     400
two slashes        no route has them; one at the end is ignored
%2F                is part of a step of the path and does not divide it (`paths`)
Origin             returned if it is on the configured list
every response     `X-Content-Type-Options`; below `/t/` also `Cache-Control: no-store` by default

Source: docs/wire/cds.md §1.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection

from oneself.api.http.asgi import App, Headers, Message, Receive, Scope, Send
from oneself.api.http.cors import CorsPolicy, cors_headers
from oneself.api.http.metrics import Metrics
from oneself.api.http.paths import routed_path

ALLOWED_METHODS = b"GET, POST, PUT, DELETE, OPTIONS, PATCH"
ALLOWED_HEADERS = b"Content-Type, Authorization"
EXPOSED_HEADERS = b"Content-Length, ETag"
_ORGANISATION_ALONE = re.compile(r"/t(/[^/]*)?/?")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class Transport:
    """Wraps an ASGI application."""

    def __init__(self, app: App, *, origins: Collection[str], metrics: Metrics) -> None:
        self._app = app
        self._policy = CorsPolicy(
            methods=ALLOWED_METHODS,
            headers=ALLOWED_HEADERS,
            origins=frozenset(origin.encode("latin-1") for origin in origins),
            allows_requested_headers=True,
            exposed=EXPOSED_HEADERS,
        )
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        cors, statuses = self._cors(scope), [500]

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses[0] = message["status"]
                message["headers"] = [*_private(scope, message), *cors, _NO_SNIFFING]
            await send(message)

        try:
            await self._route(scope, receive, finish)
        finally:
            self._metrics.observe(scope, statuses[0], time.perf_counter() - started_s)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] = routed_path(scope)
        if scope["method"] == "OPTIONS":
            await _answer(send, 200, b"", [])
        elif "//" in path:
            await _answer(send, 404, b"404 page not found", [_TEXT])
        elif path.startswith("/t") and _ORGANISATION_ALONE.fullmatch(path):
            await _answer(send, 400, b"Invalid tenant path format", [_TEXT])
        elif scope["method"] == "HEAD":
            # The server has to see HEAD in its own scope; metrics need the route.
            asked = {**scope, "method": "GET"}
            await self._app(asked, receive, _bodiless(send))
            scope["path_template"] = asked.get("path_template")
        else:
            await self._app(scope, receive, send)

    def _cors(self, scope: Scope) -> Headers:
        """What a page of the request's origin may do: nothing with the console."""
        if not self._policy.origins or scope["path"].startswith(_CONSOLE):
            return []
        return [_VARY, *cors_headers(self._policy, dict(scope["headers"]))]


_CONSOLE = "/console"
_VARY = (b"vary", b"Origin")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")


def _private(scope: Scope, message: Message) -> Headers:
    """The headers. Caches must not store responses of an organisation, unless the route allows it."""
    headers: Headers = list(message.get("headers", ()))
    if scope["path"].startswith("/t/") and all(name != b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"no-store"))
    return headers


def _bodiless(send: Send) -> Send:
    """Sends everything except the body. The headers keep its length."""

    async def without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return without_body


async def _answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
