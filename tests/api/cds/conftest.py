"""Callers of the CDS face in the same process: the whole application, a real database, no socket."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx
import pytest_asyncio

from oneself.api.app import create_app
from oneself.auth.permissions import PERMISSIONS
from oneself.serve import Services
from oneself.service.applications import NewApplication
from oneself.service.organisations import Tenant
from oneself.service.tokens import access_claims, sign_access_token

ORG, SYSTEM = "acme", "crm"


class Cds:
    """One application that calls one organisation."""

    def __init__(self, http: httpx.AsyncClient, services: Services, tenant: Tenant, client_id: str) -> None:
        self.http, self.services, self.tenant, self.client_id = http, services, tenant, client_id

    async def token(self, *permissions: str, subject: str | None = None) -> str:
        tokens, keys = self.services.identity.tokens, self.services.identity.signing_keys
        scope = " ".join(f"internal_cds_{name}" for name in permissions) or " ".join(PERMISSIONS)
        issuer = tokens.issuer(self.tenant)
        claims = access_claims(issuer, self.tenant, self.client_id, subject or self.client_id, scope, None)
        return sign_access_token(await keys.ring(self.tenant), claims)

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {token or await self.token()}", **(headers or {})}
        return await self.http.request(
            method, f"/t/{self.tenant.handle}/cds/api/v1{path}", headers=sent, **kwargs
        )

    async def define(self, scope: str, *drafts: dict[str, Any]) -> list[dict[str, Any]]:
        filled = [{"value_type": "string", "merge_strategy": "overwrite", **draft} for draft in drafts]
        answer = await self("POST", f"/profile-schema/{scope}", json=filled)
        assert answer.status_code == 201, answer.text
        return list(answer.json())

    async def create(self, **body: Any) -> dict[str, Any]:
        answer = await self("POST", "/profiles", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def listed(self, **params: Any) -> dict[str, Any]:
        answer = await self("GET", "/profiles", params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest_asyncio.fixture
async def http(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(services, services.settings)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://cds.acme.example") as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield client


@pytest_asyncio.fixture
async def cds(http: httpx.AsyncClient, services: Services) -> Cds:
    """The system application of `acme`, with every permission."""
    founded = await services.identity.founding.create(
        ORG, client_id=SYSTEM, client_secret="a secret of the tests"
    )
    return Cds(http, services, founded.tenant, SYSTEM)


@pytest_asyncio.fixture
async def regular(cds: Cds) -> Cds:
    """An application of `acme` with every permission that is no system application."""
    new = NewApplication("shop", permissions=PERMISSIONS, client_id="shop")
    await cds.services.identity.applications.create(cds.tenant, new)
    return Cds(cds.http, cds.services, cds.tenant, "shop")


@pytest_asyncio.fixture
async def stranger(cds: Cds) -> Cds:
    """The system application of another organisation."""
    handle = f"other-{uuid.uuid4().hex[:6]}"
    founded = await cds.services.identity.founding.create(
        handle, client_id="theirs", client_secret="another secret"
    )
    return Cds(cds.http, cds.services, founded.tenant, "theirs")
