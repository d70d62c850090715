"""`/profiles`: create, read, patch and delete. Decode, one use-case, render. Source: docs/wire/cds.md §5."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from oneself.api.cds.cookie import render_cookie, tracker_in
from oneself.api.cds.documents import ProfileDraft, ProfilePatch
from oneself.api.cds.errors import (
    PROFILE_CREATION_FAILED,
    PROFILE_DELETION_FAILED,
    PROFILE_UPDATE_FAILED,
)
from oneself.api.cds.me import find_me
from oneself.api.cds.patching import PROFILE_PATCH, patch_known_profile, unknown_to_patch
from oneself.api.cds.profile_responses import Profile, render_answer, render_rejected, respond
from oneself.api.cds.user_id import decode_user_id
from oneself.api.documents.erasure import DryRun, ErasurePreviewDocument, render_erasure_preview
from oneself.api.documents.profile import APPLICATION, location
from oneself.api.http.errors import forbidden, profile_unknown, wire_error
from oneself.api.http.guard import RequestContext, context_of, requires
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object
from oneself.api.http.openapi import described, error_responses
from oneself.api.http.query import (
    AskedApplications,
    AskedCategories,
    IncludeApplicationData,
    IncludeProvenance,
    ViewParameter,
    asked_categories,
    query_flag,
    query_is_off,
    query_list,
    query_switch,
)
from oneself.api.http.request_options import decode_profile_id, decode_request_options, idempotency_key
from oneself.api.http.stored_response import StoredResponse, decode_response, first_response
from oneself.core.disclosure import ReaderAccess
from oneself.core.values.attribute import SCOPES
from oneself.service.ingest.submission import ObservationRejected, Resolution
from oneself.service.ingest.trackers import new_tracker
from oneself.service.privacy.erasure import ErasureOptions, Expected
from oneself.service.privacy.selection import ErasureTarget
from oneself.service.profiles.profiles import RequestOptions

ERASED = ResponseSpec(None, description="Erased, or it did not exist.", generate_examples=False)
#: The answer to a deletion, also of what does not exist.
NOTHING: Response[ErasurePreviewDocument | None] = Response(None, status_code=204)
NEW_PROFILE = Body("profile", PROFILE_CREATION_FAILED, ProfileDraft)
NOT_ENABLED_FOR = "CDS is not enabled for organization: {org}"
PERSON_CREATES_NONE = (
    "A person's token creates no profile. Create it with the token of an application (client credentials)."
)
WITHOUT_TRACKER = "`false` for a record that is no browser's, such as one of a CRM: no tracker and no cookie."


class _Draft(Struct, frozen=True):
    """A profile to create."""

    values: Object
    user_id: str | None
    #: Whether it begins with a tracker.
    is_of_browser: bool


@post(
    "/profiles",
    opt=requires("profile_create", gate=NOT_ENABLED_FOR, serves_persons=True),
    operation_class=described(
        takes=ProfileDraft,
        headers=("Idempotency-Key",),
        versioned=True,
        also_found="The existing profile of the browser's active tracker; to a person, their own.",
    ),
    responses=error_responses(400, 401, 403, 404, 413, 415, 422),
)
async def create_profile(
    request: AnyRequest,
    tracker: Annotated[str | None, QueryParameter(description=WITHOUT_TRACKER)] = None,
    consent_category_id: AskedCategories = None,
) -> Profile:
    """Create a profile with a tracker. A browser with an active tracker gets its existing profile, and a
    person their own.
    """
    call = context_of(request)
    document = await decode_object(request, NEW_PROFILE)
    user_id = decode_user_id(document.get("user_id"))
    if user_id is not None and not call.caller.holds("internal_cds_profile_update"):
        raise forbidden()
    access = call.access(asked_categories(consent_category_id))
    if not call.caller.reach.is_everything:
        return respond(await _own_profile(call, request, access))
    draft = _Draft(_draft_values(document), user_id, is_of_browser=not query_is_off(tracker))
    if not draft.is_of_browser:
        return respond(await _create(call, request, None, access, draft))
    key_tracker = await _key_tracker(call, request)
    if (known := await _known_browser(call, request, key_tracker, access)) is not None:
        return respond(known)
    return respond(await _create(call, request, key_tracker, access, draft))


@get(
    "/profiles/{profile_id:str}",
    opt=requires("profile_view", serves_persons=True),
    operation_class=described(versioned=True),
    responses=error_responses(400, 401, 403, 404),
)
async def read_profile(
    request: AnyRequest,
    profile_id: FromPath[str],
    include_application_data: IncludeApplicationData = None,
    application_identifier: AskedApplications = None,
    consent_category_id: AskedCategories = None,
    provenance: IncludeProvenance = None,
    view: ViewParameter = None,
) -> Profile:
    """Read a profile by any profile id it ever had, filtered by consent."""
    call = context_of(request)
    found = await call.find_profile(decode_profile_id(profile_id), call.requested_view(view))
    if found is None:
        raise profile_unknown()
    reader = call.reader(
        with_application_data=query_flag(include_application_data),
        applications=query_list(application_identifier),
    )
    access = ReaderAccess(call.config, reader, asked_categories(consent_category_id))
    return respond(render_answer(call, found, access, with_provenance=query_flag(provenance)))


@patch(
    "/profiles/{profile_id:str}",
    opt=requires("profile_update", serves_persons=True),
    operation_class=described(takes=ProfilePatch, headers=("If-Match", "Idempotency-Key"), versioned=True),
    responses=error_responses(400, 401, 403, 404, 412, 413, 415, 422),
)
async def patch_profile(
    request: AnyRequest,
    profile_id: FromPath[str],
    consent_category_id: AskedCategories = None,
    view: ViewParameter = None,
) -> Profile:
    """Patch a profile by any profile id it ever had. Null unsets a value."""
    call = context_of(request)
    document = await decode_object(request, PROFILE_PATCH)
    access = call.access(asked_categories(consent_category_id))
    if (known_id := decode_profile_id(profile_id)) is None:
        raise unknown_to_patch(profile_id)
    asked = call.requested_view(view)
    return respond(await patch_known_profile(call, request, known_id, document, access, view=asked))


@delete(
    "/profiles/{profile_id:str}",
    opt=requires("profile_delete", serves_persons=True),
    status_code=200,
    operation_class=described(headers=("If-Match", "Idempotency-Key")),
    responses={204: ERASED, **error_responses(400, 401, 403, 404, 412, 422)},
)
async def delete_profile(
    request: AnyRequest,
    profile_id: FromPath[str],
    view: ViewParameter = None,
    dry_run: DryRun = None,
) -> Response[ErasurePreviewDocument | None]:
    """Erase what a profile has in a view; of an absorbed one, only its own data.

    Returns 204 if it does not exist; to a person, 404 for any profile but their own.
    """
    call = context_of(request)
    options = await decode_request_options(
        request, tracker=tracker_in(request), view=call.requested_view(view)
    )
    key, known_id = options.idempotency_key, decode_profile_id(profile_id)
    if not (await call.reaches(known_id) or await _was_answered(call, key)):
        raise profile_unknown()
    target = ErasureTarget(view=options.view, profile_id=known_id, user_id=call.caller.reach.user_id)
    if known_id is None:
        return NOTHING
    if query_switch(request, "dry_run"):
        found = await call.services.privacy.erasure.preview(call.dataset_ref, target)
        return NOTHING if found is None else Response(render_erasure_preview(found, target.view))
    try:
        await _erase(call, target, options)
    except ObservationRejected as error:
        if error.rejection.code != "profile_not_found":
            raise render_rejected(error, PROFILE_DELETION_FAILED) from None
    return NOTHING


async def _erase(call: RequestContext, target: ErasureTarget, options: RequestOptions) -> None:
    """Erase a profile of the dataset; of a person their profile of every other dataset as well, first, so
    that an interrupted deletion can be repeated."""
    erasure, key = call.services.privacy.erasure, options.idempotency_key
    expected = Expected(options.view, options.expected_versions)
    if target.user_id is not None:
        await erasure.erase_elsewhere(call.dataset_ref, call.actor, target, expected)
    once = None if key is None else ErasureOptions(key, options.fingerprint)
    await erasure.erase(call.dataset_ref, call.actor, target, expected=expected, once=once)


async def _own_profile(call: RequestContext, request: AnyRequest, access: ReaderAccess) -> StoredResponse:
    """The response to a person who would create a profile: their own, and the tracker if it leads there."""
    view = await find_me(call, request)
    if view is None:
        raise forbidden(PERSON_CREATES_NONE)
    if (tracker := tracker_in(request)) is not None:
        found = await call.services.profiles.profiles.find_tracker_view(call.dataset_ref, tracker)
        if found is not None and call.caller.reach.covers(found.survivor.user_id):
            cookie = _cookie(call, request, tracker)
            return render_answer(call, found, access, tracker=tracker, headers=(cookie,))
    return render_answer(call, view, access)


async def _key_tracker(call: RequestContext, request: AnyRequest) -> str | None:
    """The tracker to which the key of a POST belongs.

    It is the browser's, unless the first request had none and its response made this one.
    """
    tracker, key = tracker_in(request), idempotency_key(request, None)
    if tracker is None or key is None:
        return tracker
    first = await call.services.profiles.profiles.find_response(call.dataset_ref, key)
    is_made = first is not None and _cookie(call, request, tracker) in decode_response(first).headers
    return None if is_made else tracker


async def _known_browser(
    call: RequestContext, request: AnyRequest, key_tracker: str | None, access: ReaderAccess
) -> StoredResponse | None:
    """The response for a browser with an active tracker. A repeated request gets its first response."""
    tracker = tracker_in(request)
    if tracker is None or await _was_answered(call, idempotency_key(request, key_tracker)):
        return None
    view = await call.services.profiles.profiles.find_tracker_view(call.dataset_ref, tracker)
    if view is None:
        return None
    return render_answer(call, view, access, tracker=tracker, headers=(_cookie(call, request, tracker),))


async def _was_answered(call: RequestContext, key: str | None) -> bool:
    """Whether the response to this caller's request with this key is stored."""
    profiles = call.services.profiles.profiles
    return key is not None and await profiles.was_answered(call.dataset_ref, key)


