"""The table `revoked_token`: origins of access tokens that are not valid any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import structs_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("revoked_token")


class RevocationRow(msgspec.Struct, frozen=True):
    """A revocation. Instants in µs since 1970."""

    org_id: int
    #: `jti:…`, `grant:…`, `client:…` or `user:…`.
    origin: str
    revoked_at: int
    expires_at: int


class RevokedTokenTable:
    """The revocations of every organisation."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def put(self, row: RevocationRow) -> None:
        """Revoke the tokens of an origin; the later instant counts."""
        await self._executor.execute(_sql.put, row.org_id, row.origin, row.revoked_at, row.expires_at)

    async def list_since(self, since: int, now: int) -> list[RevocationRow]:
        """The unexpired revocations since an instant."""
        return structs_of(RevocationRow, await self._executor.fetch(_sql.list_since, since, now))
