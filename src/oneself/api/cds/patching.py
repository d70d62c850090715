"""Writes to a profile that exists: what a caller may change of it. Source: docs/wire/cds.md §5.4."""

from __future__ import annotations

from uuid import UUID

from oneself.api.cds.cookie import tracker_in
from oneself.api.cds.errors import PROFILE_UPDATE_FAILED, USER_ID_WRITE_ONCE
from oneself.api.cds.person_patch import own_part
from oneself.api.cds.profile_responses import render_answer, render_rejected
from oneself.api.cds.user_id import decode_user_id
from oneself.api.documents.profile import APPLICATION
from oneself.api.http.errors import profile_unknown, wire_error
from oneself.api.http.guard import RequestContext
from oneself.api.http.json_body import AnyRequest, Body, Object
from oneself.api.http.request_options import decode_request_options
from oneself.api.http.stored_response import StoredResponse, first_response
from oneself.core.disclosure import ReaderAccess
from oneself.core.identity_graph.joins import View
from oneself.core.values.attribute import SCOPES
from oneself.service.ingest.submission import ObservationRejected, Resolution

PROFILE_PATCH = Body("profile", PROFILE_UPDATE_FAILED)


async def patch_known_profile(
    call: RequestContext,
    request: AnyRequest,
    profile_id: UUID,
    document: Object,
    access: ReaderAccess,
    *,
    view: View,
    is_by_tracker: bool = False,
) -> StoredResponse:
    """Patch a profile; the answer is what a view has of it, or what the cookie's tracker shows."""

    def render(patched: Resolution) -> StoredResponse:
        return render_answer(call, patched, access)

    options = await decode_request_options(
        request, render, tracker=tracker_in(request), view=view, is_by_tracker=is_by_tracker
    )
    values = await _permitted_values(call, profile_id, document)
    if values is None:
        raise unknown_to_patch(str(profile_id))
    user_id = await _patched_user_id(call, profile_id, document, view)
    try:
        patched = await call.services.profiles.profiles.patch(
            call.dataset_ref, call.writer, profile_id, values, user_id=user_id, request=options
        )
    except ObservationRejected as error:
        raise render_rejected(error, PROFILE_UPDATE_FAILED) from None
    return first_response(patched) or render(patched)


def unknown_to_patch(profile_id: str) -> Exception:
    """The error for a profile id in the path that nobody has, or that the caller does not reach."""
    return profile_unknown(f"Profile {profile_id[:100]} not found")


async def _permitted_values(call: RequestContext, profile_id: UUID, document: Object) -> Object | None:
    """The values of a patch that the caller may write; None if they do not reach the profile."""
    values = _patch_values(document)
    if call.caller.reach.is_everything:
        return values
    view = await call.find_profile(profile_id, "own")
    return None if view is None else own_part(view, call.caller.application, values)


async def _patched_user_id(
    call: RequestContext, profile_id: UUID, document: Object, view: View
) -> str | None:
    """The user id that a patch sets. Clearing one is rejected (docs/wire/cds.md §8)."""
    if not isinstance(document.get("user_id", ""), str | None):
        sentence = "Invalid type for field 'user_id'. Expected string in profile request body."
        raise PROFILE_PATCH.refusal(sentence)
    if (user_id := decode_user_id(document.get("user_id"))) is not None:
        return _own_user_id(call, user_id)
    if "user_id" in document:
        found = await call.services.profiles.profiles.find_in(call.dataset_ref, profile_id, view)
        if found is not None and found.survivor.user_id is not None:
            raise wire_error(PROFILE_UPDATE_FAILED, USER_ID_WRITE_ONCE)
    return None


def _own_user_id(call: RequestContext, user_id: str) -> str | None:
    """The user id that a caller sets. A person's profile has theirs already, and gets no other."""
    if call.caller.reach.is_everything:
        return user_id
    if not call.caller.reach.covers(user_id):
        raise wire_error(PROFILE_UPDATE_FAILED, USER_ID_WRITE_ONCE)
    return None


def _patch_values(document: Object) -> Object:
    """The values in the body of PATCH. A section or application that is not an object is ignored."""
    values = {scope: part for scope in SCOPES if isinstance(part := document.get(scope), dict)}
    if APPLICATION in values:
        buckets = values[APPLICATION].items()
        values[APPLICATION] = {name: bucket for name, bucket in buckets if isinstance(bucket, dict)}
    return values
