"""Properties of all answers: CORS, HEAD, OPTIONS and headers (docs/wire/cds.md §1)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
import pytest_asyncio

from oneself.api.app import create_app
from oneself.services import Services

SHOP = "https://shop.example"


@pytest_asyncio.fixture
async def http(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """The application with one allowed origin and no organisation."""
    settings = msgspec.structs.replace(services.settings, cors_origins=(SHOP,))
    transport = httpx.ASGITransport(app=create_app(services, settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8700") as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/tx", "/t/acme/x", "//t/acme", "/cds/api/v1/profiles", "/cds/api/v1//health", "/ready//"]
)
async def test_an_unknown_path_is_a_text_error(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.text) == (404, "404 page not found")
    assert answer.headers["content-type"].startswith("text/plain")


async def test_an_unsupported_method_lists_the_allowed_methods(http: httpx.AsyncClient) -> None:
    answer = await http.put("/t/acme/cds/api/v1/profiles")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert (await http.request("PROPFIND", "/health")).status_code == 405


@pytest.mark.parametrize("path", ["/t/acme/cds/api/v1/profiles", "/nowhere", "/t/acme", "//", "/docs"])
async def test_options_is_200_and_empty_for_every_path(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.options(path)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_head_is_get_without_the_body(http: httpx.AsyncClient) -> None:
    get, head = await http.get("/health"), await http.head("/health")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


async def test_an_allowed_origin_can_read_every_answer(http: httpx.AsyncClient) -> None:
    for path in ("/health", "/nowhere", "/t/acme", "/t/acme/cds/api/v1/profiles"):
        headers = (await http.get(path, headers={"Origin": SHOP})).headers
        assert headers["access-control-allow-origin"] == SHOP
        assert headers["access-control-allow-credentials"] == "true"
        assert headers["access-control-expose-headers"] == "Content-Length, ETag"
        assert "origin" in headers["vary"].lower()


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"{SHOP}.evil.example", "null", "*", "HTTPS://SHOP.EXAMPLE"]
)
async def test_another_origin_can_read_no_answer(http: httpx.AsyncClient, origin: str) -> None:
    answer = await http.get("/health", headers={"Origin": origin})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_responses_of_an_organisation_are_never_cached(http: httpx.AsyncClient) -> None:
    answer = await http.get("/t/acme/cds/api/v1/profiles")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_metrics_name_routes_and_never_ids(http: httpx.AsyncClient) -> None:
    await http.get("/t/acme/cds/api/v1/profiles/0b6e5a4e-3b1d-4c8e-9a55-0d7e1f2b3c4d")
    await http.head("/health")
    await http.get("/some/where/else")
    text = (await http.get("/metrics")).text
    route = "/t/{org}/cds/api/v1/profiles/{profile_id}"
    assert f'oneself_http_requests_total{{method="GET",route="{route}",status="401"}} 1.0' in text
    assert 'oneself_http_requests_total{method="HEAD",route="/health",status="200"} 1.0' in text
    assert "0b6e5a4e" not in text
    assert "where" not in text
