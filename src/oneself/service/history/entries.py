"""The entries of a person's history.

Invariants: values only; `timeline` reads them for the view `all`, `view_history` for the narrower views.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier


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


HistoryEntry = HistoryMerge | Promotion | HistoryRefusal | Verification
