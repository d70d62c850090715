"""Allowed origins of a dataset that another process has just changed."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from oneself.api.http.metrics import Metrics
from oneself.api.interactions.endpoint import EventEndpoint
from oneself.bootstrap import build_services
from oneself.core.config.changes import PutDatasetSettings
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.service.context import DatasetRef
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.database import Database
from support.service import SECRET_KEY

SHOP, OTHER = "https://shop.acme.example", "https://other.example"


@pytest.fixture
async def dataset_ref(services: Services) -> DatasetRef:
    return (await services.setup.provisioning.create("origins")).dataset_ref


async def test_a_change_by_another_process_applies_to_the_next_event(
    services: Services, database: Database, dataset_ref: DatasetRef, tmp_path: Path
) -> None:
    other_services = build_services(Settings(data_dir=tmp_path, secret_key=SECRET_KEY), database)
    endpoint = EventEndpoint(services, Metrics()).endpoint

    async def allow(*origins: str) -> None:
        change = PutDatasetSettings(DatasetSettings(allowed_origins=origins))
        await other_services.configurations.change(dataset_ref.dataset_id, lambda _: change)

    async def send(origin: str) -> int:
        transport = httpx.ASGITransport(app=endpoint)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as page:
            path = f"/t/origins/api2/event/{dataset_ref.dataset}"
            answer = await page.post(path, json={"user": {}}, headers={"Origin": origin})
        return answer.status_code

    assert await send(OTHER) == 200
    await allow(SHOP)
    assert [await send(OTHER), await send(SHOP)] == [403, 200]
    await allow(OTHER)
    assert [await send(OTHER), await send(SHOP)] == [200, 403]
    await allow()
    assert [await send(OTHER), await send(SHOP)] == [200, 200]
