"""The table `unreconciled_fragment`: fragments whose evidence changed; the view `all` may have to follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.rows import lock_hash
from oneself.store.tables.table import Table, struct_of, structs_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("unreconciled_fragment")
#: In place of a fragment: every fragment of the dataset of which a proof says who it is, if it began before a
#: change of its settings. They are reconciled after those that are listed.
EVERY_FRAGMENT = UUID(int=0)


class UnreconciledFragment(msgspec.Struct, frozen=True):
    """A fragment that is to be reconciled, or `EVERY_FRAGMENT`."""

    dataset_id: int
    fragment_id: UUID
    #: The last observation that changed its evidence, by its place in the log.
    seq: int


class UnreconciledFragmentTable(Table):
    """The fragments of a dataset that are to be reconciled."""

    __slots__ = ()

    async def put(self, fragments: Mapping[UUID, int]) -> None:
        """Add fragments, each with the seq of the observation that changed its evidence."""
        if fragments:
            columns = rows.columns(2, sorted(fragments.items()))
            await self._executor.execute(_sql.put, self._dataset_id, *columns)

    async def remove(self, done: Iterable[UnreconciledFragment]) -> None:
        """Record that fragments are reconciled, unless their evidence has changed since they were read."""
        columns = rows.columns(2, ((item.fragment_id, item.seq) for item in done))
        await self._executor.execute(_sql.remove, self._dataset_id, *columns)

    async def find_some(self, fragment_ids: Iterable[UUID]) -> list[UnreconciledFragment]:
        """Those that are listed among fragments."""
        found = await self._executor.fetch(_sql.find_some, self._dataset_id, sorted(fragment_ids))
        return structs_of(UnreconciledFragment, found)

    async def find_next(self, fragment_id: UUID, before_seq: int) -> UUID | None:
        """The next fragment of which a proof says who it is, in the order of ids; None: it was the last.

        `before_seq`: fragments that began later are left out.
        """
        found: UUID | None = await self._executor.fetchval(
            _sql.find_next, self._dataset_id, fragment_id, before_seq
        )
        return found

    async def try_lock(self) -> bool:
        """Let nobody else reconcile in the dataset until the transaction ends; False: somebody does."""
        return bool(await self._executor.fetchval(_sql.try_lock, lock_hash(self._dataset_id, "reconcile")))

    async def find_first(self) -> UnreconciledFragment | None:
        """The fragment of the dataset that has waited longest."""
        return struct_of(
            UnreconciledFragment, await self._executor.fetchrow(_sql.find_first, self._dataset_id)
        )


async def list_waiting_datasets(executor: Executor) -> list[int]:
    """The datasets with fragments that are to be reconciled, in order."""
    return [row["dataset_id"] for row in await executor.fetch(_sql.list_datasets)]
