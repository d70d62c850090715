"""The table `secret_key_check`, which tells the deployment's secret key from others, and what that key
encrypts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import structs_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("secret_key_check")


class EncryptedRow(msgspec.Struct, frozen=True):
    """A key or secret that is stored encrypted."""

    kind: Literal["signing_key", "token_key", "identity_server", "code_webhook"]
    org_id: int
    handle: str
    #: Empty for a secret.
    key_id: str
    encrypted: bytes


class SecretKeyCheckTable:
    """The check value of the deployment's secret key."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def find(self) -> bytes | None:
        """The recorded check value."""
        found: bytes | None = await self._executor.fetchval(_sql.find)
        return found

    async def lock(self) -> None:
        """Let no other transaction record a check value until this one ends."""
        await self._executor.execute(_sql.lock)

    async def put(self, check_value: bytes) -> None:
        """Record the check value unless there is one."""
        await self._executor.execute(_sql.put, check_value)

    async def list_encrypted(self, retired_after: int) -> list[EncryptedRow]:
        """Every encrypted value still used, the oldest first;

        signing keys retired before an instant (µs) are not.
        """
        return structs_of(EncryptedRow, await self._executor.fetch(_sql.list_encrypted, retired_after))
