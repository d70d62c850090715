"""Sends token introspection requests to an identity server (RFC 7662).

grant                address
client_credentials   {url}/t/carbon.super{introspection path}
system_app_grant     {url}/t/{org}{introspection path}
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec

from oneself.adapters.http import LimitedHttpClient
from oneself.adapters.identity_server.connection import SUPER_TENANT, Connection
from oneself.adapters.outgoing import OutgoingPolicy
from oneself.errors import IdentityServerFailed

TIMEOUT_S = 5.0
RESPONSE_BYTES_MAX = 64 * 1024


class IntrospectionClient:
    """The HTTP client for introspection.

    `path`: the path of the endpoint at the identity server; None if introspection is off. `credentials`:
    username and password for HTTP Basic.
    """

    def __init__(
        self,
        path: str | None,
        credentials: tuple[str, str],
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        policy: OutgoingPolicy | None = None,
    ) -> None:
        self._path = path
        self._credentials = credentials
        self._http = LimitedHttpClient(
            "The identity server",
            timeout_s=TIMEOUT_S,
            response_bytes_max=RESPONSE_BYTES_MAX,
            policy=policy,
            transport=transport,
        )

    @property
    def is_configured(self) -> bool:
        """Whether the settings name an introspection endpoint."""
        return self._path is not None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def introspect(self, connection: Connection, org: str, token: str) -> dict[str, Any] | None:
        """Return the response document; None if it is not a JSON object. Raises IdentityServerFailed."""
        is_system_app = connection.grant == "system_app_grant"
        address = connection.address(org if is_system_app else SUPER_TENANT, self._path or "")
        form = {"token": token, **({"appTenant": SUPER_TENANT} if is_system_app else {})}
        try:
            async with asyncio.timeout(TIMEOUT_S):
                response = await self._http.send("POST", address, data=form, auth=self._credentials)
        except TimeoutError:
            raise IdentityServerFailed(f"The identity server did not answer within {TIMEOUT_S} s.") from None
        return _document(response)


def _document(response: httpx.Response) -> dict[str, Any] | None:
    if response.status_code != httpx.codes.OK:
        return None
    try:
        document = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise IdentityServerFailed("The identity server's response is not JSON.") from None
    return document if isinstance(document, dict) else None
