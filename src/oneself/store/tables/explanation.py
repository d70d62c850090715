"""What explanations read of several tables: the parts of a profile, and what holds them together.

Invariants: read-only. The work of a statement depends on the number of rows that it is asked for, not on the
size of the profile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.fragment import Tenure
from oneself.core.identity_graph.joins import View
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.fragment import FragmentRow, StoredView, read_fragment
from oneself.store.tables.table import Table, structs_of

_sql = Queries("explanation")


class NotedObservation(msgspec.Struct, frozen=True):
    """An entry of the log, without what it says. Instants in µs since 1970."""

    seq: int
    observation_id: UUID
    fragment_id: UUID | None
    kind: str
    name: str | None
    interface: str | None
    application: str | None
    trust: str
    #: When it happened.
    at: int


class ListedClaim(msgspec.Struct, frozen=True):
    """A proven claim of a fragment."""

    tenure: Tenure
    #: As a seq.
    since: int
    fragment_id: UUID

    @property
    def position(self) -> tuple[int, UUID]:
        """Its position in a list."""
        return self.since, self.fragment_id


class MergeRow(msgspec.Struct, frozen=True):
    """A merge of the view `all`."""

    absorbed_id: UUID
    survivor_id: UUID
    seq: int
    reason: str
    identifier: Identifier | None


class ClaimedSince(msgspec.Struct, frozen=True):
    """Since which observation a profile has, or had, an identifier in the view `all`."""

    since: int
    trust: str


class RefusalRow(msgspec.Struct, frozen=True):
    """A kind of refusal in the view `all`. `other_id` is `profile_id` if it is about a value."""

    code: str
    profile_id: UUID
    other_id: UUID
    namespace: str
    first_seq: int
    last_seq: int
    times: int


class ExplanationTable(Table):
    """The reader of a dataset's explanations."""

    __slots__ = ()

    async def list_of_user(
        self, user_id: str, view: StoredView, after: UUID, limit: int
    ) -> list[FragmentRow]:
        """The next fragments of a user in a view, by id."""
        asked = self._dataset_id, user_id, after, limit
        found = [read_fragment(row) for row in await self._executor.fetch(_sql.list_of_owner, *asked)]
        if view == "proven":
            reported = await self._executor.fetch(_sql.list_of_reported_user, *asked)
            found += [read_fragment(row) for row in reported]
        return sorted(found, key=lambda row: row.fragment.fragment_id)[:limit]

    async def list_members(self, head: UUID, after: UUID, limit: int) -> list[FragmentRow]:
        """The next fragments of a profile in the view `proven`, by id, but for the one that heads it."""
        found = await self._executor.fetch(_sql.list_members, self._dataset_id, head, after, limit)
        return [read_fragment(row) for row in found]

    async def list_claimants(
        self, tenures: Collection[Tenure], after: tuple[int, UUID], limit: int
    ) -> list[ListedClaim]:
        """The next proven claims on identifiers, the oldest first; at least `limit` if there are so many.

        Those of one fragment and one observation are not divided.
        """
        if not tenures:
            return []
        ordered = sorted(tenures)
        asked = *_tenure_columns(ordered), *after, limit + len(ordered)
        found = [
            ListedClaim(ordered[row["number"] - 1], row["since"], row["fragment_id"])
            for row in await self._executor.fetch(_sql.list_claimants, self._dataset_id, *asked)
        ]
        last = found[limit - 1].position if len(found) >= limit else None
        return [item for item in found if last is None or item.position <= last]

    async def find_claimants(self, tenures: Collection[Tenure], head: UUID, number_max: int) -> set[UUID]:
        """The fragments of a profile in `proven` among the oldest claimants of identifiers."""
        if not tenures:
            return set()
        columns = _tenure_columns(tenures)
        found = await self._executor.fetch(_sql.find_claimants, self._dataset_id, *columns, head, number_max)
        return {row["fragment_id"] for row in found}

    async def find_observations(self, seqs: Iterable[int]) -> dict[int, list[NotedObservation]]:
        """Seq → the entries of the log there; erased ones are missing."""
        found: dict[int, list[NotedObservation]] = {}
        rows_found = await self._executor.fetch(_sql.find_observations, self._dataset_id, sorted(set(seqs)))
        for item in structs_of(NotedObservation, rows_found):
            found.setdefault(item.seq, []).append(item)
        return found

    async def list_merges(self, survivor_id: UUID, after: UUID, limit: int) -> list[MergeRow]:
        """The last merges of the next profiles that a survivor has absorbed, by their ids."""
        found = await self._executor.fetch(_sql.list_merges, self._dataset_id, survivor_id, after, limit)
        return [_read_merge(row) for row in found]

    async def find_merges_up(self, profile_id: UUID, limit: int) -> list[MergeRow]:
        """The merges that lead from a profile to its survivor, in order."""
        found = await self._executor.fetch(_sql.find_merges_up, self._dataset_id, profile_id, limit)
        return [_read_merge(row) for row in found]

    async def find_claims(
        self, asked: Iterable[tuple[Identifier, UUID]]
    ) -> dict[tuple[Identifier, UUID], ClaimedSince]:
        """Identifier and profile → its first claim on it in the view `all`, of the best evidence."""
        columns = rows.columns(3, sorted((i.namespace, i.value, profile_id) for i, profile_id in asked))
        if not columns[0]:
            return {}
        found = await self._executor.fetch(_sql.find_claims, self._dataset_id, *columns)
        return {
            (Identifier(row["namespace"], row["value"]), row["profile_id"]): ClaimedSince(
                row["since"], row["trust"]
            )
            for row in found
        }

    async def find_refusals(self, ones: Iterable[UUID], others: Iterable[UUID]) -> list[RefusalRow]:
        """The refusals of the view `all` between two sets of profiles, and of values of either."""
        asked = sorted(ones), sorted(others)
        return structs_of(
            RefusalRow, await self._executor.fetch(_sql.find_refusals, self._dataset_id, *asked)
        )

    async def count_parts(self, view: View, head: UUID, number_max: int) -> int:
        """How many parts a profile has in a view; `number_max`: so many or more."""
        asked = view, head, number_max
        number: int = await self._executor.fetchval(_sql.count_parts, self._dataset_id, *asked)
        return number

    async def count_of_user(self, user_id: str, view: StoredView, number_max: int) -> int:
        """How many fragments a user has in a view; `number_max`: so many or more."""
        row = await self._executor.fetchrow(_sql.count_of_user, self._dataset_id, user_id, number_max)
        assert row is not None
        number: int = row["owned"] + (row["reported"] if view == "proven" else 0)
        return min(number, number_max)

    async def count_sharing(
        self, identifiers: Collection[Identifier], head: UUID, claims_max: int
    ) -> dict[Identifier, int]:
        """Identifier → of how many fragments of a profile in `proven` a server or a provider has said it.

        `claims_max`: how many claims on each are looked at.
        """
        ordered = sorted(identifiers)
        if not ordered:
            return {}
        columns = rows.columns(2, ((item.namespace, item.value) for item in ordered))
        asked = *columns, head, claims_max
        found = await self._executor.fetch(_sql.count_sharing, self._dataset_id, *asked)
        return {item: row["parts"] for item, row in zip(ordered, found, strict=True)}

    async def count_merged_by(self, survivor_id: UUID, profiles_max: int) -> dict[Identifier, int]:
        """Identifier → how many of the first profiles that a survivor has absorbed were merged by it."""
        asked = survivor_id, profiles_max
        found = await self._executor.fetch(_sql.count_merged_by, self._dataset_id, *asked)
        return {Identifier(row["namespace"], row["value"]): row["number"] for row in found}

    async def list_absorbed(self, survivor_id: UUID, limit: int) -> list[UUID]:
        """Some profiles that a survivor has absorbed in the view `all`."""
        found = await self._executor.fetch(_sql.list_absorbed, self._dataset_id, survivor_id, limit)
        return [row["profile_id"] for row in found]


def _tenure_columns(tenures: Collection[Tenure]) -> rows.Columns:
    return rows.columns(3, ((t.identifier.namespace, t.identifier.value, t.number) for t in sorted(tenures)))


def _read_merge(row: Any) -> MergeRow:
    identifier = None if row["namespace"] is None else Identifier(row["namespace"], row["value"])
    return MergeRow(row["absorbed_id"], row["survivor_id"], row["seq"], row["reason"], identifier)
