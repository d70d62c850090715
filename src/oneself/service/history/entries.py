"""The entries of a person's history.

Invariants: values only; `timeline` reads them for the view `all`, `view_history` for the narrower views.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.values.record import Path
from oneself.service.explain.values import SourceObservation


class ClaimRecord(msgspec.Struct, frozen=True):
    """An identifier that a profile of the person holds or held. Instants in µs since 1970."""

    identifier: Identifier
    profile_id: UUID
    since: int
    #: None while the profile holds it.
    until: int | None
    trust: str

    @property
    def age(self) -> tuple[int, Identifier, UUID]:
        """The sort key of a list, the oldest first."""
        return self.since, self.identifier, self.profile_id


class HistoryMerge(msgspec.Struct, frozen=True, tag="merge"):
    """A profile was absorbed by another."""

    #: In µs since 1970.
    at: int
    survivor_id: UUID
    absorbed_id: UUID
    reason: str
    #: The identifier that caused it.
    identifier: Identifier | None
    #: The primary id of the absorbed profile.
    alias: str | None

    @property
    def profile_id(self) -> UUID:
        """The profile that it happened to."""
        return self.survivor_id


class Promotion(msgspec.Struct, frozen=True, tag="promotion"):
    """An anonymous profile became known and got another primary id."""

    #: In µs since 1970.
    at: int
    profile_id: UUID
    #: The primary id before.
    alias: str


class HistoryRefusal(msgspec.Struct, frozen=True, tag="refusal"):
    """A merge or a claim that was indicated and must not happen. Instants in µs since 1970."""

    #: The first time.
    at: int
    last_at: int
    times: int
    code: str
    profile_id: UUID
    #: None if no other profile is concerned.
    other_id: UUID | None
    namespace: str


class Verification(msgspec.Struct, frozen=True, tag="verification"):
    """A provider claim became verified, or it ended: by a withdrawal or with a new value."""

    #: In µs since 1970.
    at: int
    profile_id: UUID
    claim: str
    is_verified: bool


class Creation(msgspec.Struct, frozen=True, tag="creation"):
    """A profile began."""

    #: In µs since 1970.
    at: int
    profile_id: UUID


class ConsentStep(msgspec.Struct, frozen=True, tag="consent"):
    """The person chose in a consent category."""

    #: In µs since 1970.
    at: int
    profile_id: UUID
    category: str
    is_consented: bool


class ValueStep(msgspec.Struct, frozen=True, tag="value"):
    """A value changed. None: there was none before, or there is none any more."""

    #: In µs since 1970.
    at: int
    profile_id: UUID
    path: Path
    before: Any
    after: Any


class DecisionStep(msgspec.Struct, frozen=True, tag="decision"):
    """A person split the profile, or merged it with another."""

    #: In µs since 1970.
    at: int
    profile_id: UUID
    is_split: bool
    #: Of how many parts the person decided, those of others among them.
    parts: int
    #: In the words of whoever decided; None: they gave none, or it was erased.
    reason: str | None
    #: The user whose account was given up for a merge.
    gave_up: str | None
    #: How many parts each side had: of a split, what stayed first.
    sides: tuple[int, ...] = ()
    #: The console user, or the application, who decided; None: neither was noted.
    by: str | None = None


HistoryEntry = (
    HistoryMerge
    | Promotion
    | HistoryRefusal
    | Verification
    | Creation
    | ConsentStep
    | ValueStep
    | DecisionStep
)


class StepPage(msgspec.Struct, frozen=True):
    """Steps in the order of time, each with the observation that made it; None: it was erased."""

    steps: tuple[tuple[HistoryEntry, SourceObservation | None], ...]
    #: Whether every observation was looked at.
    is_complete: bool
