"""The whole application in the same process, and callers of it."""

from __future__ import annotations

import functools
import uuid
from collections.abc import AsyncIterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import argon2
import httpx
import pytest
import pytest_asyncio
from joserfc.jwk import RSAKey

from oneself.api.app import create_app
from oneself.auth.callers.permissions import PERMISSIONS
from oneself.service.directory.applications import NewApplication
from oneself.services import Services
from support.caller import Cds

ORG, SYSTEM, SECRET = "acme", "crm", "a secret of the tests"


@pytest.fixture(scope="session")
def one_key() -> Any:
    """Making an RSA key takes most of the time of founding an organisation; every test uses this one."""
    return RSAKey.generate_key(2048).as_dict(private=True)


@pytest.fixture(autouse=True)
def fast_crypto(one_key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weak hashes and one private key for all, so that tests take milliseconds."""

    def import_key(bits: int, parameters: Any) -> Any:
        return RSAKey.import_key({**one_key, **parameters})

    monkeypatch.setattr("oneself.service.directory.signing_keys.RSAKey.generate_key", import_key)
    weak = functools.partial(argon2.PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr("oneself.service.crypto.PasswordHasher", weak)


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
    founded = await services.setup.provisioning.create(
        ORG, client_id=SYSTEM, client_secret="a secret of the tests"
    )
    return Cds(http, services, founded.dataset_ref, SYSTEM)


@pytest_asyncio.fixture
async def regular(cds: Cds) -> Cds:
    """An application of `acme` with every permission that is no system application."""
    new = NewApplication("shop", permissions=PERMISSIONS, client_id="shop")
    await cds.services.directory.applications.create(cds.dataset_ref, new)
    return Cds(cds.http, cds.services, cds.dataset_ref, "shop")


@pytest_asyncio.fixture
async def stranger(cds: Cds) -> Cds:
    """The system application of another organisation."""
    handle = f"other-{uuid.uuid4().hex[:6]}"
    founded = await cds.services.setup.provisioning.create(
        handle, client_id="theirs", client_secret="another secret"
    )
    return Cds(cds.http, cds.services, founded.dataset_ref, "theirs")
