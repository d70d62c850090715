"""The tables `console_code`, `console_session` and `console_form`: codes, sessions, forms that were sent."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import struct_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("console_session")


class ConsoleCodeRow(msgspec.Struct, frozen=True):
    """An authorization code of the console."""

    console_user_id: UUID
    username: str
    code_challenge: str
    #: In µs since 1970.
    expires_at: int


class ConsoleSessionRow(msgspec.Struct, frozen=True):
    """A browser in which a console user is signed in."""

    session_id: UUID
    console_user_id: UUID
    username: str


class ConsoleSessionTable:
    """Codes and sessions of console users, and forms that they sent. Instants are in µs since 1970."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def put_code(
        self, code_digest: bytes, console_user_id: UUID, code_challenge: str, expires_at: int
    ) -> None:
        """Insert an authorization code."""
        values = code_digest, console_user_id, code_challenge, expires_at
        await self._executor.execute(_sql.put_code, *values)

    async def take_code(self, code_digest: bytes) -> ConsoleCodeRow | None:
        """Delete a code and return it; None if it is unknown or somebody else deleted it."""
        return struct_of(ConsoleCodeRow, await self._executor.fetchrow(_sql.take_code, code_digest))

    async def put(
        self, session_digest: bytes, session_id: UUID, console_user_id: UUID, expires_at: int
    ) -> None:
        """Insert a session."""
        await self._executor.execute(_sql.put, session_digest, session_id, console_user_id, expires_at)

    async def find(self, session_digest: bytes, now: int) -> ConsoleSessionRow | None:
        """A session that has not expired."""
        return struct_of(ConsoleSessionRow, await self._executor.fetchrow(_sql.find, session_digest, now))

    async def delete(self, session_digest: bytes) -> None:
        """Delete a session."""
        await self._executor.execute(_sql.delete, session_digest)

    async def delete_of(self, console_user_id: UUID) -> None:
        """Delete the sessions and codes of a console user."""
        await self._executor.execute(_sql.delete_of, console_user_id)

    async def put_form(self, form_digest: bytes, expires_at: int) -> bool:
        """Remember that a form was sent; False if it was sent before."""
        return await self._executor.fetchval(_sql.put_form, form_digest, expires_at) is not None

    async def delete_form(self, form_digest: bytes) -> None:
        """Forget that a form was sent."""
        await self._executor.execute(_sql.delete_form, form_digest)
