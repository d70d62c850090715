"""The client of the identity server: tokens, paging and failures."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from adapters.identity_server.stand_in import CLIENT, USER, IdentityServer, identifier
from oneself.adapters.identity_server.client import IdentityServerClient
from oneself.adapters.identity_server.connection import Connection, Grant
from oneself.errors import IdentityServerFailed

pytestmark = pytest.mark.asyncio

DIALECTS = "/api/server/v1/claim-dialects"


@pytest_asyncio.fixture
async def client() -> AsyncIterator[IdentityServerClient]:
    opened = IdentityServerClient()
    yield opened
    await opened.close()


def to(server: IdentityServer, grant: Grant = "client_credentials", secret: str = CLIENT[1]) -> Connection:
    return Connection(server.base_url, CLIENT[0], secret, grant)


@pytest.mark.parametrize("grant", ["client_credentials", "system_app_grant"])
async def test_both_grants_get_a_token(
    client: IdentityServerClient, identity_server: IdentityServer, grant: Grant
) -> None:
    claims = await client.read_claims(to(identity_server, grant), "acme")
    assert len(claims.local) == 3
    assert [len(dialect) for dialect in claims.dialects] == [2, 1]


async def test_a_token_is_cached_until_it_expires(
    client: IdentityServerClient, identity_server: IdentityServer
) -> None:
    for _ in range(3):
        await client.read_claims(to(identity_server), "acme")
    assert identity_server.paths().count("/oauth2/token") == 1
    identity_server.token_life_s = 0
    identity_server.tokens.clear()
    for _ in range(2):
        await client.has_application(to(identity_server), "acme", "shop")
    assert identity_server.paths().count("/oauth2/token") == 3


async def test_a_restart_requests_a_new_token(
    client: IdentityServerClient, identity_server: IdentityServer
) -> None:
    await client.read_claims(to(identity_server), "acme")
    identity_server.restart()
    assert len((await client.read_claims(to(identity_server), "acme")).local) == 3


async def test_only_scim_dialects_are_read_and_each_page_once(
    client: IdentityServerClient, identity_server: IdentityServer
) -> None:
    await client.read_claims(to(identity_server), "acme")
    assert sum("offset" in path for path in identity_server.paths()) == 1
    identity_server.requests.clear()
    await client.read_claims(to(identity_server), "acme")
    assert len(identity_server.requests) == 4


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("size", [1, 2, 7, 50])
async def test_all_pages_of_a_list_are_read(
    client: IdentityServerClient, identity_server: IdentityServer, size: int, linked: bool
) -> None:
    for number in range(20):
        identity_server.add(f"claim{number}")
    identity_server.page_size, identity_server.has_next_links = size, linked
    claims = await client.read_claims(to(identity_server), "acme")
    assert len(claims.local) == 23
    assert [len(dialect) for dialect in claims.dialects] == [22, 1]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503])
@pytest.mark.parametrize(
    "path", ["/oauth2/token", f"{DIALECTS}/local/claims", DIALECTS, f"{DIALECTS}/{identifier(USER)}/claims"]
)
async def test_any_failed_request_fails_the_reading(
    client: IdentityServerClient, identity_server: IdentityServer, path: str, status: int
) -> None:
    identity_server.failing[path] = status
    with pytest.raises(IdentityServerFailed):
        await client.read_claims(to(identity_server), "acme")


async def test_a_failed_page_fails_the_reading(
    client: IdentityServerClient, identity_server: IdentityServer
) -> None:
    identity_server.page_size = 1
    requested: list[str] = []

    def fail_third_page(path: str) -> None:
        requested.append(path)
        if requested.count(f"{DIALECTS}/local/claims") == 3:
            identity_server.failing[path] = 500

    identity_server.before = fail_third_page
    with pytest.raises(IdentityServerFailed, match="500"):
        await client.read_claims(to(identity_server), "acme")


async def test_a_wrong_secret_is_named_in_the_error(
    client: IdentityServerClient, identity_server: IdentityServer
) -> None:
    with pytest.raises(IdentityServerFailed, match="401 for POST /t/acme/oauth2/token"):
        await client.read_claims(to(identity_server, secret="wrong"), "acme")


async def test_an_unreachable_server_is_named_in_the_error(
    client: IdentityServerClient, identity_server: IdentityServer
) -> None:
    identity_server.stop()
    with pytest.raises(IdentityServerFailed, match="cannot be reached"):
        await client.read_claims(to(identity_server), "acme")


async def test_a_slow_server_is_a_timeout(identity_server: IdentityServer) -> None:
    identity_server.delays[f"{DIALECTS}/{identifier(USER)}"] = 1.0
    client = IdentityServerClient(reading_timeout_s=0.2)
    try:
        with pytest.raises(IdentityServerFailed, match="in time"):
            await client.read_claims(to(identity_server), "acme")
    finally:
        await client.close()


@pytest.mark.parametrize("answer", [b"<html>", b"", b'{"a": 1}', b"[5]", b"null", b"[" * 100_000])
async def test_an_invalid_answer_fails_the_reading(
    client: IdentityServerClient, identity_server: IdentityServer, answer: bytes
) -> None:
    identity_server.answer = lambda *_: (200, answer)  # type: ignore[method-assign]
    with pytest.raises(IdentityServerFailed):
        await client.read_claims(to(identity_server), "acme")


async def test_a_next_link_to_another_server_is_not_followed(
    client: IdentityServerClient, identity_server: IdentityServer
) -> None:
    """The token is valid for one server; the client must not send it to another."""
    original_answer = identity_server.answer

    def link_to_another_server(method: str, target: str, *rest: object) -> tuple[int, object]:
        if target.endswith("/local/claims"):
            return 200, {
                "claims": [{"id": "a"}],
                "links": [{"rel": "next", "href": "http://elsewhere.example/"}],
            }
        return original_answer(method, target, *rest)  # type: ignore[arg-type]

    identity_server.answer = link_to_another_server  # type: ignore[method-assign, assignment]
    with pytest.raises(IdentityServerFailed, match="another server"):
        await client.read_claims(to(identity_server), "acme")


async def test_applications_are_found_by_client_id_and_by_id(
    client: IdentityServerClient, identity_server: IdentityServer
) -> None:
    identity_server.applications["shop"] = "app-1"
    assert await client.has_application(to(identity_server), "acme", "shop")
    assert not await client.has_application(to(identity_server), "acme", "unknown")
    assert await client.has_application_id(to(identity_server), "acme", "app-1")
    assert not await client.has_application_id(to(identity_server), "acme", "shop")
    assert not await client.has_application_id(to(identity_server), "acme", "../claim-dialects")
