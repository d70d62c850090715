"""Which profiles share a value, for a preview: hashes of values in a scratch table, so that memory does not
grow with the number of profiles.

Invariants: one instant of the dataset, on a connection of its own; nothing that others see is locked or
changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import IdentifierSource
from oneself.core.values.record import Record
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.fragment import FragmentRow, read_fragment
from oneself.store.transaction import Transaction

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database

_sql = Queries("shared_values", folder=".")
_profiles = Queries("profile")
_fragments = Queries("fragment")

ROWS_PER_FETCH = 5000


class SharedValues:
    """Collects who holds which value, then says who shares one."""

    def __init__(self, connection: Connection, dataset_id: int) -> None:
        self._connection = connection
        self.transaction = Transaction(connection, dataset_id)

    async def pages(self, source: IdentifierSource) -> AsyncIterator[list[tuple[UUID, Record]]]:
        """Every survivor that holds anything under the first key of a source, with that part of its record,
        in
        the order of reindexing."""
        cursor = await self._connection.cursor(
            _profiles.find_values, self.transaction.dataset_id, source.scope, source.keys[0]
        )
        while page := await cursor.fetch(ROWS_PER_FETCH):
            yield [(row["profile_id"], rows.read_record(row)) for row in page]

    async def fragment_pages(self, source: IdentifierSource) -> AsyncIterator[list[FragmentRow]]:
        """Every fragment to which anything was written under the first key of a source, perhaps others."""
        cursor = await self._connection.cursor(
            _fragments.find_writing, self.transaction.dataset_id, source.keys[0]
        )
        while page := await cursor.fetch(ROWS_PER_FETCH):
            yield [read_fragment(row) for row in page]

    async def put(self, holders: Iterable[tuple[Identifier, UUID]]) -> None:
        """Note which profile holds which identifier."""
        dataset_id = self.transaction.dataset_id
        records = [
            (rows.lock_hash(dataset_id, held.namespace, held.value), profile_id)
            for held, profile_id in holders
        ]
        await self._connection.copy_records_to_table(
            "holding", records=records, columns=["hash", "profile_id"]
        )

    async def find_sharing(self) -> list[UUID]:
        """The profiles that hold an identifier which another one holds too, in order."""
        return [row["profile_id"] for row in await self._connection.fetch(_sql.find_sharing)]


@asynccontextmanager
async def open_shared_values(database: Database, dataset_id: int) -> AsyncIterator[SharedValues]:
    """A dataset as it is at one instant."""
    async with database.scan() as connection:
        await connection.execute(_sql.begin)
        async with connection.transaction(isolation="repeatable_read"):
            yield SharedValues(connection, dataset_id)
