"""The table `oauth_grant`, with `authorization_code` and `refresh_token`: what sign-ins have granted."""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, struct_of

_sql = Queries("oauth_grant")


class GrantRow(msgspec.Struct, frozen=True):
    """A grant, in the order of the statement's parameters. Instants in µs since 1970."""

    grant_id: UUID
    client_id: str
    user_id: UUID
    session_id: UUID
    scope: str
    nonce: str | None
    #: When the user proved who they are.
    auth_time: int
    created_at: int


class CodeRow(msgspec.Struct, frozen=True):
    """An authorization code, in the order of the statement's parameters. Instants in µs since 1970."""

    code_digest: bytes
    grant_id: UUID
    redirect_uri: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    #: Of the browser that asked, the strongest first.
    trackers: tuple[str, ...]
    created_at: int
    expires_at: int


class CredentialRow(msgspec.Struct, frozen=True):
    """A code or refresh token with its grant and account. Instants in µs since 1970."""

    grant_id: UUID
    client_id: str
    user_id: UUID
    username: str
    #: Claim → value.
    claims: dict[str, str]
    #: Verified claim → since when, in µs since 1970.
    verified: dict[str, int]
    session_id: UUID | None
    scope: str
    nonce: str | None
    auth_time: int
    #: When the credential was redeemed; None: never.
    used_at: int | None
    #: When the grant was revoked; None: never.
    revoked_at: int | None
    expires_at: int
    #: Of a code only.
    redirect_uri: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    trackers: tuple[str, ...] = ()


class GrantTable(OrganisationTable):
    """The grants of an organisation."""

    __slots__ = ()

    async def put(self, row: GrantRow) -> None:
        """Insert a grant."""
        await self._executor.execute(_sql.put, self._org_id, *msgspec.structs.astuple(row))

    async def put_code(self, row: CodeRow) -> None:
        """Insert the authorization code of a grant."""
        await self._executor.execute(_sql.put_code, self._org_id, *msgspec.structs.astuple(row))

    async def lock_code(self, digest: bytes) -> CredentialRow | None:
        """An authorization code, locked until the end of the transaction."""
        row = await self._executor.fetchrow(_sql.lock_code, self._org_id, digest)
        return struct_of(CredentialRow, row)

    async def put_code_used(self, digest: bytes, now: int) -> None:
        """Mark an authorization code as used."""
        await self._executor.execute(_sql.put_code_used, self._org_id, digest, now)

    async def lock_refresh_token(self, digest: bytes) -> CredentialRow | None:
        """A refresh token, locked until the end of the transaction."""
        row = await self._executor.fetchrow(_sql.lock_refresh_token, self._org_id, digest)
        return struct_of(CredentialRow, row)

    async def put_refresh_token(
        self, digest: bytes, grant_id: UUID, scope: str, now: int, expires_at: int
    ) -> None:
        """Insert a refresh token of a grant."""
        await self._executor.execute(
            _sql.put_refresh_token, self._org_id, digest, grant_id, scope, now, expires_at
        )

    async def is_refresh_token_unused(self, digest: bytes) -> bool:
        """Whether a refresh token exists that nobody has used."""
        return bool(await self._executor.fetchval(_sql.is_refresh_token_unused, self._org_id, digest))

    async def put_refresh_token_used(self, digest: bytes, now: int) -> None:
        """Mark a refresh token as used."""
        await self._executor.execute(_sql.put_refresh_token_used, self._org_id, digest, now)

    async def put_revoked(self, grant_id: UUID, now: int) -> None:
        """Revoke a grant."""
        await self._executor.execute(_sql.put_revoked, self._org_id, grant_id, now)

    async def put_revoked_of_account(self, user_id: UUID, now: int) -> list[UUID]:
        """Revoke every grant of a user; the ids of those that were not revoked."""
        found = await self._executor.fetch(_sql.put_revoked_of_account, self._org_id, user_id, now)
        return [row["grant_id"] for row in found]

    async def put_revoked_of_session(self, user_id: UUID, session_id: UUID, now: int) -> list[UUID]:
        """Revoke every grant of a user's session; the ids of those that were not revoked."""
        found = await self._executor.fetch(
            _sql.put_revoked_of_session, self._org_id, user_id, session_id, now
        )
        return [row["grant_id"] for row in found]