async def _create(
    call: RequestContext,
    request: AnyRequest,
    key_tracker: str | None,
    access: ReaderAccess,
    draft: _Draft,
) -> StoredResponse:
    tracker = new_tracker() if draft.is_of_browser else None

    def render(made: Resolution) -> StoredResponse:
        url = f"{call.server_url(request)}/t/{location(call.dataset_ref.handle, made.profile.profile_id)}"
        cookies = () if tracker is None else (_cookie(call, request, tracker),)
        headers = (("Location", url), *cookies)
        return render_answer(call, made, access, status=201, tracker=tracker or "", headers=headers)

    options = await decode_request_options(
        request, render, tracker=key_tracker, view=call.requested_view(None)
    )
    try:
        made = await call.services.profiles.profiles.create(
            call.dataset_ref,
            call.actor,
            draft.values,
            tracker=tracker,
            user_id=draft.user_id,
            request=options,
        )
    except ObservationRejected as error:
        raise render_rejected(error, PROFILE_UPDATE_FAILED) from None
    return first_response(made) or render(made)


def _draft_values(document: Object) -> Object:
    """The values in the body of POST. Those of each application must be an object."""
    for application, bucket in (document.get(APPLICATION) or {}).items():
        if not isinstance(bucket, dict):
            raise wire_error(
                PROFILE_UPDATE_FAILED, f"application_data entry '{application}' must be of object type"
            )
    return {scope: document[scope] for scope in SCOPES if document.get(scope)}


def _cookie(call: RequestContext, request: AnyRequest, tracker: str) -> tuple[str, str]:
    host = request.headers.get("host", "")
    return "Set-Cookie", render_cookie(tracker, host, call.settings.cookie_domain)
