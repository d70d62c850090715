"""Fixtures: the application in the test process, and a stand-in for the identity server."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from adapters.identity_server.stand_in import CLIENT, IdentityServer
from oneself.api.app import create_app
from oneself.bootstrap import build_services
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.tunables import Tunables
from support.caller import Cds
from support.service import SECRET_KEY, SYNC


class Reporter:
    """Sends reports as the identity server's extension does: for one organisation, with Basic."""

    def __init__(self, cds: Cds, org: str = "acme") -> None:
        self.cds, self.org, self.auth = cds, org, SYNC

    async def __call__(self, event: str, *, path: str = "/profiles/sync", **body: Any) -> httpx.Response:
        sent = {"event": event, "orgHandle": self.org, **body}
        return await self.cds.http.post(f"/t/{self.org}/cds/api/v1{path}", json=sent, auth=self.auth)

    async def claims_changed(self, event: str = "POST_UPDATE_LOCAL_CLAIM") -> None:
        answer = await self(event, path="/profile-schema/sync")
        assert answer.status_code == 200, answer.text


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings without an identity server."""
    return Settings(data_dir=tmp_path, secret_key=SECRET_KEY, sync_username=SYNC[0], sync_password=SYNC[1])


@pytest.fixture
def services(database: Database, settings: Settings, tunables: Tunables) -> Services:
    return build_services(settings, database, tunables=tunables)


@pytest_asyncio.fixture
async def http(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(services, services.settings))
    async with httpx.AsyncClient(transport=transport, base_url="https://cds.acme.example") as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield client


@pytest_asyncio.fixture
async def cds(http: httpx.AsyncClient, services: Services) -> Cds:
    """The system application of `acme`, with every permission."""
    created = await services.setup.provisioning.create("acme", client_id="crm", client_secret="first secret")
    return Cds(http, services, created.dataset_ref, "crm")


@pytest_asyncio.fixture
async def other(cds: Cds) -> Cds:
    """Another organisation."""
    handle = f"other-{uuid.uuid4().hex[:6]}"
    created = await cds.services.setup.provisioning.create(
        handle, client_id="other-crm", client_secret="second secret"
    )
    return Cds(cds.http, cds.services, created.dataset_ref, "other-crm")


@pytest.fixture
def report(cds: Cds) -> Reporter:
    return Reporter(cds)


@pytest.fixture
def identity_server() -> Iterator[IdentityServer]:
    """A stand-in with the three claims of the tests."""
    server = IdentityServer().start()
    server.add("emailaddress", scim="emails")
    server.add("givenname", scim="name.givenName")
    server.add("created", readOnly=True, dataType="date_time", dialect="urn:scim:wso2:schema")
    yield server
    server.stop()


def beside(settings: Settings, server: IdentityServer, **given: Any) -> Settings:
    """Settings with an identity server."""
    return msgspec.structs.replace(
        settings,
        identity_server_url=server.base_url,
        identity_server_client_id=CLIENT[0],
        identity_server_client_secret=CLIENT[1],
        **given,
    )
