"""`/datasets/{dataset}/profiles/{id}/…`: the events, identifiers and history of one person.

Decode, one use-case, render.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import get
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from oneself.api.admin.as_of import AtParameter, position_as_of, read_profiles, requested_instant
from oneself.api.admin.explain import SourceObservationDocument, render_observation
from oneself.api.admin.profiles import PROFILE, reader_for, resolve_profile
from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import (
    CursorWord,
    PageSize,
    Pagination,
    cut_page,
    page_size,
    paginate,
    requested_position,
)
from oneself.api.documents.person import AsOfDocument, Disclosure
from oneself.api.http.errors import INVALID_REQUEST, wire_error
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.openapi import Described, error_responses
from oneself.api.http.query import AskedCategories, ViewParameter, query_instant
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.core.identity.identifier import Identifier, visible_value
from oneself.core.values.attribute import APPLICATION_DATA
from oneself.service.explain.values import SourceObservation
from oneself.service.history.entries import (
    ClaimRecord,
    ConsentStep,
    Creation,
    DecisionStep,
    HistoryEntry,
    HistoryMerge,
    HistoryRefusal,
    Promotion,
    ValueStep,
    Verification,
)
from oneself.service.history.person_events import ListedEvent
from oneself.store.tables.event import NOW, EventFilter

VIEW = requires("profile_view")
NAME_CHARS_MAX = 1024
LAST_OFFSET = 2**31


class EventDocument(Struct, frozen=True):
    """An event. `body`: as received, without tokens; applications that are not system applications see only
    the browser's fields of `user`.
    """

    event_id: str
    name: str | None
    occurred_at: Timestamp
    received_at: Timestamp
    interface: str = field(name="face")
    body: Any


class EventList(Struct, frozen=True, omit_defaults=True):
    """One page, the last recorded first. A page may be short or empty and still have a next one."""

    events: list[EventDocument]
    pagination: Pagination
    as_of: AsOfDocument | None = None


class ClaimRecordDocument(Struct, frozen=True):
    """An identifier that a profile of the person holds (`live`) or held. `value`: null if the caller may not
    read the attribute that it is a value of; of a tracker its digest.
    """

    namespace: str
    value: str | None
    profile_id: UUID
    since: Timestamp
    until: Timestamp | None
    trust: str
    live: bool


class ClaimRecordList(Struct, frozen=True, omit_defaults=True):
    """One page of identifiers, the oldest first."""

    identifiers: list[ClaimRecordDocument]
    pagination: Pagination
    as_of: AsOfDocument | None = None


class CauseDocument(Struct, frozen=True):
    """The identifier that caused a merge."""

    namespace: str
    value: str | None


class HistoryEntryDocument(Struct, frozen=True, omit_defaults=True):
    """One step in the history of a profile.

    `merge`: `absorbed_id`, whose primary id was `alias`, was merged into `profile_id`, because of `reason`.
    `promotion`: `profile_id`, whose primary id was `alias`, became identified. `refusal`: a merge with
    `other_id`, or a claim, was refused with `code`, `times` times until `last_at`. `verification`: the claim
    `claim` of the identity provider became verified, or, if `verified` is false, it no longer is.
    `creation`: `profile_id` began. `consent`: the person chose in `category`. `value`: `attribute` changed
    from `before` to `after`; without one of them, there was no value, or the caller may not read it. `split`
    and `manual_merge`: a person decided so about `parts` of profiles, because of `reason`; `given_up_account`
    is the user id of an account that ended for it.

    `observation`: what did it; missing if it was erased.
    """

    at: Timestamp
    kind: Literal[
        "merge",
        "promotion",
        "refusal",
        "verification",
        "creation",
        "consent",
        "value",
        "split",
        "manual_merge",
    ]
    profile_id: UUID
    alias: str | None = None
    absorbed_id: UUID | None = None
    reason: str | None = None
    identifier: CauseDocument | None = None
    code: str | None = None
    other_id: UUID | None = None
    namespace: str | None = None
    last_at: Timestamp | None = None
    times: int | None = None
    claim: str | None = None
    verified: bool | None = None
    category: str | None = None
    consented: bool | None = None
    attribute: str | None = None
    before: Any = None
    after: Any = None
    parts: int | None = None
    given_up_account: str | None = None
    observation: SourceObservationDocument | None = None


class History(Struct, frozen=True, omit_defaults=True):
    """One page of steps, the oldest first. `complete`: false if the person has more than 20 000
    observations: changes of values are listed for the first ones.
    """

    history: list[HistoryEntryDocument]
    pagination: Pagination
    complete: Literal[False] | None = None


class _Offset(Struct, frozen=True):
    offset: Annotated[int, Meta(ge=0, le=LAST_OFFSET)]


Name = Annotated[str | None, QueryParameter(description="The exact name of the event.")]
Instant = Annotated[str | None, QueryParameter(description="RFC 3339, or milliseconds since 1970.")]


@get(
    f"{PROFILE}/events",
    opt=VIEW,
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404, 409),
)
async def list_events(
    request: AnyRequest,
    dataset: FromPath[str],
    profile_id: FromPath[str],
    size: PageSize = None,
    cursor: CursorWord = None,
    name: Name = None,
    since: Instant = None,
    until: Instant = None,
    view: ViewParameter = None,
    at: AtParameter = None,
) -> EventList:
    """List the events of a person, the last recorded first. `since` and `until` filter by when they
    occurred. With `at`, those that the service had recorded by then.
    """
    call, limit = context_of(request), page_size(size)
    filters = event_filter(name, since, until)
    before, instant = position_as_of(cursor, NOW, requested_instant(at))
    async with read_profiles(call, dataset, [profile_id], view, instant) as reading:
        person = await reading.profile()
        page = await reading.person_events.page(
            reading.dataset_ref, person, filters, before=before, size=limit
        )
    (disclosure,) = reading.disclosures([person], None)
    events = [_render_event(event, disclosure) for event in page.events]
    return EventList(events, paginate(events, limit, page.next_position, instant), reading.as_of)


@get(
    f"{PROFILE}/identifiers",
    opt=VIEW,
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404, 409),
)
async def list_identifiers(
    request: AnyRequest,
    dataset: FromPath[str],
    profile_id: FromPath[str],
    size: PageSize = None,
    cursor: CursorWord = None,
    consent_category_id: AskedCategories = None,
    view: ViewParameter = None,
    at: AtParameter = None,
) -> ClaimRecordList:
    """List every identifier that a person has or had, with its dates."""
    call, limit = context_of(request), page_size(size)
    position, instant = position_as_of(cursor, _Offset(0), requested_instant(at))
    offset = position.offset
    async with read_profiles(call, dataset, [profile_id], view, instant) as reading:
        person = await reading.profile()
        found = await reading.timeline.identifiers(
            reading.dataset_ref, person, offset=offset, limit=limit + 1
        )
    page, pagination = cut_page(found, limit, lambda _: _Offset(offset + limit), instant)
    (disclosure,) = reading.disclosures([person], consent_category_id)
    return ClaimRecordList([render_claim(claim, disclosure) for claim in page], pagination, reading.as_of)


@get(f"{PROFILE}/history", opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def read_history(
    request: AnyRequest,
    dataset: FromPath[str],
    profile_id: FromPath[str],
    size: PageSize = None,
    cursor: CursorWord = None,
    consent_category_id: AskedCategories = None,
    view: ViewParameter = None,
) -> History:
    """List what happened to a person, the oldest first: profiles that began, merges, promotions, refusals,
    verified claims, consent choices, and values that changed, each with the observation that did it.
    """
    call, limit = context_of(request), page_size(size)
    offset = requested_position(cursor, _Offset(0)).offset
    at, person = await resolve_profile(call, dataset, profile_id, view)
    names = await call.services.profiles.lookup.person_in(at, person)
    disclosure = reader_for(call, person, consent_category_id)
    found = await call.services.history.timeline.steps(
        at,
        person,
        names,
        offset=offset,
        limit=limit + 1,
        accepts=lambda step: _may_list(step, disclosure),
    )
    page, pagination = cut_page(list(found.steps), limit, lambda _: _Offset(offset + limit))
    steps = [_render(step, observation, disclosure) for step, observation in page]
    return History(steps, pagination, complete=None if found.is_complete else False)


ROUTES = [list_events, list_identifiers, read_history]


def event_filter(name: str | None, since: str | None, until: str | None) -> EventFilter:
    """The filter in the query; raises WireError."""
    return EventFilter(_name(name), _instant("since", since), _instant("until", until))


def _name(text: str | None) -> str | None:
    if text is not None and (len(text) > NAME_CHARS_MAX or "\x00" in text):
        raise wire_error(INVALID_REQUEST, "name must have at most 1024 characters and no NUL.")
    return text


def _instant(field: str, text: str | None) -> int | None:
    return None if text is None else query_instant(field, text)


def _render_event(event: ListedEvent, disclosure: Disclosure) -> EventDocument:
    return EventDocument(
        event.event_id,
        event.name,
        rfc3339(event.occurred_at),
        rfc3339(event.received_at),
        event.interface,
        disclosure.body(event.body),
    )


def render_claim(claim: ClaimRecord, disclosure: Disclosure) -> ClaimRecordDocument:
    """The document of an identifier for one reader."""
    identifier = claim.identifier
    return ClaimRecordDocument(
        namespace=identifier.namespace,
        value=visible_value(identifier) if disclosure.shows(identifier) else None,
        profile_id=claim.profile_id,
        since=rfc3339(claim.since),
        until=rfc3339(claim.until) if claim.until is not None else None,
        trust=claim.trust,
        live=claim.until is None,
    )


def _may_list(step: HistoryEntry, disclosure: Disclosure) -> bool:
    """Whether the caller may know of a step: what other applications store is theirs."""
    if not isinstance(step, ValueStep) or step.path[0] != APPLICATION_DATA:
        return True
    return any(disclosure.value(step.path, value) is not None for value in (step.before, step.after))


def _render(
    step: HistoryEntry, observation: SourceObservation | None, disclosure: Disclosure
) -> HistoryEntryDocument:
    rendered = _render_step(step, disclosure)
    found = None if observation is None else render_observation(observation)
    return replace(rendered, observation=found)


def _render_step(step: HistoryEntry, disclosure: Disclosure) -> HistoryEntryDocument:
    match step:
        case HistoryMerge():
            return HistoryEntryDocument(
                rfc3339(step.at),
                "merge",
                step.survivor_id,
                alias=step.alias,
                absorbed_id=step.absorbed_id,
                reason=step.reason,
                identifier=_cause(step.identifier, disclosure),
            )
        case Promotion():
            return HistoryEntryDocument(rfc3339(step.at), "promotion", step.profile_id, alias=step.alias)
        case HistoryRefusal():
            return HistoryEntryDocument(
                rfc3339(step.at),
                "refusal",
                step.profile_id,
                code=step.code,
                other_id=step.other_id,
                namespace=step.namespace or None,
                last_at=rfc3339(step.last_at),
                times=step.times,
            )
        case Verification():
            return HistoryEntryDocument(
                rfc3339(step.at),
                "verification",
                step.profile_id,
                claim=step.claim,
                verified=step.is_verified,
            )
        case Creation():
            return HistoryEntryDocument(rfc3339(step.at), "creation", step.profile_id)
        case ConsentStep():
            return HistoryEntryDocument(
                rfc3339(step.at),
                "consent",
                step.profile_id,
                category=step.category,
                consented=step.is_consented,
            )
        case DecisionStep():
            return HistoryEntryDocument(
                rfc3339(step.at),
                "split" if step.is_split else "manual_merge",
                step.profile_id,
                reason=step.reason,
                parts=step.parts,
                given_up_account=step.gave_up,
            )
        case ValueStep():
            return HistoryEntryDocument(
                rfc3339(step.at),
                "value",
                step.profile_id,
                attribute=".".join(step.path),
                before=disclosure.value(step.path, step.before),
                after=disclosure.value(step.path, step.after),
            )


def _cause(identifier: Identifier | None, disclosure: Disclosure) -> CauseDocument | None:
    if identifier is None:
        return None
    return CauseDocument(
        identifier.namespace, visible_value(identifier) if disclosure.shows(identifier) else None
    )
