"""The table `issuer_claims`: what trusted issuers reported last of their users."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oneself.store.queries import Queries
from oneself.store.rows import lock_hash
from oneself.store.tables.table import Table, struct_of

_sql = Queries("issuer_claims")


class IssuerClaimsRow(msgspec.Struct, frozen=True):
    """What the issuer of a user reported last."""

    #: When the newest token was issued, in µs since 1970.
    issued_at: int
    #: Claim → a keyed digest of its value and of whether it is verified.
    digests: dict[str, str]


class IssuerClaimsTable(Table):
    """What trusted issuers reported last of the users of a dataset."""

    __slots__ = ()

    async def lock(self, user_id: str) -> None:
        """Let nobody else record what an issuer reports of a user until the transaction ends."""
        await self._executor.execute(_sql.lock, lock_hash(self._dataset_id, "issuer claims", user_id))

    async def find(self, user_id: str) -> IssuerClaimsRow | None:
        """What the issuer of a user reported last."""
        row = await self._executor.fetchrow(_sql.find, self._dataset_id, user_id)
        return struct_of(IssuerClaimsRow, row)

    async def put(self, user_id: str, row: IssuerClaimsRow) -> None:
        """Record what the issuer of a user reported last."""
        await self._executor.execute(_sql.put, self._dataset_id, user_id, row.issued_at, row.digests)

    async def delete(self, users: Iterable[str]) -> None:
        """Forget what issuers reported of users."""
        await self._executor.execute(_sql.delete, self._dataset_id, sorted(users))
