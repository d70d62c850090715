"""Server-sent events: a stream of documents, each with a cursor as its `id`.

A stream begins with its start position, and repeats its position while there is no event, both without data.
A client that reconnects with `Last-Event-ID` misses no event.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
import structlog
from litestar import Response
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse
from litestar.response import Stream

from oneself.api.http.json_body import AnyRequest
from oneself.api.http.openapi import TEXT, Described
from oneself.errors import RequestError, ServiceError

EVENT_STREAM = "text/event-stream"
#: Many proxies close a connection after a minute of silence; writing detects clients that are gone.
HEARTBEAT_S = 15.0
#: The lifetime of an access token: a client that reconnects sends a valid one.
STREAM_S_MAX = 3600.0

log = structlog.get_logger("oneself.api")
BatchT = TypeVar("BatchT")
#: Cursor and document of each event of a batch, and the cursor of the batch.
RenderBatch = Callable[[BatchT], Awaitable[tuple[list[tuple[str, Any]], str]]]


class DescribedStream(Described):
    """An operation with the same response as a stream."""

    def __post_init__(self) -> None:
        super().__post_init__()
        answer = (self.responses or {}).get("200")
        assert isinstance(answer, OpenAPIResponse)
        answer.content = {**(answer.content or {}), EVENT_STREAM: OpenAPIMediaType(schema=TEXT)}


def accepts_stream(request: AnyRequest) -> bool:
    """Whether a request asks for a stream."""
    return EVENT_STREAM in request.headers.get("accept", "")


def stream_response(
    start: str, batches: AsyncGenerator[BatchT, None], render: RenderBatch[BatchT]
) -> Response[Any]:
    """The response that streams batches. `start`: the cursor after which they begin."""
    # Without it nginx buffers small chunks.
    headers = {"X-Accel-Buffering": "no"}
    return Stream(_chunks(start, batches, render), media_type=EVENT_STREAM, headers=headers)


async def _chunks(
    start: str, batches: AsyncGenerator[BatchT, None], render: RenderBatch[BatchT]
) -> AsyncIterator[bytes]:
    """The chunks of a stream. It ends when the service stops, when the database is unavailable, when what it
    follows is deleted, and after STREAM_S_MAX; the client reconnects.
    """
    yield _resume_point(start)
    opened_s = written_s = time.monotonic()
    try:
        async with aclosing(batches) as following:
            async for batch in following:
                now_s = time.monotonic()
                events, cursor = await render(batch)
                if events or now_s - written_s >= HEARTBEAT_S:
                    written_s = now_s
                    yield b"".join(map(_line, events)) or b": nothing new\n" + _resume_point(cursor)
                if now_s - opened_s >= STREAM_S_MAX:
                    return
    except (ServiceError, RequestError) as error:
        log.warning("stream_ended", cause=type(error).__name__)


def _line(event: tuple[str, Any]) -> bytes:
    cursor, document = event
    return b"id: %b\ndata: %b\n\n" % (cursor.encode(), msgspec.json.encode(document))


def _resume_point(cursor: str) -> bytes:
    """A position without data: not an event, only where the client resumes."""
    return b"id: %b\n\n" % cursor.encode()
