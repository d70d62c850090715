"""Opaque access tokens, which the identity server that issued them verifies.

    identity server reached with   asked at                                    organisation of the token
    client_credentials             {url}/t/carbon.super{introspection path}    required in the answer
    system_app_grant               {url}/t/{org}{introspection path}           the one in the address

Invariants: a token is accepted only with `active: true` and the client CONSOLE; an organisation in the answer
must be the one in the path. A token is rejected if the server does not answer. Source: docs/wire/cds.md §2,
RFC 7662.
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
#: A positive answer is kept by the guard for this long; a negative one here.
ANSWER_LIFE_S = 30.0
REFUSAL_LIFE_S = 10.0
REFUSALS_MAX = 4_096


class TokenIntrospection:
    """A `guard.Verifier` of tokens that only their issuer can read; unless it is set up, nobody is asked."""

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
        """What the organisation's identity server says of an opaque token, in our own words."""
        if not self._client.is_configured or token.count(".") == 2 or len(token) > TOKEN_CHARACTERS_MAX:
            return None
        key = (dataset_ref.org_id, digest(token))
        if self._refused.get(key, 0.0) > time.monotonic():
            return None
        connection = await self._servers.find(dataset_ref)
        answer = await self._ask(connection, dataset_ref, token) if connection else None
        claims = _claims(answer, connection, dataset_ref, self._now()) if answer and connection else None
        if claims is None:
            self._remember_refusal(key)
        return claims

    async def is_revoked(self, dataset_ref: DatasetRef, claims: Claims) -> bool:
        """Nobody tells us; the guard asks again soon."""
        return False

    async def _ask(
        self, connection: Connection, dataset_ref: DatasetRef, token: str
    ) -> dict[str, Any] | None:
        try:
            return await self._client.introspect(connection, dataset_ref.handle, token)
        except IdentityServerFailed as error:
            _logger.warning("introspection_failed", org=dataset_ref.handle, cause=error.message)
            return None

    def _remember_refusal(self, key: tuple[int, bytes]) -> None:
        self._refused.pop(key, None)
        if len(self._refused) >= REFUSALS_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[key] = time.monotonic() + REFUSAL_LIFE_S


def _claims(
    answer: dict[str, Any], connection: Connection, dataset_ref: DatasetRef, now: float
) -> Claims | None:
    if answer.get("active") is not True or answer.get("client_id") != CLIENT:
        return None
    organisation = answer.get("org_handle")
    if organisation is None and connection.grant != "system_app_grant":
        return None
    if organisation not in (None, dataset_ref.handle):
        return None
    until, expires_at = now + ANSWER_LIFE_S, answer.get("exp")
    if isinstance(expires_at, int | float) and not isinstance(expires_at, bool):
        until = min(until, expires_at)
        if until <= now:
            return None
    kept: Claims = {name: answer[name] for name in ("sub", "scope") if name in answer}
    return {**kept, "client_id": CLIENT, "aud": AUDIENCE, "org_handle": dataset_ref.handle, "exp": until}
