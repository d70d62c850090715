"""The table `application`: the clients of an organisation."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, struct_of, structs_of

_sql = Queries("application")


class ApplicationChanges(msgspec.Struct, frozen=True):
    """What can change of an application, in the order of the statement's parameters."""

    name: str
    redirect_uris: Sequence[str]
    post_logout_redirect_uris: Sequence[str]
    permissions: Sequence[str]


class ApplicationRow(msgspec.Struct, frozen=True):
    """An application as it is stored."""

    client_id: str
    name: str
    #: machine, web or browser.
    kind: str
    redirect_uris: Sequence[str]
    post_logout_redirect_uris: Sequence[str]
    permissions: Sequence[str]
    #: In µs since 1970.
    created_at: int
    #: None: the application has no secret.
    secret_hash: str | None = None


class ApplicationTable(OrganisationTable):
    """The applications of an organisation."""

    __slots__ = ()

    async def find(self, client_id: str) -> ApplicationRow | None:
        """An application by its client id."""
        return struct_of(ApplicationRow, await self._executor.fetchrow(_sql.find, self._org_id, client_id))

    async def list(self) -> list[ApplicationRow]:
        """Every application, by name."""
        return structs_of(ApplicationRow, await self._executor.fetch(_sql.list, self._org_id))

    async def put(self, row: ApplicationRow) -> bool:
        """Insert an application; False if the client id is taken."""
        found = await self._executor.fetchval(
            _sql.put,
            self._org_id, row.client_id, row.name, row.kind, row.secret_hash, list(row.redirect_uris),
            list(row.post_logout_redirect_uris), list(row.permissions), row.created_at,
        )  # fmt: skip
        return found is not None

    async def put_changes(self, client_id: str, changes: ApplicationChanges, now: int) -> None:
        """Replace what can change of an application."""
        await self._executor.execute(
            _sql.put_changes,
            self._org_id, client_id, changes.name, list(changes.redirect_uris),
            list(changes.post_logout_redirect_uris), list(changes.permissions), now,
        )  # fmt: skip

    async def put_secret(self, client_id: str, secret_hash: str, now: int) -> bool:
        """Replace the secret; False if the application is unknown or has none."""
        found = await self._executor.fetchval(_sql.put_secret, self._org_id, client_id, secret_hash, now)
        return found is not None

    async def delete(self, client_id: str) -> None:
        """Delete an application with its grants."""
        await self._executor.execute(_sql.delete, self._org_id, client_id)
