"""The table `tombstone`: keyed digests of the identifiers of erased people."""

from __future__ import annotations

from collections.abc import Sequence

from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("tombstone")


class TombstoneTable(Table):
    """The tombstones of a dataset."""

    __slots__ = ()

    async def put(self, digests: Sequence[bytes], erased_at: int) -> None:
        """Remember digests of identifiers that were erased at an instant (µs)."""
        await self._executor.execute(_sql.put, self._dataset_id, digests, erased_at)

    async def find(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Which of these are known, and when each was erased last (µs)."""
        found = await self._executor.fetch(_sql.find, self._dataset_id, digests) if digests else []
        return {row["digest"]: row["erased_at"] for row in found}
