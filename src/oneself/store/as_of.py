"""A part of a dataset as it was at an instant: scratch tables into which its entries of the log are folded.

Everything is read on one connection, in one read-only transaction. Names without a schema mean the live
tables, or the scratch tables, as the last call of `show_live` or `show_folded` said.

Invariants: nothing live is locked or changed. The scratch tables vanish with their connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from oneself.store import rows
from oneself.store.database import ConnectionDatabase, Database
from oneself.store.queries import Queries
from oneself.store.transaction import Transaction

if TYPE_CHECKING:
    from oneself.store.database import Connection

_sql = Queries("as_of", folder=".")
_shadow = Queries("shadow", folder=".")


class ScratchLog:
    """The entries of a part of a dataset up to an instant, and what they fold to."""

    def __init__(self, connection: Connection, dataset_id: int, until: int) -> None:
        self._connection = connection
        self._dataset_id = dataset_id
        self._until = until
        self.transaction = Transaction(connection, dataset_id)
        self.database = ConnectionDatabase(connection)

    async def show_live(self) -> None:
        """Read the live tables from now on."""
        await self._connection.execute(_sql.show_live)

    async def show_folded(self) -> None:
        """Read and write the scratch tables from now on."""
        await self._connection.execute(_sql.show_folded)

    async def count_entries(
        self, fragment_ids: Collection[UUID], profile_ids: Collection[UUID], limit: int
    ) -> int:
        """How many entries fragments and profiles have up to the instant, counted to `limit`."""
        asked = sorted(fragment_ids), sorted(profile_ids), self._until, limit
        count: int = await self._connection.fetchval(_sql.count_entries, self._dataset_id, *asked)
        return count

    async def copy_entries(self, fragment_ids: Collection[UUID], profile_ids: Collection[UUID]) -> None:
        """Copy the entries of fragments and profiles up to the instant."""
        asked = sorted(fragment_ids), sorted(profile_ids), self._until
        await self._connection.execute(_sql.copy_entries, self._dataset_id, *asked)

    async def copy_named(self, entries: Iterable[tuple[int, UUID]]) -> None:
        """Copy those of some entries (seq, observation) that were recorded up to the instant."""
        named = sorted({entry for entry in entries if entry[0] <= self._until})
        if named:
            await self._connection.execute(_sql.copy_named, self._dataset_id, *rows.columns(2, named))

    async def count_copied(self) -> int:
        """How many entries are copied."""
        count: int = await self._connection.fetchval(_sql.count_copied)
        return count

    async def find_profiles(self) -> set[UUID]:
        """The profiles that the copied entries are attached to."""
        return {row["profile_id"] for row in await self._connection.fetch(_sql.find_profiles)}

    async def put_believed(self) -> None:
        """Add these profiles as they were called and merged at the instant, without their values."""
        await self._connection.execute(_sql.put_believed, self._dataset_id, self._until)


@asynccontextmanager
async def open_scratch_log(database: Database, dataset_id: int, until: int) -> AsyncIterator[ScratchLog]:
    """An empty scratch log for what was recorded up to an instant, beside one instant of the live tables."""
    async with database.scan() as connection:
        await connection.execute(f"{_shadow.begin_scratch}; {_sql.begin_log}")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(_shadow.plan_point_lookups)
            yield ScratchLog(connection, dataset_id, until)
