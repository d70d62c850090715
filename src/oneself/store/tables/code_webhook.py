"""The table `code_webhook`: where the codes of organisations are sent to."""

from __future__ import annotations

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, struct_of

_sql = Queries("code_webhook")


class CodeWebhookRow(msgspec.Struct, frozen=True):
    """A webhook as it is stored."""

    url: str
    secret_encrypted: bytes
    #: In µs since 1970.
    updated_at: int


class CodeWebhookTable(OrganisationTable):
    """The webhook of an organisation."""

    __slots__ = ()

    async def find(self) -> CodeWebhookRow | None:
        """The webhook of the organisation."""
        return struct_of(CodeWebhookRow, await self._executor.fetchrow(_sql.find, self._org_id))

    async def put(self, row: CodeWebhookRow) -> None:
        """Insert or replace the webhook of the organisation."""
        await self._executor.execute(_sql.put, self._org_id, *msgspec.structs.astuple(row))

    async def delete(self) -> bool:
        """Delete the webhook of the organisation; False if it had none."""
        return await self._executor.fetchval(_sql.delete, self._org_id) is not None
