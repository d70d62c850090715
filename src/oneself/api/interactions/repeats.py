"""Repeats of events: `Idempotency-Key` with credentials, and `eventId` with or without them.

Both belong to the sender's application or write key, the browser that the event names, and the endpoint.
Without credentials the header is ignored, because anybody could repeat the key of somebody else. A browser
key is in the page for everybody: an answer to it that gives a browser its id is not kept. Such an event is
stored once as well if it has an `eventId`; a repeat of it is answered without the ids of the browser.
Source: docs/concepts/log-and-fold.md, exactly once; docs/wire/interactions.md §6.
"""

from __future__ import annotations

import msgspec

from oneself.api.http.raw import RawRequest, RawResponse
from oneself.api.http.request_options import INVALID_KEY, is_idempotency_key, operation
from oneself.api.http.stored_response import StoredResponse, decode_response, encode_response
from oneself.api.interactions.decode.event import Event
from oneself.api.interactions.errors import RequestRejected
from oneself.api.interactions.render import render_result
from oneself.service.events.interactions import Repeatable
from oneself.service.events.result import EventResult
from oneself.service.ingest.idempotency import KeyOwner, fingerprint, request_key
from oneself.service.ingest.submission import ReplayableResponse

INVALID_CODE = "invalid_idempotency_key"


def decode_repeatable(
    request: RawRequest,
    sender: str | None,
    event: Event,
    *,
    explains: bool = False,
    is_public: bool = False,
) -> Repeatable | None:
    """The options that make an event repeatable; None if it has neither a key with credentials nor an id.

    `sender`: the application or write key that the credentials name. `is_public`: everybody may know the
    credentials. Raises RequestRejected (400).
    """
    header = None if sender is None else _decode_key(request)
    if header is None and event.event_id is None:
        return None

    def render(result: EventResult) -> ReplayableResponse | None:
        if is_public and result.gives_browser_id(event.tracker):
            if header is not None:
                return None
            result = EventResult(event_id=result.event_id)
        response = render_result(result, explains=explains)
        return encode_response(StoredResponse(response.status, (), response.body))

    route = operation(request.method, request.scope)
    # The parts are JSON, so that no two pairs of them are equal.
    browser = msgspec.json.encode((event.tracker, event.anonymous_id)).decode()
    owner = KeyOwner(sender, None, browser, route)
    return Repeatable(
        # A header has no line break, so that no id is equal to a header.
        key=request_key(owner, f"eventId\n{event.event_id}" if header is None else header),
        fingerprint=fingerprint(request.path.encode(), request.query, request.body),
        render=render,
    )


def _decode_key(request: RawRequest) -> str | None:
    """The header `Idempotency-Key`; None without one. Raises RequestRejected (400)."""
    lines: list[bytes] = [value for name, value in request.scope["headers"] if name == b"idempotency-key"]
    if not lines:
        return None
    key = lines[0].decode("latin-1")
    if len(lines) > 1 or not is_idempotency_key(key):
        raise RequestRejected(400, INVALID_KEY, code=INVALID_CODE)
    return key


def render_repeated(stored: ReplayableResponse) -> RawResponse:
    """The first response again."""
    first = decode_response(stored)
    return RawResponse(first.status, first.body, "repeated")
