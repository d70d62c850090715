"""The table `account_link`: links that were sent by mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, struct_of

_sql = Queries("account_link")


class LinkRow(msgspec.Struct, frozen=True):
    """A link as it is stored, but for its secret."""

    purpose: str
    user_id: UUID
    #: Where it was sent.
    address: str
    facts: dict[str, str]
    #: In µs since 1970, as the others.
    created_at: int
    expires_at: int
    used_at: int | None = None


class AccountLinkTable(OrganisationTable):
    """The links of an organisation's accounts."""

    __slots__ = ()

    async def put(
        self,
        digest: bytes,
        purpose: str,
        user_id: UUID,
        address: str,
        facts: Mapping[str, str],
        now: int,
        expires_at: int,
    ) -> None:
        """Insert a link under the digest of its secret; instants in µs since 1970."""
        await self._executor.execute(
            _sql.put, self._org_id, digest, purpose, user_id, address, dict(facts), now, expires_at
        )

    async def find(self, digest: bytes) -> LinkRow | None:
        """The link with this digest, whether it can still be used or not."""
        return struct_of(LinkRow, await self._executor.fetchrow(_sql.find, self._org_id, digest))

    async def put_used(self, digest: bytes, now: int) -> bool:
        """Use a link up; False if it was used or has expired."""
        return await self._executor.fetchval(_sql.put_used, self._org_id, digest, now) is not None

    async def put_used_of_address(self, user_id: UUID, now: int) -> None:
        """Use up the links that others have for the address of an account."""
        await self._executor.execute(_sql.put_used_of_address, self._org_id, user_id, now)

    async def put_used_of_account(self, user_id: UUID, purposes: Sequence[str], now: int) -> None:
        """Use up every link of an account for these purposes."""
        await self._executor.execute(_sql.put_used_of_account, self._org_id, user_id, list(purposes), now)

    async def put_all_used(self, user_id: UUID, purpose: str, before: int, now: int) -> None:
        """Use up every link of an account, but those for this purpose from before an instant."""
        await self._executor.execute(_sql.put_all_used, self._org_id, user_id, purpose, before, now)

    async def is_overtaken(self, user_id: UUID, purpose: str, at: int) -> bool:
        """Whether an earlier link of an account for this purpose was used since an instant."""
        return bool(await self._executor.fetchval(_sql.is_overtaken, self._org_id, user_id, purpose, at))
