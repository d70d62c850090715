"""The table `join_review`: datasets whose profiles of the view `proven` a changed setting may join."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.rows import lock_hash
from oneself.store.tables.table import Table, struct_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("join_review")


class JoinReviewProgress(msgspec.Struct, frozen=True):
    """How far the review of a dataset is."""

    #: The seq of the change that it follows.
    seq: int
    #: The profiles up to this one are done.
    after_id: UUID


class JoinReviewTable(Table):
    """The review of a dataset."""

    __slots__ = ()

    async def start(self, seq: int) -> None:
        """Let the profiles be looked at from the first one on. `seq`: of the change of the settings."""
        await self._executor.execute(_sql.start, self._dataset_id, seq)

    async def try_lock(self) -> bool:
        """Let nobody else review the dataset until the transaction ends; False: somebody does."""
        return bool(await self._executor.fetchval(_sql.try_lock, lock_hash(self._dataset_id, "review")))

    async def find(self) -> JoinReviewProgress | None:
        """How far the dataset is; None: nothing is to be reviewed."""
        return struct_of(JoinReviewProgress, await self._executor.fetchrow(_sql.find, self._dataset_id))

    async def advance(self, progress: JoinReviewProgress) -> None:
        """Record how far the dataset is, unless the settings have changed since."""
        await self._executor.execute(_sql.advance, self._dataset_id, progress.seq, progress.after_id)

    async def finish(self, seq: int) -> None:
        """Record that the dataset is done, unless the settings have changed since."""
        await self._executor.execute(_sql.finish, self._dataset_id, seq)


async def list_unreviewed_datasets(executor: Executor) -> list[int]:
    """The datasets that are to be reviewed, in order."""
    return [row["dataset_id"] for row in await executor.fetch(_sql.list_datasets)]
