"""Responses with one profile: document, version and headers, to be sent or stored for a repeat."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from litestar import Response
from litestar.enums import MediaType

from oneself.api.cds.errors import PROFILE_UPDATE_FAILED, USER_ID_WRITE_ONCE
from oneself.api.documents.profile import ProfileDocument, render_profile, version_tag
from oneself.api.http.errors import INVALID_REQUEST, ErrorCode, WireError, profile_unknown, wire_error
from oneself.api.http.guard import RequestContext
from oneself.api.http.stored_response import StoredResponse
from oneself.core.disclosure import ReaderAccess
from oneself.core.profiles.consent import consented_in
from oneself.core.values.visibility import visible_values
from oneself.service.ingest.submission import IdempotencyKeyReused, ObservationRejected, Resolution
from oneself.service.profiles.profiles import ProfileView

#: Both name a profile, the one that stands for it, whom that one stands for, and the configuration.
Found: TypeAlias = ProfileView | Resolution
Profile: TypeAlias = Response[ProfileDocument]
Headers: TypeAlias = tuple[tuple[str, str], ...]


def render_answer(
    call: RequestContext,
    found: Found,
    access: ReaderAccess,
    *,
    status: int = 200,
    tracker: str = "",
    headers: Headers = (),
    with_provenance: bool = False,
) -> StoredResponse:
    """The response with a profile, and of its values those that the caller may read.

    Source: docs/wire/cds.md §5.3.
    """
    stored = visible_values(found.config.schema, found.survivor.record.values)
    document = render_profile(
        call.dataset_ref.handle,
        found.profile,
        found.survivor,
        found.absorbed,
        access.disclosed(stored, consented_in(found.survivor.consents)),
        tracker=tracker,
        with_provenance=with_provenance,
    )
    tagged = (*headers, ("ETag", version_tag(found.survivor)))
    return StoredResponse(status, tagged, msgspec.json.encode(document))


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
