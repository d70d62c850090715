"""Grants: one sign-in by one user for one application, its code and its line of refresh tokens.

Invariants: a code or refresh token is redeemed in one transaction that locks its row: read it, decide (the
caller's `decide`), write the decision. A credential that is sent twice was stolen by one of the two senders,
so its grant ends. A refresh token that is sent again within seconds, as two windows of one application do,
gets the same successor, unless that was used: there is one line of tokens, so a thief still shows.
Source: RFC 6749 §4.1.2, RFC 9700 §4.14, docs/decisions/0041-refresh-tokens-sent-twice.md.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from typing import Literal
from uuid import UUID

import msgspec

from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox, digest, new_token
from oneself.service.directory.accounts import Account
from oneself.service.directory.tokens import AccessTokens
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.oauth_grant import CodeRow, CredentialRow, GrantRow

SECOND_US = 1_000_000
CODE_LIFE_US = 300 * SECOND_US
REFRESH_LIFE_US = 30 * 24 * 3600 * SECOND_US
#: How long after its use a refresh token gets the same successor again.
REPEAT_US = 10 * SECOND_US

CredentialKind = Literal["code", "refresh_token"]


class GrantRequest(msgspec.Struct, frozen=True):
    """A granted authorization request."""

    client_id: str
    scope: str
    session_id: UUID
    #: When the user proved who they are, in µs since 1970.
    auth_time: int
    nonce: str | None = None
    redirect_uri: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    #: The trackers of the browser that asked, the strongest first. They wait until the code is redeemed.
    trackers: tuple[str, ...] = ()


class Credential(msgspec.Struct, frozen=True):
    """A code or refresh token with its grant and account."""

    kind: CredentialKind
    grant_id: UUID
    client_id: str
    account: Account
    session_id: UUID | None
    scope: str
    auth_time: int
    #: It was redeemed before.
    is_spent: bool
    #: It expired, or its grant was revoked.
    is_void: bool
    #: It was redeemed a moment ago, and its successor was not: it may be redeemed once more.
    is_repeated: bool = False
    #: Of a refresh token: the one that follows it.
    successor: str = ""
    nonce: str | None = None
    redirect_uri: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    trackers: tuple[str, ...] = ()


class Redemption(msgspec.Struct):
    """A decision about a credential: whether it was accepted, and the refresh token that follows it."""

    accepted: bool = False
    refresh_token: str | None = None
    refresh_scope: str = ""


class Grants:
    """Creates grants and redeems their codes and refresh tokens."""

    def __init__(
        self,
        directory: Directory,
        tokens: AccessTokens,
        secret_box: SecretBox,
        *,
        code_life_us: int = CODE_LIFE_US,
        repeat_us: int = REPEAT_US,
    ) -> None:
        self._directory = directory
        self._tokens = tokens
        self._secret_box = secret_box
        self._code_life_us = code_life_us
        self._repeat_us = repeat_us

    async def create(self, dataset_ref: DatasetRef, account: Account, request: GrantRequest) -> str:
        """Store a grant and return its authorization code, which is valid once, for a short time."""
        code, grant_id, now = new_token(), uuid.uuid4(), time.time_ns() // 1000
        grant = GrantRow(
            grant_id, request.client_id, account.user_id, request.session_id,
            request.scope, request.nonce, request.auth_time, now,
        )  # fmt: skip
        proof = (request.redirect_uri, request.code_challenge, request.code_challenge_method)
        code_row = CodeRow(digest(code), grant_id, *proof, request.trackers, now, now + self._code_life_us)
        async with self._directory.transaction() as tables:
            grants = tables.of(dataset_ref.org_id).grants
            await grants.put(grant)
            await grants.put_code(code_row)
        return code

    async def redeem(
        self,
        dataset_ref: DatasetRef,
        kind: CredentialKind,
        secret: str,
        decide: Callable[[Credential | None], Redemption],
    ) -> None:
        """Let `decide` decide on a credential while its row is locked, and write the decision.

        `decide` gets None for an unknown credential; if it raises, nothing changes. A spent credential ends
        its grant whatever the decision.
        """
        async with self._directory.transaction() as tables:
            row = await _lock(tables, dataset_ref, kind, secret)
            credential = _credential(kind, row) if row else None
            if credential is not None and row is not None and kind == "refresh_token":
                credential = await self._followed(tables, dataset_ref, credential, secret, row.used_at)
            redemption = decide(credential)
            if credential is None:
                return
            if credential.is_spent:
                await self._end(tables, dataset_ref, credential.grant_id)
            elif redemption.accepted and not credential.is_repeated:
                await _spend(tables, dataset_ref, kind, secret, credential.grant_id, redemption)

    async def find_code(self, dataset_ref: DatasetRef, code: str) -> Credential | None:
        """The state of an authorization code; None if it is unknown."""
        return await self._find(dataset_ref, "code", code)

    async def find_refresh_token(self, dataset_ref: DatasetRef, refresh_token: str) -> Credential | None:
        """The state of a refresh token, for introspection; None if it is unknown."""
        return await self._find(dataset_ref, "refresh_token", refresh_token)

    async def revoke(self, dataset_ref: DatasetRef, refresh_token: str, client_id: str) -> bool:
        """End the grant of a refresh token and revoke its access tokens; False if it is not this client's."""
        async with self._directory.transaction() as tables:
            row = await _lock(tables, dataset_ref, "refresh_token", refresh_token)
            if row is None or row.client_id != client_id:
                return False
            await self._end(tables, dataset_ref, row.grant_id)
            return True

    async def _followed(
        self,
        tables: DirectoryTables,
        dataset_ref: DatasetRef,
        credential: Credential,
        secret: str,
        used_at: int | None,
    ) -> Credential:
        """A locked refresh token with its successor, which is always the same."""
        key = self._secret_box.keyed_digest("refresh token", str(dataset_ref.org_id), secret)
        successor = base64.urlsafe_b64encode(key).rstrip(b"=").decode()
        repeats = used_at is not None and time.time_ns() // 1000 - used_at < self._repeat_us
        if repeats:
            grants = tables.of(dataset_ref.org_id).grants
            repeats = await grants.is_refresh_token_unused(digest(successor))
        return msgspec.structs.replace(
            credential,
            successor=successor,
            is_repeated=repeats,
            is_spent=credential.is_spent and not repeats,
        )

    async def _find(self, dataset_ref: DatasetRef, kind: CredentialKind, secret: str) -> Credential | None:
        async with self._directory.transaction() as tables:
            row = await _lock(tables, dataset_ref, kind, secret)
        return _credential(kind, row) if row else None

    async def _end(self, tables: DirectoryTables, dataset_ref: DatasetRef, grant_id: UUID) -> None:
        await tables.of(dataset_ref.org_id).grants.put_revoked(grant_id, time.time_ns() // 1000)
        await self._tokens.put_revoked(tables, dataset_ref, f"grant:{grant_id}")


async def _lock(
    tables: DirectoryTables, dataset_ref: DatasetRef, kind: CredentialKind, secret: str
) -> CredentialRow | None:
    grants = tables.of(dataset_ref.org_id).grants
    lock = grants.lock_code if kind == "code" else grants.lock_refresh_token
    return await lock(digest(secret))


async def _spend(
    tables: DirectoryTables,
    dataset_ref: DatasetRef,
    kind: CredentialKind,
    secret: str,
    grant_id: UUID,
    redemption: Redemption,
) -> None:
    grants, now = tables.of(dataset_ref.org_id).grants, time.time_ns() // 1000
    if kind == "code":
        await grants.put_code_used(digest(secret), now)
    else:
        await grants.put_refresh_token_used(digest(secret), now)
    if redemption.refresh_token:
        token = (digest(redemption.refresh_token), grant_id, redemption.refresh_scope)
        await grants.put_refresh_token(*token, now, now + REFRESH_LIFE_US)


def _credential(kind: CredentialKind, row: CredentialRow) -> Credential:
    return Credential(
        kind=kind,
        grant_id=row.grant_id,
        client_id=row.client_id,
        account=Account(row.user_id, row.username, dict(row.claims), verified=dict(row.verified)),
        session_id=row.session_id,
        scope=row.scope,
        auth_time=row.auth_time,
        is_spent=row.used_at is not None,
        is_void=row.revoked_at is not None or row.expires_at <= time.time_ns() // 1000,
        nonce=row.nonce,
        redirect_uri=row.redirect_uri,
        code_challenge=row.code_challenge,
        code_challenge_method=row.code_challenge_method,
        trackers=tuple(row.trackers),
    )
