"""Fixtures: the application in the test process, an organisation, and browsers of console users."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from oneself.api.app import create_app
from oneself.service.context import DatasetRef
from oneself.services import Services
from support.console_browser import ADMIN, ConsoleBrowser, new_console_user


@pytest.fixture
def app(services: Services) -> Any:
    return create_app(services, services.settings)


@pytest_asyncio.fixture
async def acme(services: Services) -> DatasetRef:
    created = await services.setup.provisioning.create("acme", name="Acme Books")
    return created.dataset_ref


@pytest_asyncio.fixture
async def ada(app: Any, services: Services, acme: DatasetRef) -> ConsoleBrowser:
    """The browser of an administrator of `acme`, signed in."""
    await new_console_user(services, ADMIN, "administrator", "acme")
    browser = ConsoleBrowser(app)
    await browser.sign_in()
    return browser
