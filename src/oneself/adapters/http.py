"""The HTTP client that every adapter uses, with limits: time, size of the answer, no redirects.

Invariants: an error names the server and the kind of failure, never an address: an address may hold
credentials.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import httpx

from oneself.errors import IdentityServerFailed


class LimitedHttpClient:
    """Sends requests to servers outside; closing it closes its connections.

    `server`: how errors name the other side, such as "The issuer". `timeout_s`, `connect_timeout_s`: seconds
    per step. `answer_bytes_max`: a larger answer is an error.
    """

    def __init__(
        self,
        server: str,
        *,
        timeout_s: float,
        answer_bytes_max: int,
        connect_timeout_s: float | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._server = server
        self._timeout = httpx.Timeout(timeout_s, connect=connect_timeout_s or timeout_s)
        self._answer_bytes_max = answer_bytes_max
        self._transport = transport

    async def close(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        if "_client" in self.__dict__:
            await self._client.aclose()

    async def send(self, method: str, address: str, **request: Any) -> httpx.Response:
        """The complete answer, whatever its status. Raises IdentityServerFailed."""
        try:
            async with self._client.stream(method, address, **request) as answer:
                body = await self._read(answer)
                location = {name: answer.headers[name] for name in ("location",) if name in answer.headers}
                return httpx.Response(
                    answer.status_code, headers=location, content=body, request=answer.request
                )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise IdentityServerFailed(
                f"{self._server} cannot be reached: {type(error).__name__}."
            ) from error

    async def _read(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > self._answer_bytes_max:
                raise IdentityServerFailed(
                    f"{self._server} sent an answer of more than {self._answer_bytes_max} bytes."
                )
        return bytes(body)

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        # Created on first use: most deployments have no server outside, and trust stores load slowly.
        return httpx.AsyncClient(timeout=self._timeout, transport=self._transport, follow_redirects=False)
