"""Grants: one act of sign-in by one user for one application, its code and its line of refresh tokens.

Law of this module: a code or refresh token is redeemed in one transaction that holds its row: it is read,
somebody decides (`decide`, handed in), and what was decided is written. A credential that comes a second
time was stolen by one of the two who sent it, so the whole grant ends (RFC 6749 §4.1.2, RFC 9700 §4.14).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.service.context import DatasetRef
from oneself.service.crypto import digest, new_token
from oneself.service.directory.accounts import Account
from oneself.service.directory.tokens import AccessTokens
from oneself.store.directory import Directory

SECOND_US = 1_000_000
CODE_LIFE_US = 300 * SECOND_US
REFRESH_LIFE_US = 30 * 24 * 3600 * SECOND_US

CredentialKind = Literal["code", "refresh_token"]


class GrantRequest(msgspec.Struct, frozen=True):
    """A granted authorize request. `auth_time`: when the person proved who they are, in microseconds."""

    client_id: str
    scope: str
    session_id: UUID
    auth_time: int
    nonce: str | None = None
    redirect_uri: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None


class Credential(msgspec.Struct, frozen=True):
    """A code or refresh token as it was found, with the grant and the person behind it.

    `is_spent`: it was redeemed before. `is_void`: it ran out or its grant was revoked.
    """

    kind: CredentialKind
    grant_id: UUID
    client_id: str
    account: Account
    session_id: UUID | None
    scope: str
    auth_time: int
    is_spent: bool
    is_void: bool
    nonce: str | None = None
    redirect_uri: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None


class Redemption(msgspec.Struct):
    """What was decided about a credential: whether it was accepted, and the refresh token that follows it."""

    accepted: bool = False
    refresh_token: str | None = None
    refresh_scope: str = ""


class Grants:
    """Opens grants and redeems what they handed out."""

    def __init__(self, directory: Directory, tokens: AccessTokens) -> None:
        self._directory = directory
        self._tokens = tokens

    async def open(self, dataset_ref: DatasetRef, account: Account, request: GrantRequest) -> str:
        """Record a grant and return its authorization code, good once within CODE_LIFE_US."""
        code, grant_id, now = new_token(), uuid.uuid4(), time.time_ns() // 1000
        grant = (
            grant_id, request.client_id, account.user_id, request.session_id,
            request.scope, request.nonce, request.auth_time, now,
        )  # fmt: skip
        proof = (request.redirect_uri, request.code_challenge, request.code_challenge_method)
        async with self._directory.database.transaction() as connection:
            await self._directory.put_grant(connection, dataset_ref.org_id, *grant)
            await self._directory.put_code(
                connection, dataset_ref.org_id, digest(code), grant_id, *proof, now, now + CODE_LIFE_US
            )
        return code

    async def redeem(
        self,
        dataset_ref: DatasetRef,
        kind: CredentialKind,
        secret: str,
        decide: Callable[[Credential | None], Redemption],
    ) -> None:
        """Let `decide` judge a credential while its row is held, and write what it decided.

        `decide` gets None for an unknown credential; whatever it raises leaves everything as it was. A spent
        credential ends its grant whatever is decided.
        """
        async with self._directory.database.transaction() as connection:
            row = await self._lock(connection, dataset_ref, kind, secret)
            credential = _credential(kind, row) if row else None
            redemption = decide(credential)
            if credential is None:
                return
            if credential.is_spent:
                await self._end(connection, dataset_ref, credential.grant_id)
            elif redemption.accepted:
                await self._spend(connection, dataset_ref, kind, secret, credential.grant_id, redemption)

    async def find_refresh_token(self, dataset_ref: DatasetRef, refresh_token: str) -> Credential | None:
        """A refresh token as it stands, for introspection."""
        async with self._directory.database.transaction() as connection:
            row = await self._lock(connection, dataset_ref, "refresh_token", refresh_token)
        return _credential("refresh_token", row) if row else None

    async def revoke(self, dataset_ref: DatasetRef, refresh_token: str, client_id: str) -> bool:
        """End the grant of a refresh token of this application, and void its access tokens."""
        async with self._directory.database.transaction() as connection:
            row = await self._lock(connection, dataset_ref, "refresh_token", refresh_token)
            if row is None or row["client_id"] != client_id:
                return False
            await self._end(connection, dataset_ref, row["grant_id"])
            return True

    async def _lock(self, connection: Any, dataset_ref: DatasetRef, kind: CredentialKind, secret: str) -> Any:
        lock = self._directory.lock_code if kind == "code" else self._directory.lock_refresh_token
        return await lock(connection, dataset_ref.org_id, digest(secret))

    async def _spend(
        self,
        connection: Any,
        dataset_ref: DatasetRef,
        kind: CredentialKind,
        secret: str,
        grant_id: UUID,
        redemption: Redemption,
    ) -> None:
        now = time.time_ns() // 1000
        if kind == "code":
            await self._directory.put_code_used(connection, dataset_ref.org_id, digest(secret), now)
        else:
            await self._directory.put_refresh_token_used(connection, dataset_ref.org_id, digest(secret), now)
        if redemption.refresh_token:
            token = (digest(redemption.refresh_token), grant_id, redemption.refresh_scope)
            await self._directory.put_refresh_token(
                connection, dataset_ref.org_id, *token, now, now + REFRESH_LIFE_US
            )

    async def _end(self, connection: Any, dataset_ref: DatasetRef, grant_id: UUID) -> None:
        await self._directory.put_grant_revoked(
            connection, dataset_ref.org_id, grant_id, time.time_ns() // 1000
        )
        await self._tokens.put_revoked(connection, dataset_ref, f"grant:{grant_id}")


def _credential(kind: CredentialKind, row: Any) -> Credential:
    is_code = kind == "code"
    return Credential(
        kind=kind,
        grant_id=row["grant_id"],
        client_id=row["client_id"],
        account=Account(row["user_id"], row["username"], dict(row["claims"])),
        session_id=row["session_id"],
        scope=row["scope"],
        auth_time=row["auth_time"],
        is_spent=row["used_at"] is not None,
        is_void=row["revoked_at"] is not None or row["expires_at"] <= time.time_ns() // 1000,
        nonce=row["nonce"],
        redirect_uri=row["redirect_uri"] if is_code else None,
        code_challenge=row["code_challenge"] if is_code else None,
        code_challenge_method=row["code_challenge_method"] if is_code else None,
    )
