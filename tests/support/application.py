"""The whole application in the same process, and callers of it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from http.cookiejar import DefaultCookiePolicy

import httpx
import pytest_asyncio

from oneself.api.app import create_app
from oneself.auth.callers.permissions import PERMISSIONS
from oneself.service.directory.applications import NewApplication
from oneself.services import Services
from support.caller import Cds

ORG, SYSTEM, SECRET = "acme", "crm", "a secret of the tests"


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
    created = await services.setup.provisioning.create(
        ORG, client_id=SYSTEM, client_secret="a secret of the tests"
    )
    return Cds(http, services, created.dataset_ref, SYSTEM)


@pytest_asyncio.fixture
async def regular(cds: Cds) -> Cds:
    """An application of `acme` with every permission that is not a system application."""
    new = NewApplication("shop", permissions=PERMISSIONS, client_id="shop")
    await cds.services.directory.applications.create(cds.dataset_ref, new)
    return Cds(cds.http, cds.services, cds.dataset_ref, "shop")


@pytest_asyncio.fixture
async def stranger(cds: Cds) -> Cds:
    """The system application of another organisation."""
    handle = f"other-{uuid.uuid4().hex[:6]}"
    created = await cds.services.setup.provisioning.create(
        handle, client_id="theirs", client_secret="another secret"
    )
    return Cds(cds.http, cds.services, created.dataset_ref, "theirs")
