"""Authenticates the caller of a request and checks its permissions.

Contents: the guard for all kinds of tokens. A `Verifier` verifies the tokens of one kind of issuer. The
module does not know routes and bodies. Invariants: a token is accepted only for the organisation that it was
issued for. A failed check does not say which check failed. Source of the error texts: docs/wire/cds.md §2.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from oneself.auth.callers.principal import Principal
from oneself.auth.callers.reach import application_in, caller_kind, subject_in
from oneself.errors import Forbidden, Unauthenticated
from oneself.service.context import DatasetRef
from oneself.service.crypto import same
from oneself.service.directory.tokens import AUDIENCE, AccessTokens, Claims
from oneself.service.identity_provider.issuer_reports import IssuerReport

UNAUTHENTICATED = "Missing or invalid Authorization header"
NO_SCOPE = "You do not have enough permission to access this resource."
NOT_IN_SCOPE = "Do not have permission to perform this operation"

#: The claim under which a verifier leaves what the token of a trusted issuer reports.
REPORT = "oneself:report"
CACHE_S = 30.0
# An entry takes a few kilobytes. With more concurrent callers, some tokens are verified again.
CACHED_MAX = 4_096


class Verifier(Protocol):
    """Verifies the tokens of one kind of issuer."""

    #: Whether its tokens are those of administrators in a console.
    is_console: bool

    async def claims_of(self, dataset_ref: DatasetRef, token: str) -> Claims | None:
        """Return the claims of a token that has a valid signature and has not expired, else None."""

    async def is_revoked(self, dataset_ref: DatasetRef, claims: Claims) -> bool:
        """Whether a token that was accepted before must be rejected now. Called for every request."""


class OwnKeys:
    """Verifies tokens of the embedded authorization server with the organisation's own keys."""

    is_console = False

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    async def claims_of(self, dataset_ref: DatasetRef, token: str) -> Claims | None:
        return await self._tokens.verify(dataset_ref, token)

    async def is_revoked(self, dataset_ref: DatasetRef, claims: Claims) -> bool:
        return await self._tokens.is_revoked(dataset_ref, claims)


class _Cached(msgspec.Struct, frozen=True):
    caller: Principal
    claims: Claims
    verifier: Any
    until: float


class Guard:
    """Authenticates requests by their `Authorization` header."""

    def __init__(
        self,
        verifiers: Sequence[Verifier],
        *,
        cached_max: int = CACHED_MAX,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cached_max = cached_max
        self._now = now
        self._verifiers = tuple(verifiers)
        self._cache: dict[tuple[int, str], _Cached] = {}

    async def authenticate(self, authorization: str | None, dataset_ref: DatasetRef) -> Principal:
        """Return the caller of a bearer token.

        Raises Unauthenticated, or Forbidden for a token without scope.
        """
        token = bearer_token(authorization)
        if token is None:
            raise unauthenticated()
        cached = self._cache.get((dataset_ref.org_id, token))
        if cached is None or cached.until < self._now():
            cached = await self._verify(dataset_ref, token)
        elif await cached.verifier.is_revoked(dataset_ref, cached.claims):
            self._cache.pop((dataset_ref.org_id, token), None)
            # The issuer's permissions may have changed; the token may still be valid.
            cached = await self._verify(dataset_ref, token)
        return cached.caller

    async def _verify(self, dataset_ref: DatasetRef, token: str) -> _Cached:
        for verifier in self._verifiers:
            claims = await verifier.claims_of(dataset_ref, token)
            if claims is not None:
                caller = principal_of(claims, dataset_ref, is_console=verifier.is_console)
                cached = _Cached(caller, claims, verifier, min(self._now() + CACHE_S, claims["exp"]))
                self._remember((dataset_ref.org_id, token), cached)
                return cached
        raise unauthenticated()

    def _remember(self, key: tuple[int, str], cached: _Cached) -> None:
        self._cache.pop(key, None)
        if len(self._cache) >= self._cached_max:
            self._cache.pop(next(iter(self._cache)))
        self._cache[key] = cached


def require(caller: Principal, permission: str) -> None:
    """Raise Forbidden unless the caller holds the permission."""
    if permission not in caller.permissions:
        raise Forbidden(NOT_IN_SCOPE, code="CDS-10003")


def basic_matches(authorization: str | None, username: str | None, password: str | None) -> bool:
    """Whether a header is HTTP Basic with exactly these credentials, compared in constant time.

    For the two sync operations: docs/wire/cds.md §2. Unset credentials match nothing.
    """
    credentials = basic_credentials(authorization)
    if credentials is None or not username or not password:
        return False
    # Both are always compared, so that the duration reveals nothing.
    same_username, same_password = same(credentials[0], username), same(credentials[1], password)
    return same_username and same_password


def bearer_token(authorization: str | None) -> str | None:
    """The token of `Bearer <token>`, else None."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or " " in token or not token.isascii():
        return None
    return token


def basic_credentials(authorization: str | None) -> tuple[str, str] | None:
    """The username and password of `Basic <base64>`, without percent-decoding, else None."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None


def principal_of(claims: Claims, dataset_ref: DatasetRef, *, is_console: bool) -> Principal:
    """Return the caller of verified claims.

    Raises Unauthenticated, or Forbidden for a token without scope.
    """
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or AUDIENCE not in audiences:
        raise unauthenticated()
    if claims.get("org_handle") != dataset_ref.handle:
        raise unauthenticated()
    scope = claims.get("scope")
    if not isinstance(scope, str):
        raise Forbidden(NO_SCOPE, code="CDS-10003")
    application, subject, report = application_in(claims), subject_in(claims), claims.get(REPORT)
    return Principal(
        application=application,
        subject=subject,
        permissions=frozenset(scope.split()),
        org=dataset_ref.handle,
        kind="console" if is_console else caller_kind(claims, application, subject),
        # No issuer can send one: what it sends under this name is JSON.
        report=report if isinstance(report, IssuerReport) else None,
    )


def unauthenticated() -> Unauthenticated:
    """The error of every failed check except the scope check."""
    return Unauthenticated(UNAUTHENTICATED, code="CDS-10002")
