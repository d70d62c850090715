"""Raw endpoints: limits, errors, headers and compression."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from oneself.api.http.asgi import Message
from oneself.api.http.cors import CorsPolicy
from oneself.api.http.metrics import Metrics
from oneself.api.http.raw import (
    BodyIncomplete,
    BodyTooLarge,
    RawEndpoint,
    RawRequest,
    RawRequestError,
    RawResponse,
    UrlTooLong,
)
from oneself.web.gzip import accepts_gzip

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/v1/track",
    "raw_path": b"/v1/track",
    "query_string": b"",
    "headers": [],
}


def receiving(*messages: Message) -> Callable[[], Awaitable[Message]]:
    remaining = list(messages)

    async def receive() -> Message:
        return remaining.pop(0)

    return receive


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_read_up_to_its_limit() -> None:
    request = RawRequest(SCOPE, receiving(part(b"123", more=True), part(b"45")))
    assert await request.read_body(5) == b"12345"


async def test_a_larger_body_is_rejected_before_its_end() -> None:
    # The third part is never received: `receiving` has none.
    request = RawRequest(SCOPE, receiving(part(b"123", more=True), part(b"456", more=True)))
    with pytest.raises(BodyTooLarge) as caught:
        await request.read_body(5)
    assert caught.value.bytes_max == 5


async def test_a_client_that_disconnects_leaves_an_incomplete_body() -> None:
    request = RawRequest(SCOPE, receiving(part(b"123", more=True), {"type": "http.disconnect"}))
    with pytest.raises(BodyIncomplete):
        await request.read_body(5)


def test_the_url_limit_counts_path_question_mark_and_query() -> None:
    request = RawRequest({**SCOPE, "query_string": b"a=1"}, receiving())
    request.check_url(len("/v1/track?a=1"))
    with pytest.raises(UrlTooLong):
        request.check_url(len("/v1/track?a=1") - 1)


async def response_of(
    handler: Any, *headers: tuple[bytes, bytes]
) -> tuple[int, dict[bytes, bytes], bytes, str]:
    """Status, headers and body of a response, and the metrics after it."""
    metrics, messages = Metrics(), []

    async def send(message: Message) -> None:
        messages.append(message)

    endpoint = RawEndpoint(
        handler,
        errors={
            RawRequestError: lambda error: RawResponse(400, str(error).encode(), "refused"),
            Exception: lambda error: RawResponse(500, b"bug", "failed"),
        },
        headers=[(b"vary", b"Origin")],
        cors=CorsPolicy(methods=b"POST", headers=b"Content-Type"),
        metrics=metrics,
    )
    await endpoint({**SCOPE, "headers": list(headers)}, receiving(), send)
    start, body = messages
    return start["status"], dict(start["headers"]), body["body"], metrics.render().decode()


async def test_an_error_is_rendered_by_its_nearest_base_class() -> None:
    async def too_large(_: RawRequest) -> RawResponse:
        raise BodyTooLarge(5)

    async def broken(_: RawRequest) -> RawResponse:
        raise LookupError("unexpected")

    status, _, body, metrics = await response_of(too_large)
    assert (status, body) == (400, b"The body has more than 5 bytes.")
    assert 'oneself_events_total{outcome="refused"} 1.0' in metrics
    assert (await response_of(broken))[0] == 500


async def test_a_response_has_wire_own_and_cors_headers() -> None:
    async def handler(_: RawRequest) -> RawResponse:
        return RawResponse(200, b"{}", "stored", ((b"retry-after", b"3"),))

    _, headers, _, _ = await response_of(handler, (b"origin", b"https://shop.example"))
    assert headers == {
        b"vary": b"Origin",
        b"access-control-allow-origin": b"https://shop.example",
        b"access-control-allow-credentials": b"true",
        b"access-control-allow-methods": b"POST",
        b"access-control-allow-headers": b"Content-Type",
        b"access-control-max-age": b"600",
        b"retry-after": b"3",
        b"content-length": b"2",
    }


async def test_every_non_empty_body_is_compressed_for_gzip_clients() -> None:
    async def handler(_: RawRequest) -> RawResponse:
        return RawResponse(200, b"{}", "stored")

    async def empty(_: RawRequest) -> RawResponse:
        return RawResponse(204, b"", "preflight")

    _, headers, body, _ = await response_of(handler, (b"accept-encoding", b"br, gzip"))
    assert headers[b"content-encoding"] == b"gzip"
    assert gzip.decompress(body) == b"{}"
    _, headers, body, _ = await response_of(empty, (b"accept-encoding", b"gzip"))
    assert b"content-encoding" not in headers
    assert b"content-length" not in headers


@pytest.mark.parametrize(
    ("accept", "accepted"),
    [
        (b"", False),
        (b"br", False),
        (b"gzip", True),
        (b"gzip;q=0.5", True),
        (b"gzip;q=0", False),
        (b"gzip ; q=0.000, br", False),
    ],
)
def test_a_weight_of_zero_excludes_gzip(accept: bytes, accepted: bool) -> None:
    assert accepts_gzip(accept) is accepted
