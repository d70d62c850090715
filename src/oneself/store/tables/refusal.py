"""The table `refusal`: merges and claims that were indicated and must not happen, counted for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from oneself.core.resolution.working_set import RefusalRecord
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("refusal")


class RefusalTable(Table):
    """The refusals of a dataset."""

    __slots__ = ()

    async def put(self, refusals: Sequence[RefusalRecord]) -> None:
        """Insert refusals, or count those that are known."""
        if refusals:
            await self._executor.execute(_sql.put, self._dataset_id, *rows.refusal_columns(refusals))

    async def find_of_profiles(self, profile_ids: Sequence[UUID]) -> list[dict[str, Any]]:
        """The refusals that concern profiles, the oldest first, by column names."""
        found = await self._executor.fetch(_sql.find_of_profiles, self._dataset_id, profile_ids)
        return [dict(row) for row in found]

    async def delete_of_profiles(self, profile_ids: Sequence[UUID]) -> None:
        """Delete the refusals that are recorded against profiles."""
        await self._executor.execute(_sql.delete_of_profiles, self._dataset_id, profile_ids)
