"""Responses with one profile: document, version and headers, to be sent or stored for a repeat."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from litestar import Response
from litestar.enums import MediaType

from oneself.api.cds.errors import PROFILE_UPDATE_FAILED, USER_ID_WRITE_ONCE
from oneself.api.documents.profile import render_profile, version_tag
from oneself.api.http.errors import INVALID_REQUEST, ErrorCode, WireError, profile_unknown, wire_error
from oneself.api.http.guard import RequestContext
from oneself.api.http.stored_response import StoredResponse
from oneself.core.disclosure import Reader, disclose
from oneself.core.values.visibility import visible_values
from oneself.service.ingest.submission import IdempotencyKeyReused, ObservationRejected, Resolution
from oneself.service.profiles.profiles import ProfileView

#: Both name a profile, the one that stands for it, whom that one stands for, and the configuration.
Found: TypeAlias = ProfileView | Resolution
Headers: TypeAlias = tuple[tuple[str, str], ...]


def full_profile(
    call: RequestContext, found: Found, *, status: int = 200, tracker: str = "", headers: Headers = ()
) -> StoredResponse:
    """A profile with every visible value, whoever reads it."""
    values = visible_values(found.config.schema, found.survivor.record.values)
    return _answer(call, found, values, status=status, tracker=tracker, headers=headers)


def disclosed_profile(
    call: RequestContext, found: Found, reader: Reader, grants: Any, *, with_provenance: bool
) -> StoredResponse:
    """A profile with the values that one reader may read. Source: docs/wire/cds.md §5.3."""
    values = disclose(visible_values(found.config.schema, found.survivor.record.values), reader, grants)
    return _answer(call, found, values, with_provenance=with_provenance)


def respond(answer: StoredResponse) -> Response[Any]:
    """The stored response as a response of the framework."""
    headers = [(name, value) for name, value in answer.headers]
    return Response(
        content=answer.body,
        status_code=answer.status,
        media_type=MediaType.JSON,
        headers=dict(headers),
    )


def render_rejected(error: ObservationRejected, code: ErrorCode) -> WireError:
    """The error for an observation that was rejected. `code`: of a stale version."""
    rejection = error.rejection
    match rejection.code:
        case "profile_not_found":
            return profile_unknown(rejection.description)
        case "stale":
            return wire_error(code, rejection.description, 412)
        case "user_id_write_once":
            return wire_error(PROFILE_UPDATE_FAILED, USER_ID_WRITE_ONCE)
        case _:
            return wire_error(PROFILE_UPDATE_FAILED, rejection.description)


def render_key_reused(error: IdempotencyKeyReused) -> WireError:
    """The error for an idempotency key that came with another request before."""
    return wire_error(INVALID_REQUEST, str(error), 422)


def _answer(
    call: RequestContext,
    found: Found,
    values: dict[str, Any],
    *,
    status: int = 200,
    tracker: str = "",
    headers: Headers = (),
    with_provenance: bool = False,
) -> StoredResponse:
    document = render_profile(
        call.dataset_ref.handle,
        found.profile,
        found.survivor,
        found.absorbed,
        values,
        tracker=tracker,
        with_provenance=with_provenance,
    )
    tagged = (*headers, ("ETag", version_tag(found.survivor)))
    return StoredResponse(status, tagged, msgspec.json.encode(document))
