"""Fixtures: the organisation `acme`, its applications and browsers, in the test process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from oneself.api.app import create_app
from oneself.service.context import DatasetRef
from oneself.service.directory.applications import NewApplication
from oneself.services import Services
from support.visitor import CALLBACK, PERMISSIONS, Application, Visitor

SYSTEM = "acme-backend"
SECRET = "acme-backend-secret"

NewClient = Callable[..., Awaitable[Application]]


@pytest_asyncio.fixture
async def dataset_ref(services: Services) -> DatasetRef:
    created = await services.setup.provisioning.create("acme", client_id=SYSTEM, client_secret=SECRET)
    return created.dataset_ref


@pytest.fixture
def app(services: Services) -> Any:
    return create_app(services, services.settings)


@pytest_asyncio.fixture
async def new_visitor(app: Any, dataset_ref: DatasetRef) -> AsyncIterator[Callable[..., Visitor]]:
    """Creates browsers without cookies and closes them at the end."""
    created: list[Visitor] = []

    def make(handle: str = "acme") -> Visitor:
        created.append(Visitor(app, handle))
        return created[-1]

    yield make
    for visitor in created:
        await visitor.http.aclose()


@pytest.fixture
def visitor(new_visitor: Callable[..., Visitor]) -> Visitor:
    return new_visitor()


@pytest.fixture
def system(visitor: Visitor) -> Application:
    """The system application, which has every permission."""
    return Application(visitor, SYSTEM, SECRET)


@pytest.fixture
def new_client(services: Services, dataset_ref: DatasetRef, visitor: Visitor) -> NewClient:
    """Creates applications of a kind; further fields are those of `NewApplication`."""

    async def make(kind: str = "web", **fields: Any) -> Application:
        redirect = () if kind == "machine" else (CALLBACK,)
        options = {"redirect_uris": redirect, "permissions": PERMISSIONS, "name": "Shop", **fields}
        created, secret = await services.directory.applications.create(
            dataset_ref, NewApplication(kind=kind, **options)
        )
        return Application(visitor, created.client_id, secret)

    return make


@pytest_asyncio.fixture
async def shop(new_client: NewClient) -> Application:
    """A web application with sign-in."""
    return await new_client("web")
