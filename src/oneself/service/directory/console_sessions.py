"""How console users sign in, and what their browsers sent: codes, sessions, forms.

Invariants: codes and tokens are stored as digests. A code is deleted by whoever redeems it, so it is redeemed
once. A session ends some hours after the sign-in, with a new password, and with its user. Roles are read with
each request, so a role that is taken is gone at once. A form is accepted once, unless it changed nothing.
"""

from __future__ import annotations

import time
import uuid
from uuid import UUID

import msgspec

from oneself.service.context import DatasetRef
from oneself.service.crypto import digest, new_token
from oneself.store.directory import Directory
from oneself.store.tables.console_session import ConsoleCodeRow

SECOND_US = 1_000_000
CODE_LIFE_US = 60 * SECOND_US
SESSION_LIFE_S = 12 * 3600
#: Longer than a session, whose forms no other session can send.
FORM_LIFE_US = 2 * SESSION_LIFE_S * SECOND_US
#: Failed sign-ins are counted as those of an organisation; the console belongs to none, and no organisation
#: has this key.
CONSOLE = DatasetRef(0, "console", 0)


class OrganisationRole(msgspec.Struct, frozen=True):
    """The role of a console user in an organisation."""

    handle: str
    name: str
    role: str


class ConsoleSession(msgspec.Struct, frozen=True):
    """A browser in which a console user is signed in. `roles`: by the handle of the organisation."""

    session_id: UUID
    username: str
    roles: dict[str, OrganisationRole]


class ConsoleSessions:
    """Creates and redeems codes, creates, finds and ends sessions, and accepts each form once."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def create_code(self, console_user_id: UUID, code_challenge: str) -> str:
        """Store an authorization code, which is valid once, for a minute."""
        code = new_token()
        expires_at = time.time_ns() // 1000 + CODE_LIFE_US
        await self._directory.console_sessions.put_code(
            digest(code), console_user_id, code_challenge, expires_at
        )
        return code

    async def redeem_code(self, code: str) -> ConsoleCodeRow | None:
        """The user and the challenge of a code, which is invalid from then on; None if it is invalid."""
        row = await self._directory.console_sessions.take_code(digest(code))
        return row if row is not None and row.expires_at > time.time_ns() // 1000 else None

    async def create(self, console_user_id: UUID, token: str) -> None:
        """Begin a session."""
        expires_at = time.time_ns() // 1000 + SESSION_LIFE_S * SECOND_US
        await self._directory.console_sessions.put(digest(token), uuid.uuid4(), console_user_id, expires_at)

    async def find(self, token: str | None) -> ConsoleSession | None:
        """The session of a token; None if it ended."""
        if not token:
            return None
        row = await self._directory.console_sessions.find(digest(token), time.time_ns() // 1000)
        if row is None:
            return None
        roles = await self._directory.console_users.find_roles(row.console_user_id)
        listed = {item.handle: OrganisationRole(item.handle, item.name, item.role) for item in roles}
        return ConsoleSession(row.session_id, row.username, listed)

    async def end(self, token: str) -> None:
        """End the session of a token."""
        await self._directory.console_sessions.delete(digest(token))

    async def claim_form(self, token: str) -> bool:
        """Whether a form was not sent before. From then on it was."""
        expires_at = time.time_ns() // 1000 + FORM_LIFE_US
        return await self._directory.console_sessions.put_form(digest(token), expires_at)

    async def release_form(self, token: str) -> None:
        """Let a form be sent again: it changed nothing."""
        await self._directory.console_sessions.delete_form(digest(token))
