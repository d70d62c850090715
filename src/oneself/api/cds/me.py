"""`/profiles/Me`: the caller's own profile. Decode, one use-case, render. Source: docs/wire/cds.md §5.5.

    a person's token                     the user's profile in the view `own`, whatever the cookie
    an application's token and a cookie  what the tracker shows, which is no view of a profile

Answers of writes, their versions and `If-Match` belong to the same as reads.
"""

from __future__ import annotations

from litestar import get, patch

from oneself.api.cds.cookie import tracker_in
from oneself.api.cds.documents import ProfilePatch
from oneself.api.cds.errors import PROFILE_FETCH_FAILED
from oneself.api.cds.patching import PROFILE_PATCH, patch_known_profile
from oneself.api.cds.profile_responses import Profile, render_answer, respond
from oneself.api.http.errors import forbidden, line, profile_unknown, wire_error
from oneself.api.http.guard import RequestContext, context_of, requires
from oneself.api.http.json_body import AnyRequest, decode_object
from oneself.api.http.openapi import described, error_responses
from oneself.api.http.query import AskedCategories, OwnViewParameter, asked_categories
from oneself.service.profiles.profiles import ProfileView

OWN_ONLY = "/profiles/Me has the view own."


@get(
    "/profiles/Me",
    opt=requires("profile_view", serves_persons=True),
    operation_class=described(versioned=True),
    responses=error_responses(400, 401, 403, 404),
)
async def read_me(
    request: AnyRequest, consent_category_id: AskedCategories = None, view: OwnViewParameter = None
) -> Profile:
    """Read the caller's own profile: the user's; of an application's token, the one of the tracker."""
    call = context_of(request)
    _require_own(call, view)
    found = await find_me(call, request)
    if found is not None:
        return respond(render_answer(call, found, call.access(asked_categories(consent_category_id))))
    if call.user_id is None:
        raise wire_error(PROFILE_FETCH_FAILED, "The token names no user.", 401)
    raise profile_unknown()


@patch(
    "/profiles/Me",
    opt=requires("profile_update", serves_persons=True),
    operation_class=described(
        takes=ProfilePatch, headers=("If-Match", "Idempotency-Key"), versioned=True, plain=(401,)
    ),
    responses=error_responses(400, 401, 403, 404, 412, 413, 415, 422),
)
async def patch_me(
    request: AnyRequest, consent_category_id: AskedCategories = None, view: OwnViewParameter = None
) -> Profile:
    """Patch the caller's own profile."""
    call = context_of(request)
    _require_own(call, view)
    document = await decode_object(request, PROFILE_PATCH)
    found = await find_me(call, request)
    if found is None:
        sentence = "Missing 'sub' in token" if call.user_id is None else "Profile not found for token subject"
        raise line(401, sentence)
    access = call.access(asked_categories(consent_category_id))
    profile_id, is_by_tracker = found.profile.profile_id, call.user_id is None
    return respond(
        await patch_known_profile(
            call, request, profile_id, document, access, view="own", is_by_tracker=is_by_tracker
        )
    )


async def find_me(call: RequestContext, request: AnyRequest) -> ProfileView | None:
    """The profile of the token's user, whatever the cookie; of an application's token, the tracker's.

    A cookie beside the user's token confirms that the browser is theirs, if an identity server reported so.
    The claims in the token of a trusted issuer are the user's from then on.
    """
    profiles, tracker = call.services.profiles.profiles, tracker_in(request)
    if call.user_id is not None:
        if tracker is not None and not call.caller.reach.is_everything:
            await profiles.confirm(call.dataset_ref, call.actor, call.user_id, tracker)
        if (report := call.caller.report) is not None:
            reports = call.services.identity_provider.issuer_reports
            await reports.record(call.dataset_ref, call.actor, call.user_id, report)
        return await profiles.find_own(call.dataset_ref, call.user_id)
    if tracker is None or not call.caller.reach.is_everything:
        return None
    return await profiles.find_tracker_view(call.dataset_ref, tracker)


def _require_own(call: RequestContext, view: str | None) -> None:
    """Raise WireError for a view other than `own`: 400 for an unknown one, else 403."""
    if view is not None and call.requested_view(view) != "own":
        raise forbidden(OWN_ONLY)
