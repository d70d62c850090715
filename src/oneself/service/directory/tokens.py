"""Access tokens: signed claims that are verified without the database and can be revoked.

Lives here: making, verifying and revoking tokens. Must not know: what a token permits.

Invariants: a token is valid if one of its organisation's keys signed it, it has not expired, and neither it
nor its origin (grant, application, user) was revoked. Revocations are few and short-lived (a token lives
TOKEN_LIFE_S), so every process keeps them all in memory and reads new ones at most once in
REVOCATIONS_REREAD_S. The hot path needs no database, and a revoked token is rejected everywhere within that
time.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from oneself.service.context import DatasetRef
from oneself.service.directory.signing_keys import ALGORITHM, SigningKeys
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.revoked_token import RevocationRow

AUDIENCE = "iam-cds"
#: The `typ` of access tokens (RFC 9068 §2.1). ID tokens have another one.
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105
TOKEN_LIFE_S = 3_600
TOKEN_CHARACTERS_MAX = 8_192
REVOCATIONS_REREAD_S = 1.0
# A revocation becomes visible when it commits, some time after its own instant.
REVOCATIONS_OVERLAP_US = 60_000_000

Claims = dict[str, Any]


class AccessTokens:
    """Issues, verifies and revokes access tokens of every organisation."""

    def __init__(
        self,
        directory: Directory,
        keys: SigningKeys,
        public_url: str,
        *,
        revocations_reread_s: float = REVOCATIONS_REREAD_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._public_url = public_url.rstrip("/")
        self._revocations_reread_s = revocations_reread_s
        self._now = now
        self._revoked: dict[tuple[int, str], RevocationRow] = {}
        self._reread_at = 0.0
        self._seen_until = 0

    @property
    def public_url(self) -> str:
        """The address of this service for browsers and clients, without a trailing slash."""
        return self._public_url

    def issuer(self, dataset_ref: DatasetRef) -> str:
        """The issuer identifier of an organisation."""
        return f"{self._public_url}/t/{dataset_ref.handle}"

    async def verify(self, dataset_ref: DatasetRef, token: str) -> Claims | None:
        """The claims of a valid token of this organisation, else None."""
        claims = await self.decode(dataset_ref, token)
        if claims is None or not _is_current(claims, self._now()):
            return None
        return None if await self.is_revoked(dataset_ref, claims) else claims

    async def decode(self, dataset_ref: DatasetRef, token: str) -> Claims | None:
        """The claims of a token that this organisation signed, expired or not; None for any other."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            return None
        key_id = _key_id(token)
        key = (await self._keys.key_ring_with(dataset_ref, key_id)).public.get(key_id) if key_id else None
        return _decode(token, key) if key else None

    async def is_revoked(self, dataset_ref: DatasetRef, claims: Claims) -> bool:
        """Whether the token, its grant, its application or its user was revoked after it was issued."""
        if self._reread_at < time.monotonic():
            await self._reread()
        if not self._revoked:
            return False
        issued_at = int(claims.get("iat", 0)) * 1_000_000
        return any(
            (revoked := self._revoked.get((dataset_ref.org_id, token_id))) is not None
            and issued_at <= revoked.revoked_at
            for token_id in _origins(claims)
        )

    async def revoke(self, dataset_ref: DatasetRef, token_id: str) -> None:
        """Revoke one token by its `jti`."""
        await self.put_revoked(self._directory, dataset_ref, f"jti:{token_id}")

    async def put_revoked(self, tables: DirectoryTables, dataset_ref: DatasetRef, origin: str) -> None:
        """Revoke every token of `origin` (`jti:…`, `grant:…`, `client:…`, `user:…`) made until now."""
        now = time.time_ns() // 1000
        revocation = RevocationRow(dataset_ref.org_id, origin, now, now + TOKEN_LIFE_S * 1_000_000)
        await tables.revoked_tokens.put(revocation)
        # This process rejects them at once. If the transaction rolls back, clients have to get a few tokens
        # anew.
        self._revoked[dataset_ref.org_id, origin] = revocation

    async def put_revoked_application(
        self, tables: DirectoryTables, dataset_ref: DatasetRef, client_id: str
    ) -> None:
        """Delete an application with its grants and revoke its tokens."""
        await tables.of(dataset_ref.org_id).applications.delete(client_id)
        await self.put_revoked(tables, dataset_ref, f"client:{client_id}")

    async def revoke_user(self, tables: DirectoryTables, dataset_ref: DatasetRef, user_id: UUID) -> None:
        """End a user's sessions and grants and revoke their tokens.

        Each grant is revoked by itself, so that the tokens of a sign-in within the same second are valid.
        """
        organisation = tables.of(dataset_ref.org_id)
        await organisation.sessions.delete_of_account(user_id)
        for grant_id in await organisation.grants.put_revoked_of_account(user_id, time.time_ns() // 1000):
            await self.put_revoked(tables, dataset_ref, f"grant:{grant_id}")

    async def revoke_session(self, dataset_ref: DatasetRef, user_id: UUID, session_id: UUID) -> None:
        """End a user's session and its grants, and revoke their tokens."""
        async with self._directory.transaction() as tables:
            organisation = tables.of(dataset_ref.org_id)
            await organisation.sessions.delete(session_id)
            now = time.time_ns() // 1000
            for grant_id in await organisation.grants.put_revoked_of_session(user_id, session_id, now):
                await self.put_revoked(tables, dataset_ref, f"grant:{grant_id}")

    async def _reread(self) -> None:
        now = time.time_ns() // 1000
        self._reread_at = time.monotonic() + self._revocations_reread_s
        since = max(0, self._seen_until - REVOCATIONS_OVERLAP_US)
        for revocation in await self._directory.revoked_tokens.list_since(since, now):
            self._revoked[revocation.org_id, revocation.origin] = revocation
        self._seen_until = now
        for key in [key for key, revoked in self._revoked.items() if revoked.expires_at <= now]:
            del self._revoked[key]


def access_claims(
    issuer: str, dataset_ref: DatasetRef, client_id: str, subject: str, scope: str, grant_id: UUID | None
) -> Claims:
    """The claims of a new access token; without a scope it has no such claim.

    Source: docs/wire/cds.md §2, RFC 9068.
    """
    now = int(time.time())
    claims: Claims = {
        "iss": issuer,
        "sub": subject,
        "aud": AUDIENCE,
        "azp": client_id,
        "client_id": client_id,
        "org_handle": dataset_ref.handle,
        "scope": scope,
        "iat": now,
        "exp": now + TOKEN_LIFE_S,
        "jti": uuid.uuid4().hex,
        "grant_id": str(grant_id) if grant_id else None,
    }
    return {name: value for name, value in claims.items() if value not in (None, "")}


def sign_access_token(key: RSAKey, claims: Claims) -> str:
    """The compact JWT of an access token, signed with a private key."""
    header = {"alg": ALGORITHM, "typ": ACCESS_TOKEN_TYPE, "kid": key.kid}
    return jwt.encode(header, claims, key, algorithms=[ALGORITHM])


def _decode(token: str, key: RSAKey) -> Claims | None:
    try:
        return dict(jwt.decode(token, key, algorithms=[ALGORITHM]).claims)
    except (JoseError, ValueError, TypeError):
        return None


def _key_id(token: str) -> str | None:
    """The `kid` of a compact JWT's header, unverified."""
    try:
        padded = token.split(".", 1)[0].encode("ascii")
        header = msgspec.json.decode(_unbase64(padded))
    except (ValueError, msgspec.DecodeError):
        return None
    key_id = header.get("kid") if isinstance(header, dict) else None
    return key_id if isinstance(key_id, str) else None


def _unbase64(data: bytes) -> bytes:
    return base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))


def _is_current(claims: Claims, now: float) -> bool:
    expires_at = claims.get("exp")
    return isinstance(expires_at, int | float) and not isinstance(expires_at, bool) and expires_at > now


def _origins(claims: Claims) -> tuple[str, ...]:
    return (
        f"jti:{claims.get('jti')}",
        f"grant:{claims.get('grant_id')}",
        f"client:{claims.get('client_id')}",
        f"user:{claims.get('sub')}",
    )
