"""Reads claims and applications from a WSO2 Identity Server or Asgardeo. Source: docs/wire/cds.md §13.

Invariants: a result is complete, or IdentityServerFailed is raised. Tokens are cached until shortly before
they expire. After a rejected token, the client requests a new one once.

Pagination. WSO2 returns a claim list as one JSON array. Its API documents `limit` and `offset`, but every
known release answers them with 501. If a server supports `offset`, the client requests the rest of the list
with it. If the response is an object (`totalResults`, `links`), the client follows the links to the last
page.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from oneself.adapters.http import LimitedHttpClient
from oneself.adapters.identity_server.connection import Connection
from oneself.adapters.outgoing import OutgoingPolicy
from oneself.core.config.mirrored_attributes import is_scim
from oneself.errors import IdentityServerFailed

CLAIM_DIALECTS = "/api/server/v1/claim-dialects"
APPLICATIONS = "/api/server/v1/applications"

TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
#: For all claims of one organisation. A slower server counts as unavailable.
READING_TIMEOUT_S = 60.0
RESPONSE_BYTES_MAX = 32 * 1024 * 1024
PAGES_MAX = 1_000
#: A token is replaced this long before it expires, because the clocks of client and server differ.
TOKEN_MARGIN_S = 30.0
#: Lifetime of a token without `expires_in`.
TOKEN_LIFE_DEFAULT_S = 300.0

_UNSUPPORTED = (400, 404, 405, 501)
_NOT_FOUND = 404

Claim = Mapping[str, Any]


class ClaimSet(msgspec.Struct, frozen=True):
    """The local claims, and the claims of each SCIM dialect, in the format of the server."""

    local: tuple[Claim, ...]
    dialects: tuple[tuple[Claim, ...], ...]


class IdentityServerClient:
    """The HTTP client for all identity servers of a process."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        policy: OutgoingPolicy | None = None,
        reading_timeout_s: float = READING_TIMEOUT_S,
    ) -> None:
        self._http = LimitedHttpClient(
            "The identity server",
            timeout_s=TIMEOUT_S,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            response_bytes_max=RESPONSE_BYTES_MAX,
            policy=policy,
            transport=transport,
        )
        self._reading_timeout_s = reading_timeout_s
        self._tokens: dict[tuple[Connection, str], tuple[str, float]] = {}
        self._unpaged_servers: set[str] = set()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def read_claims(self, connection: Connection, org: str) -> ClaimSet:
        """Return all claims of an organisation. Raises IdentityServerFailed."""
        try:
            async with asyncio.timeout(self._reading_timeout_s):
                return await self._read_claims(connection, org)
        except TimeoutError:
            raise IdentityServerFailed("The identity server did not answer in time.") from None

    async def has_application(self, connection: Connection, org: str, client_id: str) -> bool:
        """Whether exactly one application has this client id or SAML issuer. Raises IdentityServerFailed."""
        query = {"filter": f"clientId eq {client_id} or issuer eq {client_id}"}
        document = await self._get(connection, org, connection.address(org, APPLICATIONS), query)
        if not isinstance(document, dict):
            raise IdentityServerFailed("The identity server's list of applications is invalid.")
        applications = document.get("applications")
        return isinstance(applications, list) and len(applications) == 1

    async def has_application_id(self, connection: Connection, org: str, application_id: str) -> bool:
        """Whether an application with this id exists. Raises IdentityServerFailed."""
        if not application_id or application_id in (".", ".."):
            return False
        address = connection.address(org, f"{APPLICATIONS}/{quote(application_id, safe='')}")
        return await self._get(connection, org, address, missing_is_none=True) is not None

    async def _read_claims(self, connection: Connection, org: str) -> ClaimSet:
        local = await self._list(connection, org, f"{CLAIM_DIALECTS}/local/claims")
        dialects = await self._list(connection, org, CLAIM_DIALECTS)
        paths = [
            f"{CLAIM_DIALECTS}/{quote(str(dialect.get('id')), safe='')}/claims"
            for dialect in dialects
            if is_scim(str(dialect.get("dialectURI")))
        ]
        # Sequential: a periodic synchronisation must not burst requests at a server that signs users in.
        return ClaimSet(local, tuple([await self._list(connection, org, path) for path in paths]))

    async def _list(self, connection: Connection, org: str, path: str) -> tuple[Claim, ...]:
        address = connection.address(org, path)
        page = await self._get(connection, org, address)
        if isinstance(page, dict):
            return await self._follow_links(connection, org, address, page)
        entries = _entries(page)
        found = {_entry_key(entry): entry for entry in entries}
        for _ in range(PAGES_MAX):
            if not entries or connection.url in self._unpaged_servers:
                return tuple(found.values())
            entries = await self._list_from(connection, org, address, len(found))
            entries = [entry for entry in entries if _entry_key(entry) not in found]
            found.update((_entry_key(entry), entry) for entry in entries)
        raise IdentityServerFailed("The identity server's list does not end.")

    async def _list_from(self, connection: Connection, org: str, address: str, offset: int) -> list[Claim]:
        """The entries after the first `offset`; empty if the server does not support `offset`."""
        page = await self._get(connection, org, address, {"offset": str(offset)}, unsupported_is_none=True)
        if page is None:
            self._unpaged_servers.add(connection.url)
            return []
        return _entries(page)

    async def _follow_links(
        self, connection: Connection, org: str, address: str, page: dict[str, Any]
    ) -> tuple[Claim, ...]:
        """The entries of a list whose pages link to the next page."""
        found: dict[str, Claim] = {}
        for _ in range(PAGES_MAX):
            before = len(found)
            found.update((_entry_key(entry), entry) for entry in _page_entries(page))
            next_url = _next_url(page, httpx.URL(address))
            if next_url is None:
                break
            if len(found) == before:
                raise IdentityServerFailed("The identity server's list repeats a page.")
            page = await self._get(connection, org, next_url)
            if not isinstance(page, dict):
                raise IdentityServerFailed("A page of the identity server's list is invalid.")
        total = page.get("totalResults")
        if isinstance(total, int) and len(found) < total:
            raise IdentityServerFailed("The identity server's list is not complete.")
        return tuple(found.values())

    async def _get(
        self,
        connection: Connection,
        org: str,
        address: str,
        query: Mapping[str, str] | None = None,
        *,
        missing_is_none: bool = False,
        unsupported_is_none: bool = False,
    ) -> Any:
        for attempt in range(2):
            token = await self._token(connection, org)
            headers = {"Authorization": f"{connection.scheme} {token}", "Accept": "application/json"}
            response = await self._http.send("GET", address, params=query, headers=headers)
            if response.status_code != httpx.codes.UNAUTHORIZED or attempt:
                break
            # The token was revoked, or the server restarted with other keys.
            self._tokens.pop((connection, org), None)
        if missing_is_none and response.status_code == _NOT_FOUND:
            return None
        if unsupported_is_none and response.status_code in _UNSUPPORTED:
            return None
        return _decoded(response)

    async def _token(self, connection: Connection, org: str) -> str:
        token, until = self._tokens.get((connection, org), ("", 0.0))
        if until > time.monotonic():
            return token
        response = await self._http.send(
            "POST",
            connection.token_address(org),
            data=connection.token_form(org),
            auth=(connection.client_id, connection.client_secret),
            headers={"Accept": "application/json"},
        )
        token, life_s = _token_in(_decoded(response))
        self._tokens[connection, org] = (token, time.monotonic() + life_s - TOKEN_MARGIN_S)
        return token


