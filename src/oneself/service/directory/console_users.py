"""The users of the console and their roles.

Invariants: a console user is no account and has no profile; a sign-in observes nothing. A name is unique in
the deployment, in whatever case. A user has at most one role in an organisation, and sees no organisation
without one. Administrators change the roles of members of their organisation; only the command line gives
somebody who exists a role in another one.
Passwords are stored as argon2 hashes alone, and an unknown name takes as long to reject as a wrong password.
A new password ends the user's sessions. Source: docs/decisions/0054-who-signs-in-to-the-console.md.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from typing import Literal, get_args
from uuid import UUID

import msgspec

from oneself.core.config.difference import differences
from oneself.errors import Conflict, Forbidden, InvalidInput, NotFound
from oneself.service.audited import new_secret_of, put_audited
from oneself.service.context import DatasetRef
from oneself.service.crypto import Hasher
from oneself.service.directory.accounts import PASSWORD_BYTES_MAX, password_problem
from oneself.store.directory import Directory, DirectoryTransaction
from oneself.store.tables.console_user import ConsoleUserRow

Role = Literal["administrator", "analyst", "privacy_officer"]
ROLES: tuple[Role, ...] = get_args(Role)
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
USERNAME_SENTENCE = (
    "A name has 1 to 100 of A-Z, a-z, 0-9, '.', '_', '@', '+' and '-', and begins with a letter or digit."
)


class ListedConsoleUser(msgspec.Struct, frozen=True):
    """A console user in a list. `created_at`: µs since 1970. `roles`: organisation → role."""

    username: str
    created_at: int
    roles: dict[str, str]


class ConsoleUser(msgspec.Struct, frozen=True):
    """A console user who gave their password."""

    console_user_id: UUID
    username: str


class ConsoleUsers:
    """Creates, lists, changes, deletes and authenticates console users."""

    def __init__(self, directory: Directory, hasher: Hasher) -> None:
        self._directory = directory
        self._hasher = hasher

    async def create(self, username: str, password: str, roles: Mapping[DatasetRef, str]) -> None:
        """Create a console user with a role in some organisations. Raises InvalidInput, Conflict."""
        for role in roles.values():
            _check_role(role)
        if problem := password_problem(password):
            raise InvalidInput("password", problem)
        if not await self._put(username, password, roles):
            raise Conflict(f"There is a console user {username!r} already.", code="taken")

    async def ensure(self, username: str, password: str, dataset_ref: DatasetRef, role: Role) -> bool:
        """Create a console user unless there is one of this name, who then stays as they are."""
        if await self._directory.console_users.find(username) is not None:
            return False
        return await self._put(username, password, {dataset_ref: role})

    async def list(self) -> list[ListedConsoleUser]:
        """Every console user, by name."""
        listed: dict[str, ListedConsoleUser] = {}
        for row in await self._directory.console_users.list():
            user = listed.setdefault(row.username, ListedConsoleUser(row.username, row.created_at, {}))
            if row.handle is not None and row.role is not None:
                user.roles[row.handle] = row.role
        return list(listed.values())

    async def find_of(self, dataset_ref: DatasetRef) -> dict[str, str]:
        """The console users of an organisation: name → role."""
        return await self._directory.console_users.find_of(dataset_ref.org_id)

    async def set_password(self, username: str, password: str) -> None:
        """Replace a password and end the user's sessions. Raises InvalidInput, NotFound."""
        if problem := password_problem(password):
            raise InvalidInput("password", problem)
        hashed = await self._hasher.hash(password)
        async with self._directory.transaction() as tables:
            user_id = (await _named(tables, username)).console_user_id
            await tables.console_users.put_password(user_id, hashed, time.time_ns() // 1000)
            await tables.console_sessions.delete_of(user_id)
            for item in await tables.console_users.find_roles(user_id):
                changed = new_secret_of(_subject(username), "password")
                await put_audited(tables.of(item.org_id), "console_user", [changed])

    async def set_role(self, username: str, dataset_ref: DatasetRef, role: str | None) -> None:
        """Give a user a role in an organisation; None takes it. Raises InvalidInput, NotFound.

        It holds from the next request on.
        """
        if role is not None:
            _check_role(role)
        async with self._directory.transaction() as tables:
            await tables.lock(dataset_ref.org_id)
            await _put_role(tables, username, dataset_ref, role)

    async def change_member(
        self, username: str, dataset_ref: DatasetRef, role: str | None, *, changed_by: str
    ) -> None:
        """Change the role of a member of an organisation; None takes it.

        `changed_by`: an administrator of it, who stays one. Raises InvalidInput; NotFound: the user is no
        other member; Forbidden: `changed_by` is no administrator any more.
        """
        if role is not None:
            _check_role(role)
        async with self._directory.transaction() as tables:
            await tables.lock(dataset_ref.org_id)
            members = await tables.console_users.find_of(dataset_ref.org_id)
            if members.get(changed_by) != "administrator":
                raise Forbidden(f"{changed_by!r} is not an administrator any more.")
            if username == changed_by or username not in members:
                raise _unknown(username)
            await _put_role(tables, username, dataset_ref, role)

    async def delete(self, username: str) -> None:
        """Delete a user, and end their sessions. Raises NotFound."""
        async with self._directory.transaction() as tables:
            user_id = (await _named(tables, username)).console_user_id
            for item in await tables.console_users.find_roles(user_id):
                await _put_role_change(tables, item.org_id, username, item.role, None)
            await tables.console_users.delete(user_id)

    async def find(self, username: str) -> UUID | None:
        """The id of a console user; None if there is none of this name."""
        row = await self._directory.console_users.find(username) if username.isprintable() else None
        return row.console_user_id if row else None

    async def authenticate(self, username: str, password: str) -> ConsoleUser | None:
        """The console user of this name and password; None if there is none."""
        is_possible = (
            username.isprintable() and len(password.encode("utf-8", "replace")) <= PASSWORD_BYTES_MAX
        )
        row = await self._directory.console_users.find(username) if is_possible else None
        if row is None:
            await self._hasher.reject_slowly(password[:PASSWORD_BYTES_MAX])
            return None
        matches = await self._hasher.matches(row.password_hash, password)
        return ConsoleUser(row.console_user_id, row.username) if matches else None

    async def _put(self, username: str, password: str, roles: Mapping[DatasetRef, str]) -> bool:
        if not _USERNAME.fullmatch(username):
            raise InvalidInput("username", USERNAME_SENTENCE)
        row = ConsoleUserRow(uuid.uuid4(), username, await self._hasher.hash(password))
        async with self._directory.transaction() as tables:
            if not await tables.console_users.put(row, time.time_ns() // 1000):
                return False
            for dataset_ref, role in roles.items():
                await tables.console_users.put_role(row.console_user_id, dataset_ref.org_id, role)
                await _put_role_change(tables, dataset_ref.org_id, username, None, role)
        return True


async def _named(tables: DirectoryTransaction, username: str) -> ConsoleUserRow:
    """The console user of a name. Raises NotFound."""
    found = await tables.console_users.find(username)
    if found is None:
        raise _unknown(username)
    return found


async def _put_role(
    tables: DirectoryTransaction, username: str, dataset_ref: DatasetRef, role: str | None
) -> None:
    user_id, org_id = (await _named(tables, username)).console_user_id, dataset_ref.org_id
    before = next(
        (item.role for item in await tables.console_users.find_roles(user_id) if item.org_id == org_id), None
    )
    if role is None:
        await tables.console_users.delete_role(user_id, org_id)
    else:
        await tables.console_users.put_role(user_id, org_id, role)
    await _put_role_change(tables, org_id, username, before, role)


async def _put_role_change(
    tables: DirectoryTransaction, org_id: int, username: str, before: str | None, after: str | None
) -> None:
    changed = differences(_subject(username), {"role": before}, {"role": after})
    await put_audited(tables.of(org_id), "console_user", changed)


def _subject(username: str) -> str:
    return f"console user {username}"


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise InvalidInput("role", f"{role[:100]!r} is not a role. Use one of: {', '.join(ROLES)}.")


def _unknown(username: str) -> NotFound:
    return NotFound(f"There is no console user {username[:100]!r}.")
