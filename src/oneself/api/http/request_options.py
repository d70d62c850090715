"""Request headers beside the body: `If-Match` and `Idempotency-Key`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from oneself.api.http.errors import INVALID_REQUEST, wire_error
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.stored_response import StoredResponse, encode_response
from oneself.core.identity_graph.joins import View
from oneself.service.ingest.idempotency import KeyOwner, fingerprint, request_key
from oneself.service.ingest.submission import ReplayableResponse, Resolution
from oneself.service.profiles.profiles import RequestOptions

KEY_CHARS_MAX = 255
INVALID_KEY = f"Send one Idempotency-Key of 1 to {KEY_CHARS_MAX} printable ASCII characters."
_TAG = r'(W/)?"[!#-~\x80-\xff]*"'
#: A list of entity tags, perhaps with empty elements (RFC 9110 §5.6.1, §8.8.3).
ENTITY_TAGS = rf"^(\*|(,[ \t]*)*{_TAG}([ \t]*,([ \t]*{_TAG})?)*)$"
_TAGS = re.compile(_TAG)
#: An entity tag as this service writes it: strong, the digits of a version without leading zeros.
_VERSION_TAG = re.compile(r'"([1-9][0-9]{0,17})"')


async def decode_request_options(
    request: AnyRequest,
    render: Callable[[Resolution], StoredResponse] | None = None,
    *,
    tracker: str | None = None,
    view: View = "all",
    is_by_tracker: bool = False,
) -> RequestOptions:
    """The options of a request. `render` makes the response that a repeat gets again.

    `tracker`: of the browser for which the request was sent. `view`: in which it is answered; if it
    `is_by_tracker`, with what the tracker shows.
    """
    key = idempotency_key(request, tracker)
    return RequestOptions(
        idempotency_key=key,
        fingerprint=await _fingerprint(request) if key else "",
        expected_versions=_expected_versions(request.headers.getall("if-match", [])),
        render=_storing(render) if key and render is not None else None,
        view=view,
        by_tracker=tracker if is_by_tracker else None,
    )


def _storing(render: Callable[[Resolution], StoredResponse]) -> Callable[[Resolution], ReplayableResponse]:
    return lambda resolution: encode_response(render(resolution))


def decode_profile_id(text: str) -> UUID | None:
    """A profile id in a path; None unless it has the canonical form."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def idempotency_key(request: AnyRequest, tracker: str | None) -> str | None:
    """The stored key of a request that may be repeated, if it has one.

    It belongs to the application, the person, the tracker and the route. Raises WireError (400).
    """
    lines = request.headers.getall("idempotency-key", [])
    if not lines:
        return None
    if len(lines) > 1 or not is_idempotency_key(lines[0]):
        raise wire_error(INVALID_REQUEST, INVALID_KEY)
    caller = context_of(request).caller
    route = operation(request.method, request.scope)
    return request_key(KeyOwner(caller.application, caller.user_id, tracker, route), lines[0])


def operation(method: str, scope: Mapping[str, Any]) -> str:
    """The operation that a request asks for: its method and path template. `scope`: of ASGI."""
    return f"{method} {scope['path_template']}"


def is_idempotency_key(text: str) -> bool:
    """Whether a text may be an idempotency key."""
    return 0 < len(text) <= KEY_CHARS_MAX and text.isascii() and text.isprintable()


async def _fingerprint(request: AnyRequest) -> str:
    """The same for the same request only. The query is part of it, other headers are not."""
    scope = request.scope
    path = unquote(scope["path"]).encode()
    return fingerprint(request.method.encode(), path, scope["query_string"], await request.body())


def _expected_versions(lines: Sequence[str]) -> frozenset[int] | None:
    """The versions that `If-Match` admits, of all its lines; None if any will do."""
    if not lines:
        return None
    tags = ", ".join(lines).strip()
    if not re.match(ENTITY_TAGS, tags):
        raise wire_error(
            INVALID_REQUEST,
            'If-Match must be an ETag from an earlier response, with its quotes: "1780630684834627".',
        )
    return None if tags == "*" else frozenset(_versions(tags))


def _versions(tags: str) -> Iterator[int]:
    """The versions in a list of tags. A weak tag names none: the comparison is strong (RFC 9110 §13.1.1)."""
    for tag in _TAGS.finditer(tags):
        if version := _VERSION_TAG.fullmatch(tag[0]):
            yield int(version[1])
