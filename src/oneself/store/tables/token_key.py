"""The table `token_key`: the keys that persisted tokens are encrypted with."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable

_sql = Queries("token_key")


class TokenKeyRow(msgspec.Struct, frozen=True):
    """A key as it is stored. Instants in µs since 1970."""

    key_id: int
    secret_encrypted: bytes
    created_at: int
    #: When it becomes or became active.
    active_from: int
    state: Literal["waiting", "active", "retired"]


class TokenKeyTable(OrganisationTable):
    """The token keys of an organisation."""

    __slots__ = ()

    async def list(self) -> list[TokenKeyRow]:
        """Every key, the one that becomes or became active last first."""
        return [_row(found) for found in await self._executor.fetch(_sql.list, self._org_id)]

    async def put_first(self, key_id: int, secret_encrypted: bytes) -> None:
        """Insert the first key, active at once, unless the organisation has a key."""
        await self._executor.execute(_sql.put_first, self._org_id, key_id, secret_encrypted)

    async def put(self, key_id: int, secret_encrypted: bytes, active_in_s: int) -> TokenKeyRow:
        """Insert a key that becomes active later."""
        found = await self._executor.fetchrow(_sql.put, self._org_id, key_id, secret_encrypted, active_in_s)
        return _row(found)

    async def delete(self, key_id: int) -> bool:
        """Delete a key; False if there is none of this id or it is the active one."""
        return await self._executor.fetchval(_sql.delete, self._org_id, key_id) is not None


def _row(found: Any) -> TokenKeyRow:
    return TokenKeyRow(
        found["key_id"], found["secret_sealed"], found["created_at"], found["active_from"], found["state"]
    )
