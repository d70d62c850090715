"""The table `pending_rebuild`: datasets whose state an earlier version folded in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("pending_rebuild")


class PendingRebuildTable:
    """The datasets that are to be rebuilt from the log. Migrations insert them."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def list(self) -> list[int]:
        """Every dataset whose state is outdated, in order."""
        return [row["dataset_id"] for row in await self._executor.fetch(_sql.list)]

    async def remove(self, dataset_id: int) -> None:
        """Record that the state of a dataset is what this version folds."""
        await self._executor.execute(_sql.remove, dataset_id)
