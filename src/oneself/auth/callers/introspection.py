"""Verifies opaque access tokens by introspection at the identity server that issued them.

    grant of the connection   introspection URL                           organisation of the token
    client_credentials        {url}/t/carbon.super{introspection path}    required in the response
    system_app_grant          {url}/t/{org}{introspection path}           the one in the URL

Invariants: a token is accepted only with `active: true` and the client CONSOLE. An `org_handle` in the
response must be the organisation of the request. A token is rejected if the server does not answer. Source:
docs/wire/cds.md §2, RFC 7662.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog

from oneself.adapters.identity_server.connection import Connection
from oneself.adapters.identity_server.introspection import IntrospectionClient
from oneself.errors import IdentityServerFailed
from oneself.service.context import DatasetRef
from oneself.service.crypto import digest
from oneself.service.directory.tokens import AUDIENCE, Claims
from oneself.service.identity_provider.settings import IdentityServers

_logger = structlog.get_logger("oneself.introspection")

CLIENT = "CONSOLE"
TOKEN_CHARACTERS_MAX = 2_048
#: The guard caches an active token for ACTIVE_LIFE_S; this module caches a rejected one for REFUSAL_LIFE_S.
ACTIVE_LIFE_S = 30.0
REFUSAL_LIFE_S = 10.0
REFUSALS_MAX = 4_096


class TokenIntrospection:
    """A `guard.Verifier` for opaque tokens.

    It accepts none unless an introspection endpoint is configured.
    """

    #: Only tokens of the identity server's console are accepted, in which administrators sign in.
    is_console = True

    def __init__(
        self,
        servers: IdentityServers,
        client: IntrospectionClient,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._servers = servers
        self._client = client
        self._now = now
        self._refused: dict[tuple[int, bytes], float] = {}

    async def claims_of(self, dataset_ref: DatasetRef, token: str) -> Claims | None:
        """Return the claims of an active opaque token in the format of this service's tokens, else None."""
        if not self._client.is_configured or token.count(".") == 2 or len(token) > TOKEN_CHARACTERS_MAX:
            return None
        key = (dataset_ref.org_id, digest(token))
        if self._refused.get(key, 0.0) > time.monotonic():
            return None
        connection = await self._servers.find(dataset_ref)
        response = await self._introspect(connection, dataset_ref, token) if connection else None
        claims = _claims(response, connection, dataset_ref, self._now()) if response and connection else None
        if claims is None:
            self._cache_refusal(key)
        return claims

    async def is_revoked(self, dataset_ref: DatasetRef, claims: Claims) -> bool:
        """Always False: the guard repeats the introspection after ACTIVE_LIFE_S."""
        return False

    async def _introspect(
        self, connection: Connection, dataset_ref: DatasetRef, token: str
    ) -> dict[str, Any] | None:
        try:
            return await self._client.introspect(connection, dataset_ref.handle, token)
        except IdentityServerFailed as error:
            _logger.warning("introspection_failed", org=dataset_ref.handle, cause=error.message)
            return None

    def _cache_refusal(self, key: tuple[int, bytes]) -> None:
        self._refused.pop(key, None)
        if len(self._refused) >= REFUSALS_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[key] = time.monotonic() + REFUSAL_LIFE_S


def _claims(
    response: dict[str, Any], connection: Connection, dataset_ref: DatasetRef, now: float
) -> Claims | None:
    if response.get("active") is not True or response.get("client_id") != CLIENT:
        return None
    organisation = response.get("org_handle")
    if organisation is None and connection.grant != "system_app_grant":
        return None
    if organisation not in (None, dataset_ref.handle):
        return None
    until, expires_at = now + ACTIVE_LIFE_S, response.get("exp")
    if isinstance(expires_at, int | float) and not isinstance(expires_at, bool):
        until = min(until, expires_at)
        if until <= now:
            return None
    copied: Claims = {name: response[name] for name in ("sub", "scope") if name in response}
    return {**copied, "client_id": CLIENT, "aud": AUDIENCE, "org_handle": dataset_ref.handle, "exp": until}
