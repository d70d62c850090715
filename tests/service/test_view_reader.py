"""A profile in a view is read at one instant, whatever is merged or erased meanwhile."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from oneself.service.ingest.trackers import new_tracker
from oneself.services import Services
from oneself.store.transaction import Tables
from oneself.store.view_reader import Viewed, read_own, read_view
from support.profiles_harness import ProfilesHarness
from support.statements import STATEMENTS, CountingConnection


@pytest.fixture
async def harness(services: Services) -> ProfilesHarness:
    return await ProfilesHarness(services).begin()


async def test_a_profile_is_read_by_one_statement(harness: ProfilesHarness) -> None:
    """Between two statements, another transaction could erase the survivor that the first one named."""
    await harness.rule("mail")
    first, second = [await harness.person("u-1", new_tracker(), mail="ann@x.example") for _ in range(2)]
    alone = await harness.person(None, new_tracker(), mail="ben@x.example")
    read = [await _read(harness, profile_id) for profile_id in (first, second, alone, "u-1", UUID(int=0))]
    assert [count for _, count in read] == [1] * 5
    survivors = [None if found is None else found.survivor.profile_id for found, _ in read]
    assert survivors == [first, first, alone, first, None]


async def _read(harness: ProfilesHarness, name: UUID | str) -> tuple[Viewed | None, int]:
    counts: Counter[str] = Counter()
    config = await harness.services.configurations.current(harness.dataset_ref.dataset_id)
    async with harness.database.connection() as connection:
        tables = Tables(CountingConnection(connection, counts), harness.dataset_ref.dataset_id)  # type: ignore[arg-type]
        if isinstance(name, UUID):
            found = await read_view(tables, "proven", name, config)
        else:
            found = await read_own(tables, name, config)
    return found, counts[STATEMENTS]
