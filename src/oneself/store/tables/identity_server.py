"""The table `identity_server`: organisations with an identity server of their own."""

from __future__ import annotations

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable

_sql = Queries("identity_server")


class IdentityServerRow(msgspec.Struct, frozen=True):
    """An identity server as it is stored, in the order of the statement's parameters."""

    url: str
    client_id: str
    grant_type: str
    #: None: its reports come with the deployment's credentials.
    sync_username: str | None
    secrets_encrypted: bytes


class IdentityServerTable(OrganisationTable):
    """The identity server of an organisation."""

    __slots__ = ()

    async def find(self) -> IdentityServerRow | None:
        """The organisation's own identity server."""
        row = await self._executor.fetchrow(_sql.find, self._org_id)
        return None if row is None else IdentityServerRow(*row.values())

    async def put(self, row: IdentityServerRow) -> None:
        """Insert or replace the organisation's own identity server."""
        await self._executor.execute(_sql.put, self._org_id, *msgspec.structs.astuple(row))

    async def delete(self) -> bool:
        """Delete the organisation's own identity server; False if it had none."""
        return await self._executor.fetchval(_sql.delete, self._org_id) is not None
