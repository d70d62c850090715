"""Answers of the event wire: one JSON object whatever happened (wire/interactions §6).

Clients use the body of any 2xx, treat the rest as a failed event, and do not act on the code.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from oneself.service.events.interactions import EventResult

SUCCESS, UNREADABLE_TOKEN, BUSY, ANONYMOUS_ID_CORRECTED, INVALID = 0, 2, 3, 4, 5

#: A merge that folds more than this at once deserves a look (wire/interactions §9.3).
WIDE_MERGE_MIN = 6
#: Speed before size: these answers are a few hundred bytes.
_GZIP_LEVEL = 1
_GZIP_WINDOW = 31

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
    """Our receipt of the decision, for authenticated callers: types of the identities used, users matched,
    merges made, refusals met, warnings."""

    identities: list[str]
    matched: list[str]
    merges: list[MergeDetail]
    refusals: list[str]
    warnings: list[str]


class EventAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What every event is answered with."""

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


class Failure(msgspec.Struct, frozen=True):
    """An event that was not taken, and what to do about it."""

    errorCode: int
    message: str


def render_result(taken: EventResult, code: int, warnings: tuple[str, ...], *, explains: bool) -> bytes:
    """The answer to an event that was processed, or that asked not to be."""
    answer = EventAnswer(
        id=taken.event_id,
        campaignResponses=[],
        compiledCampaignTemplates=[],
        errorCode=code,
        resolvedUserId=taken.resolved_id,
        persistedUserId=None if taken.token is None else PersistedUserId(taken.token),
        anonymousId=taken.anonymous_id,
        anonymousProfileTracker=taken.tracker,
        campaignExplanations=[] if explains else None,
        eventDetails=_details(taken, warnings) if explains else None,
    )
    return _encode(answer)


def render_failure(code: int, sentence: str) -> bytes:
    return _encode(Failure(code, sentence))


def gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(body) + packer.flush()


def _details(taken: EventResult, warnings: tuple[str, ...]) -> EventDetails:
    wide = ("wide_merge",) if len(taken.merges) >= WIDE_MERGE_MIN else ()
    return EventDetails(
        identities=list(taken.identities),
        matched=list(taken.matched),
        merges=[MergeDetail(user, reason) for user, reason in taken.merges],
        refusals=[refusal.code for refusal in taken.plan.refusals] if taken.plan is not None else [],
        warnings=list(dict.fromkeys((*warnings, *taken.warnings, *wide))),
    )
