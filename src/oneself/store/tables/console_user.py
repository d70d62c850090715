"""The tables `console_user` and `console_role`: the users of the console and their roles in organisations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import struct_of, structs_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("console_user")


class ConsoleUserRow(msgspec.Struct, frozen=True):
    """A console user."""

    console_user_id: UUID
    username: str
    password_hash: str


class ListedConsoleUserRow(msgspec.Struct, frozen=True):
    """A console user in a list, with one of their roles; both None if they have none."""

    username: str
    #: In µs since 1970.
    created_at: int
    handle: str | None
    role: str | None


class ConsoleRoleRow(msgspec.Struct, frozen=True):
    """A role in an organisation."""

    org_id: int
    handle: str
    name: str
    role: str


class ConsoleUserTable:
    """The users of the console, of every organisation."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def find(self, username: str) -> ConsoleUserRow | None:
        """A console user by name, in whatever case unless names differ in nothing else."""
        return struct_of(ConsoleUserRow, await self._executor.fetchrow(_sql.find, username))

    async def list(self) -> list[ListedConsoleUserRow]:
        """Every console user, by name: one row for each role, and one for who has none."""
        return structs_of(ListedConsoleUserRow, await self._executor.fetch(_sql.list))

    async def find_of(self, org_id: int) -> dict[str, str]:
        """The console users of an organisation, by name: name → role."""
        found = await self._executor.fetch(_sql.find_of, org_id)
        return {row["username"]: row["role"] for row in found}

    async def find_roles(self, console_user_id: UUID) -> Sequence[ConsoleRoleRow]:
        """The roles of a console user, by the handle of the organisation."""
        return structs_of(ConsoleRoleRow, await self._executor.fetch(_sql.find_roles, console_user_id))

    async def put(self, row: ConsoleUserRow, now: int) -> bool:
        """Insert a console user; False if the name is in use, in whatever case."""
        await self._executor.execute(_sql.lock)
        values = row.console_user_id, row.username, row.password_hash, now
        return await self._executor.fetchval(_sql.put, *values) is not None

    async def put_password(self, console_user_id: UUID, password_hash: str, now: int) -> None:
        """Replace a password."""
        await self._executor.execute(_sql.put_password, console_user_id, password_hash, now)

    async def put_role(self, console_user_id: UUID, org_id: int, role: str) -> None:
        """Give a console user a role in an organisation, instead of the one that they have there."""
        await self._executor.execute(_sql.put_role, console_user_id, org_id, role)

    async def delete_role(self, console_user_id: UUID, org_id: int) -> None:
        """Take the role in an organisation from a console user."""
        await self._executor.execute(_sql.delete_role, console_user_id, org_id)

    async def delete(self, console_user_id: UUID) -> None:
        """Delete a console user with their roles and sessions."""
        await self._executor.execute(_sql.delete, console_user_id)
