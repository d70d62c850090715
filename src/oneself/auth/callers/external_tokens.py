"""Verifies access tokens of external issuers: the organisation's identity server and trusted issuers.

    check                        identity server               trusted issuer
    keys                         {url}/t/{org}/oauth2/jwks     its discovery document, or its `jwks_uri`
    iss                          not checked                   exactly the issuer
    aud contains                 iam-cds                       the configured audience, iam-cds by default
    org_handle                   {org}                         {org}, or absent
    scope                        used                          used, plus the configured permissions
    sub of a person              the user id                   the user id is {issuer id}:{sub}
    claims of a person           ignored: the server reports   reported (`provider_claims`)

Invariants: the returned claims have the format of this service's own tokens, so that one guard checks all
tokens. Expiry tolerates a clock skew of CLOCK_SKEW_S. Source: docs/wire/cds.md §2.
"""

from __future__ import annotations

import base64
import math
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError

from oneself.adapters.identity_server.issuer_keys import KEY_TYPE_OF_ALGORITHM, IssuerKeys, KeySource
from oneself.auth.callers.guard import REPORT
from oneself.auth.callers.provider_claims import issuer_report
from oneself.auth.callers.reach import user_in
from oneself.service.context import DatasetRef
from oneself.service.directory.issuers import Issuers, TrustedIssuer, VerifiedClaims
from oneself.service.directory.tokens import AUDIENCE, Claims
from oneself.service.identity_provider.settings import IdentityServers

CLOCK_SKEW_S = 60.0
#: A removed issuer is rejected by every process within this time.
TRUSTS_LIFE_S = 1.0
TOKEN_CHARACTERS_MAX = 16_384
#: Limits the work for a token without a `kid`.
KEYS_TRIED_MAX = 10
#: The claim that names the trust by which a token was accepted. It overwrites a claim of this name in the
#: token.
TRUST = "oneself:trust"
#: Issuers of WSO2, whose tokens always contain `org_handle`.
_WSO2_ISSUER = re.compile(r"/t/[^/]+/oauth2/token$")


class TokenTrust(msgspec.Struct, frozen=True):
    """A rule that accepts tokens.

    `issuers`: the accepted values of `iss`; None accepts any. `permissions`: granted in addition to the
    scope. `organisation_required`: the token must contain `org_handle`. `user_prefix`: what the ids of its
    users begin with. `verified_claims`: which claims of its users are verified; None: it reports none.
    """

    name: str
    source: KeySource
    issuers: tuple[str, ...] | None = None
    audience: str = AUDIENCE
    permissions: tuple[str, ...] = ()
    organisation_required: bool = True
    user_prefix: str = ""
    verified_claims: VerifiedClaims | None = None


