"""The table `person_join`: joins of fragments that hang on no identifier."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.graph import PersonJoin
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("person_join")


class PersonJoinTable(Table):
    """The joins of a dataset that hang on no identifier."""

    __slots__ = ()

    async def find(self, fragment_ids: Iterable[UUID]) -> list[PersonJoin]:
        """The joins of fragments with any others, in order."""
        found = await self._executor.fetch(_sql.find, self._dataset_id, sorted(fragment_ids))
        joins = (
            PersonJoin(
                row["one_id"], row["other_id"], EvidenceLevel(row["level"]), row["since"], row["reason"]
            )
            for row in found
        )
        return sorted(joins, key=lambda join: (join.since, join.one, join.other, join.reason))

    async def put(self, joins: Iterable[PersonJoin]) -> None:
        """Insert joins; those that are known stay as they are."""
        columns = rows.columns(5, ((j.one, j.other, int(j.level), j.since, j.reason) for j in joins))
        if columns[0]:
            await self._executor.execute(_sql.put, self._dataset_id, *columns)

    async def delete(self, joins: Iterable[PersonJoin]) -> None:
        """Delete joins."""
        columns = rows.columns(4, ((j.one, j.other, j.since, j.reason) for j in joins))
        if columns[0]:
            await self._executor.execute(_sql.delete, self._dataset_id, *columns)

    async def delete_of_fragments(self, fragment_ids: Iterable[UUID]) -> None:
        """Delete the joins of fragments with any others."""
        await self._executor.execute(_sql.delete_of_fragments, self._dataset_id, sorted(fragment_ids))
