"""`/profiles/{id}/split` and `/profiles/{id}/merge`: what people decide about profiles.

Decode, one use-case, render.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from litestar import post
from litestar.params import FromPath, QueryParameter
from msgspec import Struct, field

from oneself.api.admin.person_events import ClaimRecordDocument, render_claim
from oneself.api.admin.profiles import PROFILE, dataset_of, view_of
from oneself.api.admin.requirements import requires_enabled
from oneself.api.documents.person import Disclosure
from oneself.api.http.errors import INVALID_REQUEST, forbidden, profile_unknown, wire_error
from oneself.api.http.guard import RequestContext, context_of
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object, non_null
from oneself.api.http.openapi import described, error_responses
from oneself.api.http.query import ViewParameter, query_switch
from oneself.api.http.request_options import decode_profile_id
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.auth.callers.permissions import ADMIN_CONFIG_UPDATE, PROFILE_VIEW
from oneself.core.identity_graph.joins import View
from oneself.errors import InvalidInput
from oneself.service.by_hand.asked import (
    Decided,
    DecidedProfile,
    GivenUp,
    SplitAbsorbed,
    SplitAsked,
    SplitBrowser,
    SplitFragments,
    SplitIdentifier,
    SplitSources,
    Why,
)
from oneself.service.context import DEFAULT_DATASET, Actor, DatasetRef

MERGE = requires_enabled("profile_merge")
_ERRORS = error_responses(400, 401, 403, 404, 409, 413, 415)

DryRun = Annotated[
    str | None,
    QueryParameter(name="dry_run", description="`true` changes nothing and answers what would be."),
]


class SplitRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What to take out of the profile: exactly one of the first five.

    `fragments`: these parts, by id. `profile_id`: a profile that it absorbed, with what came to that since.
    `browser`: what one browser said, by its anonymous id, tracker or the digest of that. `identifier`:
    `namespace:value`, everything apart that it alone joins. `all`: everything apart, each user, browser and
    server record by itself.
    """

    fragments: list[str] | None = None
    profile_id: str | None = None
    browser: str | None = None
    identifier: str | None = None
    all: bool | None = None
    reason: str | None = None


class MergeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`with`: any id of the other profile. `reason`: why, for the history.

    `give_up_account`: if each profile has a user, the user id whose account ends, for good. It needs the
    permission `internal_cds_admin_config_update` as well.
    """

    other: str | None = field(default=None, name="with")
    reason: str | None = None
    give_up_account: str | None = None


class DecidedConsentDocument(Struct, frozen=True):
    """A consent choice that holds."""

    category: str
    consented: bool
    at: Timestamp


class DecidedProfileDocument(Struct, frozen=True):
    """A profile after the decision. `values`: that the caller may read. `identifiers`: the first hundred.
    `events`: how many. A caller without `profile_view` gets neither values, identifiers, consents nor user.
    """

    profile_id: UUID
    user_id: str | None
    fragments: list[UUID]
    values: dict[str, Any]
    identifiers: list[ClaimRecordDocument]
    consents: list[DecidedConsentDocument]
    events: int


class GivenUpDocument(Struct, frozen=True):
    """What an account that was given up takes with it. `browsers`: how many begin anew. `verified`: the
    claims that its user had verified. `account_deleted`: whether the embedded directory had the account.
    """

    user_id: str
    browsers: int
    verified: list[str]
    account_deleted: bool


class ManualDecisionDocument(Struct, frozen=True):
    """What a split or merge came to. `decision_id`: null if it was a dry run. `profiles`: at most a hundred;
    of a split, the profile that stays first. `given_up`: null if no account was.
    """

    decision_id: UUID | None
    view: View
    profiles: list[DecidedProfileDocument]
    given_up: GivenUpDocument | None = None


_PARTS = ("fragments", "profile_id", "browser", "identifier", "all")
SPLIT_BODY = Body("split", INVALID_REQUEST, SplitRequest)
MERGE_BODY = Body("merge", INVALID_REQUEST, MergeRequest)


@post(
    "/profiles/{profile_id:str}/split",
    opt=MERGE,
    status_code=200,
    operation_class=described(takes=SplitRequest),
    responses=_ERRORS,
)
async def split_profile(
    request: AnyRequest, profile_id: FromPath[str], view: ViewParameter = None, dry_run: DryRun = None
) -> ManualDecisionDocument:
    """Split a profile of the dataset `default`: what is taken out stays apart until a person merges it."""
    return await _split(request, DEFAULT_DATASET, profile_id, view)


@post(
    f"{PROFILE}/split",
    opt=MERGE,
    status_code=200,
    operation_class=described(takes=SplitRequest),
    responses=_ERRORS,
)
async def split_profile_in_dataset(
    request: AnyRequest,
    dataset: FromPath[str],
    profile_id: FromPath[str],
    view: ViewParameter = None,
    dry_run: DryRun = None,
) -> ManualDecisionDocument:
    """Split a profile of a dataset: what is taken out stays apart until a person merges it."""
    return await _split(request, dataset, profile_id, view)


@post(
    "/profiles/{profile_id:str}/merge",
    opt=MERGE,
    status_code=200,
    operation_class=described(takes=MergeRequest),
    responses=_ERRORS,
)
async def merge_profiles(
    request: AnyRequest, profile_id: FromPath[str], view: ViewParameter = None, dry_run: DryRun = None
) -> ManualDecisionDocument:
    """Merge two profiles of the dataset `default`, whatever kept them apart. Of two users, one has to give up
    the account.
    """
    return await _merge(request, DEFAULT_DATASET, profile_id, view)


@post(
    f"{PROFILE}/merge",
    opt=MERGE,
    status_code=200,
    operation_class=described(takes=MergeRequest),
    responses=_ERRORS,
)
async def merge_profiles_in_dataset(
    request: AnyRequest,
    dataset: FromPath[str],
    profile_id: FromPath[str],
    view: ViewParameter = None,
    dry_run: DryRun = None,
) -> ManualDecisionDocument:
    """Merge two profiles of a dataset, whatever kept them apart; of two users, one gives up the account."""
    return await _merge(request, dataset, profile_id, view)


ROUTES = [split_profile, split_profile_in_dataset, merge_profiles, merge_profiles_in_dataset]


async def _split(
    request: AnyRequest, dataset: str, profile_id: str, view: str | None
) -> ManualDecisionDocument:
    document = non_null(await decode_object(request, SPLIT_BODY))
    asked, decisions = _asked(document), context_of(request).services.decisions

    async def split(at: DatasetRef, actor: Actor, why: Why) -> Decided | None:
        return await decisions.split(at, actor, profile_id, asked, why)

    return await _decide(request, dataset, view, document, split)


async def _merge(
    request: AnyRequest, dataset: str, profile_id: str, view: str | None
) -> ManualDecisionDocument:
    document = non_null(await decode_object(request, MERGE_BODY))
    call, other, gives_up = context_of(request), document.get("with"), document.get("give_up_account")
    if other is None:
        raise wire_error(INVALID_REQUEST, "with: name the other profile by any of its ids.")
    if gives_up is not None and not call.caller.holds(ADMIN_CONFIG_UPDATE):
        raise forbidden(f"give_up_account needs the permission {ADMIN_CONFIG_UPDATE}.")

    async def merge(at: DatasetRef, actor: Actor, why: Why) -> Decided | None:
        return await call.services.decisions.merge(at, actor, profile_id, other, why, gives_up=gives_up)

    return await _decide(request, dataset, view, document, merge)


async def _decide(
    request: AnyRequest,
    dataset: str,
    view: str | None,
    document: Object,
    act: Callable[[DatasetRef, Actor, Why], Awaitable[Decided | None]],
) -> ManualDecisionDocument:
    """Decide, and say what it came to. `document`: the body."""
    call = context_of(request)
    at = await dataset_of(call, dataset)
    why = Why(await view_of(call, at, view), document.get("reason", ""), query_switch(request, "dry_run"))
    try:
        decided = await act(at, call.actor, why)
    except InvalidInput as error:
        raise wire_error(INVALID_REQUEST, f"{error.code}: {error.description}") from None
    if decided is None:
        raise profile_unknown()
    profiles = [_render_profile(call, profile) for profile in decided.profiles]
    given_up = None if decided.given_up is None else _render_given_up(decided.given_up)
    return ManualDecisionDocument(decided.decision_id, why.view, profiles, given_up)


def _asked(document: Object) -> SplitAsked:
    """What a body asks for. Raises WireError."""
    parts = [name for name in _PARTS if document.get(name)]
    if len(parts) != 1:
        raise wire_error(
            INVALID_REQUEST, "Say what to take out: one of fragments, profile_id, browser, identifier or all."
        )
    (part,) = parts
    if part == "fragments":
        return SplitFragments(frozenset(_id(part, text) for text in document["fragments"]))
    if part == "profile_id":
        return SplitAbsorbed(_id(part, document["profile_id"]))
    if part == "browser":
        return SplitBrowser(document["browser"])
    return SplitIdentifier(document["identifier"]) if part == "identifier" else SplitSources()


def _id(name: str, text: str) -> UUID:
    found = decode_profile_id(text)
    if found is None:
        raise wire_error(INVALID_REQUEST, f"{name}: {text[:100]!r} is no id of a part or profile.")
    return found


def _render_given_up(given_up: GivenUp) -> GivenUpDocument:
    return GivenUpDocument(given_up.user_id, given_up.browsers, list(given_up.verified), given_up.has_account)


def _render_profile(call: RequestContext, profile: DecidedProfile) -> DecidedProfileDocument:
    survivor = profile.view.survivor
    if not call.caller.holds(PROFILE_VIEW):
        ids = list(profile.fragment_ids)
        return DecidedProfileDocument(survivor.profile_id, None, ids, {}, [], [], profile.events)
    reader = call.reader(with_application_data=True, applications=None)
    disclosure = Disclosure.of(call, profile.view, reader, frozenset())
    return DecidedProfileDocument(
        survivor.profile_id,
        survivor.user_id,
        list(profile.fragment_ids),
        disclosure.values(),
        [render_claim(claim, disclosure) for claim in profile.identifiers],
        [
            DecidedConsentDocument(category, choice.is_consented, rfc3339(choice.consented_at))
            for category, choice in sorted(survivor.consents.items())
        ],
        profile.events,
    )
