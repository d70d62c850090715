"""The table `write_key`: keys that may only send events to one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import Table, structs_of

_sql = Queries("write_key")


class WriteKeyRow(msgspec.Struct, frozen=True):
    """A write key as it is stored, in the order of the statement's parameters."""

    key_id: UUID
    #: server or browser.
    kind: str
    name: str
    #: Empty for any origin.
    allowed_origins: Sequence[str]
    #: SHA-256 of the key.
    digest: bytes
    #: The last characters of the key.
    hint: str
    #: In µs since 1970.
    created_at: int


class WriteKeyTable(Table):
    """The write keys of a dataset."""

    __slots__ = ()

    async def list(self) -> list[WriteKeyRow]:
        """Every key, in the order in which they were created."""
        return structs_of(WriteKeyRow, await self._executor.fetch(_sql.list, self._dataset_id))

    async def count(self) -> int:
        """The number of keys."""
        number: int = await self._executor.fetchval(_sql.count, self._dataset_id)
        return number

    async def put(self, row: WriteKeyRow) -> bool:
        """Insert a key; False if the dataset was deleted."""
        fields = msgspec.structs.astuple(row)
        return await self._executor.fetchval(_sql.put, self._dataset_id, *fields) is not None

    async def delete(self, key_id: UUID) -> bool:
        """Delete a key; False if there is none of this id."""
        return await self._executor.fetchval(_sql.delete, self._dataset_id, key_id) is not None
