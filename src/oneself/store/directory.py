"""The directory's rows: organisations, applications, accounts, keys, grants, sessions.

Law of this module: one method, one statement of `sql/directory.sql`, named alike; rows go out as they are.
It decides nothing: what a used code or a retired key means is the business of `service`.
Instants are microseconds (`store.pool`). Methods that take a connection belong to a caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from oneself.store.database import Database
from oneself.store.errors import constraint_of
from oneself.store.queries import Queries

if TYPE_CHECKING:
    import asyncpg

    from oneself.store.database import Connection

    Row = asyncpg.Record

SQL = Queries("directory.sql")
USERNAME_TAKEN = "account_username_key"


class Directory:
    """Reads and writes directory rows; every method names the organisation it stays inside."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # organisations

    async def find_tenant(self, handle: str, dataset: str) -> Row | None:
        return await self.database.fetchrow(SQL.find_tenant, handle, dataset)

    async def list_organisations(self, dataset: str) -> list[Row]:
        return await self.database.fetch(SQL.list_organisations, dataset)

    async def put_organisation(self, handle: str, name: str, dataset: str, now: int) -> bool:
        """Make an organisation with its first dataset; False when the handle was taken."""
        async with self.database.transaction() as connection:
            org_id = await connection.fetchval(SQL.put_organisation, handle, name, now)
            if org_id is not None:
                await connection.execute(SQL.put_dataset, org_id, dataset, now)
        return org_id is not None

    # applications

    async def find_application(self, org_id: int, client_id: str) -> Row | None:
        return await self.database.fetchrow(SQL.find_application, org_id, client_id)

    async def list_applications(self, org_id: int) -> list[Row]:
        return await self.database.fetch(SQL.list_applications, org_id)

    async def put_application(self, org_id: int, *columns: Any) -> bool:
        """Columns in the order of the statement; False when the client id was taken."""
        return await self.database.fetchval(SQL.put_application, org_id, *columns) is not None

    async def put_application_changes(self, connection: Connection, org_id: int, *columns: Any) -> bool:
        """Columns in the order of the statement; False when there is no such application."""
        return await connection.fetchval(SQL.put_application_changes, org_id, *columns) is not None

    async def put_application_secret(self, org_id: int, client_id: str, secret_hash: str, now: int) -> bool:
        made = await self.database.fetchval(SQL.put_application_secret, org_id, client_id, secret_hash, now)
        return made is not None

    async def delete_application(self, connection: Connection, org_id: int, client_id: str) -> bool:
        return await connection.fetchval(SQL.delete_application, org_id, client_id) is not None

    # accounts

    async def find_account(self, org_id: int, user_id: UUID) -> Row | None:
        return await self.database.fetchrow(SQL.find_account, org_id, user_id)

    async def find_account_by_username(self, org_id: int, username_key: str) -> Row | None:
        return await self.database.fetchrow(SQL.find_account_by_username, org_id, username_key)

    async def list_accounts(self, org_id: int, after: str, count: int) -> list[Row]:
        return await self.database.fetch(SQL.list_accounts, org_id, after, count)

    async def put_account(self, org_id: int, *columns: Any) -> bool:
        """Columns in the order of the statement; False when the username was taken."""
        try:
            await self.database.execute(SQL.put_account, org_id, *columns)
        except Exception as error:
            if constraint_of(error) == USERNAME_TAKEN:
                return False
            raise
        return True

    async def put_account_claims(self, org_id: int, user_id: UUID, claims: Any, now: int) -> bool:
        return await self.database.fetchval(SQL.put_account_claims, org_id, user_id, claims, now) is not None

    async def put_account_password(
        self, connection: Connection, org_id: int, user_id: UUID, password_hash: str, now: int
    ) -> bool:
        row = await connection.fetchval(SQL.put_account_password, org_id, user_id, password_hash, now)
        return row is not None

    async def delete_account(self, connection: Connection, org_id: int, user_id: UUID) -> bool:
        return await connection.fetchval(SQL.delete_account, org_id, user_id) is not None

    # console users

    async def put_administrator(self, org_id: int, username: str, password_hash: str, now: int) -> bool:
        made = await self.database.fetchval(SQL.put_administrator, org_id, username, password_hash, now)
        return made is not None

    async def put_administrator_password(
        self, org_id: int, username: str, password_hash: str, now: int
    ) -> None:
        await self.database.execute(SQL.put_administrator_password, org_id, username, password_hash, now)

    async def find_administrator(self, org_id: int, username: str) -> Row | None:
        return await self.database.fetchrow(SQL.find_administrator, org_id, username)

    async def list_administrators(self, org_id: int) -> list[Row]:
        return await self.database.fetch(SQL.list_administrators, org_id)

    # signing keys

    async def list_signing_keys(self, org_id: int, retired_after: int) -> list[Row]:
        return await self.database.fetch(SQL.list_signing_keys, org_id, retired_after)

    async def put_signing_key(self, org_id: int, *columns: Any) -> None:
        """Columns in the order of the statement; nothing happens while there is a current key."""
        await self.database.execute(SQL.put_signing_key, org_id, *columns)

    async def replace_signing_key(self, org_id: int, now: int, *columns: Any) -> None:
        """Retire the current key and make another one current, at once."""
        async with self.database.transaction() as connection:
            await connection.execute(SQL.retire_signing_key, org_id, now)
            await connection.execute(SQL.put_signing_key, org_id, *columns)

    # grants

    async def put_grant(self, connection: Connection, org_id: int, *columns: Any) -> None:
        await connection.execute(SQL.put_grant, org_id, *columns)

    async def put_code(self, connection: Connection, org_id: int, *columns: Any) -> None:
        await connection.execute(SQL.put_code, org_id, *columns)

    async def lock_code(self, connection: Connection, org_id: int, digest: bytes) -> Row | None:
        return await connection.fetchrow(SQL.lock_code, org_id, digest)

    async def put_code_used(self, connection: Connection, org_id: int, digest: bytes, now: int) -> None:
        await connection.execute(SQL.put_code_used, org_id, digest, now)

    async def lock_refresh_token(self, connection: Connection, org_id: int, digest: bytes) -> Row | None:
        return await connection.fetchrow(SQL.lock_refresh_token, org_id, digest)

    async def put_refresh_token(self, connection: Connection, org_id: int, *columns: Any) -> None:
        await connection.execute(SQL.put_refresh_token, org_id, *columns)

    async def put_refresh_token_used(
        self, connection: Connection, org_id: int, digest: bytes, now: int
    ) -> None:
        await connection.execute(SQL.put_refresh_token_used, org_id, digest, now)

    async def put_grant_revoked(self, connection: Connection, org_id: int, grant_id: UUID, now: int) -> None:
        await connection.execute(SQL.put_grant_revoked, org_id, grant_id, now)

    async def put_revoked_token(
        self, connection: Connection, org_id: int, token_id: str, now: int, expires_at: int
    ) -> None:
        await connection.execute(SQL.put_revoked_token, org_id, token_id, now, expires_at)

    async def list_revoked_tokens(self, since: int, now: int) -> list[Row]:
        return await self.database.fetch(SQL.list_revoked_tokens, since, now)

    async def put_grants_of_account_revoked(
        self, connection: Connection, org_id: int, user_id: UUID, now: int
    ) -> None:
        await connection.execute(SQL.put_grants_of_account_revoked, org_id, user_id, now)

    # browser sessions

    async def put_session(self, org_id: int, *columns: Any) -> None:
        await self.database.execute(SQL.put_session, org_id, *columns)

    async def find_session(self, org_id: int, digest: bytes, now: int) -> Row | None:
        return await self.database.fetchrow(SQL.find_session, org_id, digest, now)

    async def delete_session(self, org_id: int, digest: bytes) -> None:
        await self.database.execute(SQL.delete_session, org_id, digest)

    async def delete_session_by_id(self, org_id: int, session_id: UUID) -> None:
        await self.database.execute(SQL.delete_session_by_id, org_id, session_id)

    async def delete_sessions_of_account(self, connection: Connection, org_id: int, user_id: UUID) -> None:
        await connection.execute(SQL.delete_sessions_of_account, org_id, user_id)

    # failures

    async def put_failures(self, org_id: int, subjects: Sequence[bytes], now: int, expires_at: int) -> None:
        await self.database.execute(SQL.put_failures, org_id, list(subjects), now, expires_at)

    async def list_failures(self, org_id: int, subjects: Sequence[bytes], now: int) -> list[Row]:
        return await self.database.fetch(SQL.list_failures, org_id, list(subjects), now)

    async def delete_failures(self, org_id: int, subject: bytes) -> None:
        await self.database.execute(SQL.delete_failures, org_id, subject)

    async def delete_expired(self, now: int, grants_before: int) -> int:
        """How many rows were past and are gone."""
        return int(await self.database.fetchval(SQL.delete_expired, now, grants_before))
