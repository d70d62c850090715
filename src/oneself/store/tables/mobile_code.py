"""The table `mobile_code`: the codes that accounts asked for last."""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, struct_of

_sql = Queries("mobile_code")


class MobileCodeRow(msgspec.Struct, frozen=True):
    """A code as it is stored."""

    delivery_id: UUID
    #: In E.164.
    number: str
    #: Keyed; None: not composed yet.
    code_digest: bytes | None
    #: In µs since 1970, as the others.
    created_at: int
    expires_at: int
    attempts: int
    used_at: int | None


class MobileCodeTable(OrganisationTable):
    """The codes of an organisation's accounts, one of each."""

    __slots__ = ()

    async def put(self, user_id: UUID, delivery_id: UUID, number: str, now: int, expires_at: int) -> None:
        """Insert or replace the code of an account, which is not composed yet; instants in µs since 1970."""
        asked = user_id, delivery_id, number, now, expires_at
        await self._executor.execute(_sql.put, self._org_id, *asked)

    async def find(self, user_id: UUID) -> MobileCodeRow | None:
        """The code of an account, whether it can still be used or not."""
        return struct_of(MobileCodeRow, await self._executor.fetchrow(_sql.find, self._org_id, user_id))

    async def put_digest(self, user_id: UUID, delivery_id: UUID, digest: bytes) -> bool:
        """Store a composed code; False if the account asked for another one."""
        asked = user_id, delivery_id, digest
        return await self._executor.fetchval(_sql.put_digest, self._org_id, *asked) is not None

    async def count_attempt(
        self, user_id: UUID, number: str, attempts_max: int, now: int
    ) -> MobileCodeRow | None:
        """Count an attempt to use a code for a number, and return it; None if it cannot be used."""
        asked = user_id, number, attempts_max, now
        row = await self._executor.fetchrow(_sql.count_attempt, self._org_id, *asked)
        return struct_of(MobileCodeRow, row)

    async def put_used(self, user_id: UUID, delivery_id: UUID, now: int) -> bool:
        """Use a code up; False if it was used, or the account asked for another one."""
        asked = user_id, delivery_id, now
        return await self._executor.fetchval(_sql.put_used, self._org_id, *asked) is not None

    async def put_used_of_others(self, user_id: UUID, number: str, now: int) -> None:
        """Use up the codes that other accounts have for a number."""
        await self._executor.execute(_sql.put_used_of_others, self._org_id, user_id, number, now)

    async def delete(self, user_id: UUID) -> None:
        """Delete the code of an account."""
        await self._executor.execute(_sql.delete, self._org_id, user_id)
