"""The table `administrator`: the console's users."""

from __future__ import annotations

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable

_sql = Queries("administrator")


class AdministratorTable(OrganisationTable):
    """The console users of an organisation."""

    __slots__ = ()

    async def find_password(self, username: str) -> str | None:
        """The password hash of a console user; None if there is none of this name."""
        found: str | None = await self._executor.fetchval(_sql.find_password, self._org_id, username)
        return found

    async def list(self) -> list[str]:
        """The names of the console users, in order."""
        return [row["username"] for row in await self._executor.fetch(_sql.list, self._org_id)]

    async def put(self, username: str, password_hash: str, now: int) -> bool:
        """Insert a console user; False if there is one of this name."""
        found = await self._executor.fetchval(_sql.put, self._org_id, username, password_hash, now)
        return found is not None

    async def put_password(self, username: str, password_hash: str, now: int) -> None:
        """Insert a console user, or replace their password."""
        await self._executor.execute(_sql.put_password, self._org_id, username, password_hash, now)
