"""`/profiles/link`: give a profile to a user. Decode, one use-case, render.

Source: docs/wire/cds.md §5.5.
"""

from __future__ import annotations

import msgspec
from litestar import Response, post
from msgspec import Struct

from oneself.api.cds.cookie import tracker_in
from oneself.api.cds.errors import PROFILE_ALREADY_LINKED, PROFILE_UPDATE_FAILED
from oneself.api.cds.profile_responses import render_rejected, respond
from oneself.api.cds.user_id import decode_user_id
from oneself.api.documents.profile import ProfileId
from oneself.api.http.errors import profile_unknown, wire_error
from oneself.api.http.guard import context_of, requires
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object
from oneself.api.http.openapi import described, error_responses
from oneself.api.http.request_options import decode_profile_id, decode_request_options
from oneself.api.http.stored_response import StoredResponse, first_response
from oneself.core.identity.identifier import IDENTIFIER_CHARS_MAX
from oneself.service.directory.sign_in import well_formed_trackers
from oneself.service.ingest.submission import ObservationRejected, Resolution

LINKED_ALREADY = "The profile belongs to another user."


class LinkRequest(Struct, frozen=True):
    """The profile and its user, both required, and the tracker of the user's browser. Blanks around them are
    ignored.
    """

    profile_id: str | None = None
    user_id: str | None = None
    anonymous_profile_tracker: str | None = None


class LinkDocument(Struct, frozen=True):
    """The profile id as it was sent, and its user."""

    profile_id: ProfileId
    user_id: str


LINK = Body("profile", PROFILE_UPDATE_FAILED, LinkRequest, strict=False)


@post(
    "/profiles/link",
    opt=requires("profile_link"),
    status_code=200,
    operation_class=described(
        takes=LinkRequest, required=("profile_id", "user_id"), headers=("Idempotency-Key",)
    ),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def link_profile(request: AnyRequest) -> Response[LinkDocument]:
    """Link a profile to a user and merge it with the user's. With the tracker of a browser, the user owns it.
    Changes nothing if it is linked already.
    """
    call = context_of(request)
    document = await decode_object(request, LINK)
    named, user_id = _required(document, "profile_id"), _user_id(document)
    if (profile_id := decode_profile_id(named)) is None:
        raise profile_unknown()
    answer = _answer(named, user_id)

    def render(_: Resolution) -> StoredResponse:
        return answer

    cookie, sent = tracker_in(request), _optional(document, "anonymous_profile_tracker")
    trackers = well_formed_trackers(filter(None, (cookie, sent)))
    options = await decode_request_options(request, render, tracker=cookie)
    try:
        linked = await call.services.profiles.profiles.link(
            call.dataset_ref, call.actor, profile_id, user_id, trackers=trackers, request=options
        )
    except ObservationRejected as error:
        if error.rejection.code == "user_id_write_once":
            raise wire_error(PROFILE_ALREADY_LINKED, LINKED_ALREADY, 409) from None
        if error.rejection.code == "profile_not_found":
            raise profile_unknown() from None
        raise render_rejected(error, PROFILE_UPDATE_FAILED) from None
    return respond((first_response(linked) if linked else None) or answer)


def _user_id(document: Object) -> str:
    if (user_id := decode_user_id(document.get("user_id"))) is None:
        raise wire_error(PROFILE_UPDATE_FAILED, "user_id is required.")
    return user_id


def _required(document: Object, field: str) -> str:
    text = _optional(document, field)
    if not text:
        raise wire_error(PROFILE_UPDATE_FAILED, f"{field} is required.")
    return text


def _optional(document: Object, field: str) -> str:
    text: str = (document.get(field) or "").strip()
    if len(text) > IDENTIFIER_CHARS_MAX:
        raise wire_error(PROFILE_UPDATE_FAILED, f"{field}: at most {IDENTIFIER_CHARS_MAX} characters")
    return text


def _answer(profile_id: str, user_id: str) -> StoredResponse:
    return StoredResponse(200, (), msgspec.json.encode(LinkDocument(profile_id, user_id)))