class ExternalTokens:
    """A `guard.Verifier` for tokens that external issuers signed."""

    is_console = False

    def __init__(
        self,
        servers: IdentityServers,
        issuers: Issuers,
        keys: IssuerKeys,
        *,
        trusts_life_s: float = TRUSTS_LIFE_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._servers = servers
        self._issuers = issuers
        self._keys = keys
        self._trusts_life_s = trusts_life_s
        self._now = now
        self._trusts: dict[int, tuple[float, tuple[TokenTrust, ...]]] = {}

    async def claims_of(self, dataset_ref: DatasetRef, token: str) -> Claims | None:
        """Return the claims of a valid token in the format of this service's tokens, else None."""
        header, unverified = _unverified(token)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in KEY_TYPE_OF_ALGORITHM:
            return None
        for trust in await self._trusts_of(dataset_ref):
            if trust.issuers is not None and unverified.get("iss") not in trust.issuers:
                continue
            claims = await self._verified(trust, token, header.get("kid"), algorithm)
            if claims is not None and _is_accepted(claims, trust, dataset_ref, self._now()):
                return _translated(claims, trust, dataset_ref, self._now())
        return None

    async def is_revoked(self, dataset_ref: DatasetRef, claims: Claims) -> bool:
        """Whether the trust that accepted the token was removed or changed."""
        return claims[TRUST] not in {trust.name for trust in await self._trusts_of(dataset_ref)}

    async def _verified(self, trust: TokenTrust, token: str, key_id: object, algorithm: str) -> Claims | None:
        kid = key_id if isinstance(key_id, str) else None
        for key in (await self._keys.find(trust.source, kid, algorithm))[:KEYS_TRIED_MAX]:
            try:
                return dict(jwt.decode(token, key, algorithms=[algorithm]).claims)
            except (JoseError, ValueError, TypeError):
                continue
        return None

    async def _trusts_of(self, dataset_ref: DatasetRef) -> tuple[TokenTrust, ...]:
        until, trusts = self._trusts.get(dataset_ref.org_id, (0.0, ()))
        if until < time.monotonic():
            trusts = await self._read_trusts(dataset_ref)
            self._trusts[dataset_ref.org_id] = (time.monotonic() + self._trusts_life_s, trusts)
        return trusts

    async def _read_trusts(self, dataset_ref: DatasetRef) -> tuple[TokenTrust, ...]:
        connection = await self._servers.find(dataset_ref)
        server = () if connection is None else (_server_trust(connection.url, dataset_ref),)
        return (
            *server,
            *(_issuer_trust(issuer, dataset_ref) for issuer in await self._issuers.list(dataset_ref)),
        )


def _server_trust(url: str, dataset_ref: DatasetRef) -> TokenTrust:
    jwks_uri = f"{url}/t/{dataset_ref.handle}/oauth2/jwks"
    return TokenTrust(f"server {url}", KeySource(issuer=url, jwks_uri=jwks_uri))


def _issuer_trust(issuer: TrustedIssuer, dataset_ref: DatasetRef) -> TokenTrust:
    oauth2 = f"{issuer.issuer.rstrip('/')}/t/{dataset_ref.handle}/oauth2"
    return TokenTrust(
        f"issuer {issuer.issuer_id} {issuer.updated_at}",
        KeySource(issuer.issuer, issuer.jwks_uri, fallback_uri=f"{oauth2}/jwks"),
        issuers=(issuer.issuer, f"{oauth2}/token"),
        audience=issuer.audience,
        permissions=issuer.permissions,
        organisation_required=False,
        user_prefix=f"{issuer.issuer_id}:",
        verified_claims=issuer.verified_claims,
    )


def _is_accepted(claims: Claims, trust: TokenTrust, dataset_ref: DatasetRef, now: float) -> bool:
    """The checks of docs/wire/cds.md §2, except the scope."""
    issuer, organisation = claims.get("iss"), claims.get("org_handle")
    if trust.issuers is not None and issuer not in trust.issuers:
        return False
    is_required = trust.organisation_required or bool(_WSO2_ISSUER.search(str(issuer)))
    if organisation != dataset_ref.handle and (is_required or organisation is not None):
        return False
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or trust.audience not in audiences:
        return False
    return _is_current(claims, now)


def _is_current(claims: Claims, now: float) -> bool:
    expires_at, not_before = _number(claims.get("exp")), _number(claims.get("nbf"))
    if expires_at is None or expires_at + CLOCK_SKEW_S <= now:
        return False
    return not_before is None or not_before - CLOCK_SKEW_S <= now


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 2**53 and math.isfinite(value) else None


def _translated(claims: Claims, trust: TokenTrust, dataset_ref: DatasetRef, now: float) -> Claims:
    """The claims in the format of a token that this service issues."""
    result = {**claims, "aud": AUDIENCE, "org_handle": dataset_ref.handle, TRUST: trust.name, REPORT: None}
    if (user := user_in(claims)) is not None:
        result["sub"] = trust.user_prefix + user
        if trust.verified_claims is not None:
            result[REPORT] = issuer_report(claims, trust.verified_claims, now + CLOCK_SKEW_S)
    if trust.permissions:
        scope = claims.get("scope")
        scopes = scope.split() if isinstance(scope, str) else []
        result["scope"] = " ".join(dict.fromkeys((*scopes, *trust.permissions)))
    return result


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and claims of a compact JWT, without verification; two empty dicts if it is not a JWT."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > TOKEN_CHARACTERS_MAX:
        return {}, {}
    try:
        header, claims = (
            msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2]
        )
    except (ValueError, msgspec.DecodeError, RecursionError):
        return {}, {}
    return (header, claims) if isinstance(header, dict) and isinstance(claims, dict) else ({}, {})
