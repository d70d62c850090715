"""The HTTP client of every adapter. It limits time and response size and does not follow redirects.

Invariants: a request goes to permitted addresses alone (`outgoing.py`). An error names the server and the
kind of failure, never the URL, because a URL may contain credentials.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import httpx

from oneself.adapters.outgoing import (
    NAME_UNKNOWN,
    SETTING,
    OutgoingPolicy,
    OutgoingTransport,
    is_not_permitted,
)
from oneself.errors import IdentityServerFailed


class LimitedHttpClient:
    """Sends requests to external servers.

    `server`: the name of the server in errors, such as "The issuer". `timeout_s`: seconds for each network
    operation. `connect_timeout_s`: seconds to connect, by default `timeout_s`. `response_bytes_max`: a larger
    response is an error. `policy`: where requests may be sent to.
    """

    def __init__(
        self,
        server: str,
        *,
        timeout_s: float,
        response_bytes_max: int,
        connect_timeout_s: float | None = None,
        policy: OutgoingPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._server = server
        self._timeout = httpx.Timeout(timeout_s, connect=connect_timeout_s or timeout_s)
        self._response_bytes_max = response_bytes_max
        self._policy = policy or OutgoingPolicy()
        self._transport = transport

    async def close(self) -> None:
        """Close the connections. The client cannot be used afterwards."""
        if "_client" in self.__dict__:
            await self._client.aclose()

    async def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request and return the complete response with any status. Raises IdentityServerFailed.

        `options`: keyword arguments of `httpx.AsyncClient.stream`.
        """
        try:
            async with self._client.stream(method, url, **options) as response:
                body = await self._read(response)
                location = {
                    name: response.headers[name] for name in ("location",) if name in response.headers
                }
                return httpx.Response(
                    response.status_code, headers=location, content=body, request=response.request
                )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._unreachable(error) from error

    async def status_of(self, method: str, url: str, **options: Any) -> int:
        """Send a request and return the status of the response, whose body is not read.

        Raises IdentityServerFailed. `options`: as `send`.
        """
        try:
            async with self._client.stream(method, url, **options) as response:
                return response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> IdentityServerFailed:
        if is_not_permitted(error):
            return IdentityServerFailed(f"{self._server} has an address that {SETTING} does not permit.")
        return IdentityServerFailed(f"{self._server} cannot be reached: {_cause_of(error)}.")

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._response_bytes_max:
                raise IdentityServerFailed(
                    f"{self._server} sent a response of more than {self._response_bytes_max} bytes."
                )
        return bytes(body)

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        # Created on first use: most deployments call no external server, and loading the trust store is slow.
        transport = self._transport or OutgoingTransport(self._policy)
        return httpx.AsyncClient(timeout=self._timeout, transport=transport, follow_redirects=False)


def _cause_of(error: Exception) -> str:
    """Why there was no answer, for people."""
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    if NAME_UNKNOWN in str(error):
        return "its name is unknown"
    if isinstance(error, httpx.ConnectError):
        return "TLS failed" if "SSL" in str(error) else "it accepted no connection"
    return "it ended the connection" if isinstance(error, httpx.TransportError) else "the address is invalid"
