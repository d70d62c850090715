"""The past of a person: every identifier that was ever theirs, and what made them who they are now.

Law of this module: it reads what the claims, the merges, the refusals and the aliases say; it derives
nothing that they do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.service.context import DatasetRef
from oneself.service.profiles.lookup import FoundProfile
from oneself.service.profiles.profiles import ProfileView
from oneself.store.database import Database
from oneself.store.queries import Queries

_sql = Queries("past.sql")
_privacy = Queries("privacy.sql")

#: No clock comes so far.
SEQ_MAX = 2**62


class ClaimPosition(msgspec.Struct, frozen=True):
    """A place in the list of identifiers; pages begin after it."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=SEQ_MAX)]
    namespace: str
    value: str
    profile_id: UUID


BEGINNING = ClaimPosition(0, "", "", UUID(int=0))


class ClaimRecord(msgspec.Struct, frozen=True):
    """An identifier that a profile of the person holds (`until` None) or held. Instants in µs since 1970."""

    identifier: Identifier
    profile_id: UUID
    since: int
    until: int | None
    trust: str

    @property
    def place(self) -> ClaimPosition:
        return ClaimPosition(self.since, self.identifier.namespace, self.identifier.value, self.profile_id)


class HistoryMerge(msgspec.Struct, frozen=True, tag="merge"):
    """A profile became one with another, because of `reason`. `alias`: what it was called by then."""

    at: int
    survivor_id: UUID
    absorbed_id: UUID
    reason: str
    identifier: Identifier | None
    alias: str | None


class Promotion(msgspec.Struct, frozen=True, tag="promotion"):
    """A profile got its primary id when it became known. `alias`: what it was called by before."""

    at: int
    profile_id: UUID
    alias: str


class HistoryRefusal(msgspec.Struct, frozen=True, tag="refusal"):
    """A merge or a claim that was indicated and did not happen, first at `at`. `other_id`: None where nobody
    else is concerned."""

    at: int
    last_at: int
    times: int
    code: str
    profile_id: UUID
    other_id: UUID | None
    namespace: str


HistoryEntry = HistoryMerge | Promotion | HistoryRefusal


class ProfileHistory:
    """Reads what became of a person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def identifiers(
        self, dataset_ref: DatasetRef, view: ProfileView, *, after: ClaimPosition = BEGINNING, limit: int
    ) -> list[ClaimRecord]:
        """The identifiers after a place, the oldest first."""
        found = await self._database.fetch(
            _sql.list_claims, dataset_ref.dataset_id, _everybody(view), *msgspec.structs.astuple(after), limit
        )
        return [_held(row) for row in found]

    async def history(
        self, dataset_ref: DatasetRef, view: ProfileView, person: FoundProfile
    ) -> list[HistoryEntry]:
        """Merges, promotions and refusals in the order of time."""
        everybody = _everybody(view)
        merges = await self._database.fetch(_privacy.find_person_merges, dataset_ref.dataset_id, everybody)
        refusals = await self._database.fetch(
            _privacy.find_person_refusals, dataset_ref.dataset_id, everybody
        )
        promotions = (
            Promotion(alias.at, alias.profile_id, alias.id)
            for alias in person.named
            if alias.by == "promotion"
        )
        return sorted(
            (*_merges(merges, person), *promotions, *map(_refused, refusals)),
            key=lambda step: (step.at, type(step).__name__),
        )


def _everybody(view: ProfileView) -> list[UUID]:
    return [view.survivor.profile_id, *(each.profile_id for each in view.absorbed)]


def _held(row: Any) -> ClaimRecord:
    return ClaimRecord(
        Identifier(row["namespace"], row["value"]),
        row["profile_id"],
        row["seq"],
        row["until_seq"],
        row["trust"],
    )


def _merges(found: Iterable[Any], person: FoundProfile) -> Iterable[HistoryMerge]:
    called = {alias.profile_id: alias.id for alias in person.named if alias.by == "merge"}
    for row in found:
        via = Identifier(row["namespace"], row["value"]) if row["namespace"] is not None else None
        absorbed_id = row["absorbed_id"]
        yield HistoryMerge(
            row["seq"], row["survivor_id"], absorbed_id, row["reason"], via, called.get(absorbed_id)
        )


def _refused(row: Any) -> HistoryRefusal:
    other_id = row["other_id"] if row["other_id"] != row["profile_id"] else None
    return HistoryRefusal(
        row["first_seq"],
        row["last_seq"],
        row["times"],
        row["code"],
        row["profile_id"],
        other_id,
        row["namespace"],
    )
