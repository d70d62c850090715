"""The table `browser_session`: browsers in which users are signed in."""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.account import AccountRow
from oneself.store.tables.table import OrganisationTable, structs_of

_sql = Queries("browser_session")


class SessionRow(msgspec.Struct, frozen=True):
    """A session with its account."""

    session_id: UUID
    #: When the user proved who they are, in µs since 1970.
    auth_time: int
    account: AccountRow


class SessionTable(OrganisationTable):
    """The browser sessions of an organisation."""

    __slots__ = ()

    async def put(
        self, digest: bytes, session_id: UUID, user_id: UUID, auth_time: int, expires_at: int
    ) -> None:
        """Insert a session under the digest of its token; instants in µs since 1970."""
        await self._executor.execute(
            _sql.put, self._org_id, digest, session_id, user_id, auth_time, expires_at
        )

    async def find(self, digest: bytes, now: int) -> SessionRow | None:
        """The unexpired session of a token's digest."""
        row = await self._executor.fetchrow(_sql.find, self._org_id, digest, now)
        if row is None:
            return None
        (account,) = structs_of(AccountRow, [row])
        return SessionRow(row["session_id"], row["auth_time"], account)

    async def delete(self, session_id: UUID) -> None:
        """End a session."""
        await self._executor.execute(_sql.delete, self._org_id, session_id)

    async def delete_of_account(self, user_id: UUID) -> None:
        """End every session of a user."""
        await self._executor.execute(_sql.delete_of_account, self._org_id, user_id)
