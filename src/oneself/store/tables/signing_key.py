"""The table `signing_key`: the keys that an organisation signs its tokens with."""

from __future__ import annotations

from typing import Any

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable

_sql = Queries("signing_key")


class SigningKeyRow(msgspec.Struct, frozen=True):
    """A signing key as it is stored."""

    key_id: str
    #: JSON Web Key of the public part.
    public_jwk: dict[str, Any]
    #: The private part, encrypted.
    private_encrypted: bytes
    #: None: the key is the current one. In µs since 1970.
    retired_at: int | None = None


class SigningKeyTable(OrganisationTable):
    """The signing keys of an organisation."""

    __slots__ = ()

    async def list(self, retired_after: int) -> list[SigningKeyRow]:
        """The keys that are current or were retired after an instant (µs):

        the current one, then the newest.
        """
        found = await self._executor.fetch(_sql.list, self._org_id, retired_after)
        return [
            SigningKeyRow(row["key_id"], row["public_jwk"], row["private_sealed"], row["retired_at"])
            for row in found
        ]

    async def retire(self, now: int) -> None:
        """Retire the current key."""
        await self._executor.execute(_sql.retire, self._org_id, now)

    async def put(self, row: SigningKeyRow, algorithm: str, now: int) -> None:
        """Insert the current key, unless there is a current one."""
        await self._executor.execute(
            _sql.put, self._org_id, row.key_id, algorithm, row.public_jwk, row.private_encrypted, now
        )
