"""Responses of the event endpoints: one JSON object, whatever happened.

Clients use the body of any 2xx, treat other statuses as a failed event, and ignore `errorCode`.
Source: docs/wire/interactions.md §6.
"""

from __future__ import annotations

from typing import Any

import msgspec

from oneself.api.http.raw import RawResponse
from oneself.service.events.interactions import new_event_id
from oneself.service.events.result import EventResult

SUCCESS, UNREADABLE_TOKEN, BUSY, ANONYMOUS_ID_CORRECTED, INVALID = 0, 2, 3, 4, 5

#: Merges of one event from which on it gets a warning (docs/wire/interactions.md §9.3).
WIDE_MERGE_MIN = 6

_encode = msgspec.json.Encoder().encode


class PersistedUserId(msgspec.Struct, frozen=True):
    """The token; `accountId` is always empty."""

    entityId: str
    accountId: str = ""


class MergeDetail(msgspec.Struct, frozen=True):
    """A user that was merged, and why."""

    user: str
    reason: str


class EventDetails(msgspec.Struct, frozen=True):
    """How the event was resolved, for authenticated callers that ask for it."""

    #: Types of the identities of the visit.
    identities: list[str]
    #: Users that the event led to.
    matched: list[str]
    merges: list[MergeDetail]
    #: Codes of merges that were refused.
    refusals: list[str]
    warnings: list[str]


class EventAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The response to an event."""

    id: str
    campaignResponses: list[Any]
    compiledCampaignTemplates: list[Any]
    errorCode: int
    resolvedUserId: str | None = None
    persistedUserId: PersistedUserId | None = None
    anonymousId: str | None = None
    anonymousProfileTracker: str | None = None
    campaignExplanations: list[Any] | None = None
    eventDetails: EventDetails | None = None


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """The response to an event that was not accepted; `message` says what to do.

    `code`: a word for programs, where one `errorCode` has several causes.
    """

    errorCode: int
    message: str
    code: str | None = None


def render_result(result: EventResult, *, explains: bool) -> RawResponse:
    """The response to an event that was accepted. `explains`: with the details of the decision."""
    return RawResponse(200, _encode(_document(result, explains=explains)), _outcome(result))


def render_do_not_track() -> RawResponse:
    """The response to an event that asks not to be processed. It names nobody."""
    return RawResponse(200, _encode(_document(EventResult(event_id=new_event_id()))), "do_not_track")


def render_failure(error_code: int, sentence: str, code: str | None = None) -> bytes:
    """The document of an event that was not accepted."""
    return _encode(Failure(error_code, sentence, code))


def _document(result: EventResult, *, explains: bool = False) -> EventAnswer:
    return EventAnswer(
        id=result.event_id,
        campaignResponses=[],
        compiledCampaignTemplates=[],
        errorCode=_code(result),
        resolvedUserId=result.resolved_id,
        persistedUserId=None if result.token is None else PersistedUserId(result.token),
        anonymousId=result.anonymous_id,
        anonymousProfileTracker=result.tracker,
        campaignExplanations=[] if explains else None,
        eventDetails=_details(result) if explains else None,
    )


def _code(result: EventResult) -> int:
    """An anonymous id that is not acceptable comes before a token that cannot be decrypted."""
    if result.anonymous_id_invalid:
        return ANONYMOUS_ID_CORRECTED
    return UNREADABLE_TOKEN if result.token_unreadable and result.token is None else SUCCESS


def _outcome(result: EventResult) -> str:
    """What metrics count."""
    if not result.is_processed:
        return "not_processed"
    plan = result.plan
    if plan is not None and plan.merges:
        return "merged"
    kind = "anonymous" if result.token is None else "named"
    return f"created_{kind}" if plan is not None and plan.creates else kind


def _details(result: EventResult) -> EventDetails:
    wide = ("wide_merge",) if len(result.merges) >= WIDE_MERGE_MIN else ()
    return EventDetails(
        identities=list(result.identities),
        matched=list(result.matched),
        merges=[MergeDetail(user, reason) for user, reason in result.merges],
        refusals=[refusal.code for refusal in result.plan.refusals] if result.plan is not None else [],
        warnings=list(dict.fromkeys((*result.warnings, *wide))),
    )