def _decoded(response: httpx.Response) -> Any:
    if response.status_code != httpx.codes.OK:
        raise IdentityServerFailed(
            f"The identity server returned {response.status_code} for "
            f"{response.request.method} {response.url.path}."
        )
    try:
        return msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise IdentityServerFailed("The identity server's response is not JSON.") from None


def _token_in(document: object) -> tuple[str, float]:
    """The access token in the response of a token endpoint, and its lifetime in seconds."""
    fields = document if isinstance(document, dict) else {}
    token, life_s = fields.get("access_token"), fields.get("expires_in")
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise IdentityServerFailed("The identity server's token endpoint returned no token.")
    return token, float(life_s) if isinstance(life_s, int | float) else TOKEN_LIFE_DEFAULT_S


def _entries(page: object) -> list[Claim]:
    if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
        raise IdentityServerFailed("The identity server's list is invalid.")
    return page


def _page_entries(page: Mapping[str, Any]) -> list[Claim]:
    """The entries of a page: the value of its only list besides `links`."""
    lists = [value for key, value in page.items() if isinstance(value, list) and key != "links"]
    if len(lists) != 1:
        raise IdentityServerFailed("A page of the identity server's list is invalid.")
    return _entries(lists[0])


def _entry_key(entry: Claim) -> str:
    """The key that recognises an entry that several pages repeat."""
    return str(entry.get("id") or entry.get("claimURI") or entry.get("dialectURI"))


def _next_url(page: Mapping[str, Any], address: httpx.URL) -> str | None:
    """The URL of the next page, or None.

    Only the same origin is allowed, because the request sends the token.
    """
    links: Iterable[Any] = page.get("links") or ()
    for link in links:
        if isinstance(link, dict) and link.get("rel") == "next" and isinstance(link.get("href"), str):
            next_url = address.join(link["href"])
            if (next_url.scheme, next_url.host, next_url.port) != (
                address.scheme,
                address.host,
                address.port,
            ):
                raise IdentityServerFailed("The identity server's list continues at another server.")
            return str(next_url)
    return None
