"""The table `merge`: every merge that was carried out, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from oneself.core.resolution.working_set import MergeRecord
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("merge")


class MergeTable(Table):
    """The merges of a dataset."""

    __slots__ = ()

    async def put(self, merges: Sequence[MergeRecord]) -> None:
        """Insert merges."""
        if merges:
            await self._executor.execute(_sql.put, self._dataset_id, *rows.merge_columns(merges))

    async def find_of_profiles(self, profile_ids: Sequence[UUID]) -> list[dict[str, Any]]:
        """The merges of profiles, in order, by column names."""
        found = await self._executor.fetch(_sql.find_of_profiles, self._dataset_id, profile_ids)
        return [dict(row) for row in found]

    async def find_survivors_by_namespace(self, namespace: str) -> list[UUID]:
        """The survivors that have a merge which an identifier of this namespace caused."""
        found = await self._executor.fetch(_sql.find_survivors_by_namespace, self._dataset_id, namespace)
        return [row["survivor_id"] for row in found]

    async def delete(self, merges: Sequence[tuple[UUID, int]]) -> None:
        """Delete merges: (absorbed profile, seq)."""
        if merges:
            await self._executor.execute(_sql.delete, self._dataset_id, *rows.columns(2, merges))

    async def delete_of_profiles(self, profile_ids: Sequence[UUID]) -> None:
        """Delete the merges of profiles."""
        await self._executor.execute(_sql.delete_of_profiles, self._dataset_id, profile_ids)
