"""The table `skipped_claim`: reported claim values that were rejected, counted by attribute and problem."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import Table, structs_of

_sql = Queries("skipped_claim")


class RejectedClaim(msgspec.Struct, frozen=True):
    """An attribute whose reported values were rejected for one reason. Instants in µs since 1970."""

    path: str
    problem: str
    times: int
    first_at: int
    last_at: int


class RejectedClaimTable(Table):
    """The rejected claim values of a dataset."""

    __slots__ = ()

    async def put(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Add to the counts: (path, problem) → how often."""
        paths, problems = [path for path, _ in counts], [problem for _, problem in counts]
        await self._executor.execute(_sql.put, self._dataset_id, paths, problems, list(counts.values()))

    async def list(self) -> list[RejectedClaim]:
        """Every count, the latest first."""
        return structs_of(RejectedClaim, await self._executor.fetch(_sql.list, self._dataset_id))
