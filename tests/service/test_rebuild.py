"""`verify` finds any difference between log and state; `rebuild` removes it while writers continue."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from oneself.core.config.changes import PutAttributes
from oneself.core.values.attribute import Attribute
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.trackers import new_tracker
from oneself.service.log.rebuild import rebuild
from oneself.service.log.verify import verify
from oneself.services import Services
from oneself.store.database import Database

pytestmark = pytest.mark.postgres

ACTOR = Actor("test", "shop")

DAMAGE = {
    "a lost profile": "DELETE FROM profile WHERE survivor_id IS NOT NULL",
    "a changed value": 'UPDATE profile SET record_values = \'{"traits": {"plan": "forged"}}\' '
    "WHERE survivor_id IS NULL",
    "a lost claim": "DELETE FROM claim WHERE namespace = 'user_id'",
    "a forged claim": "INSERT INTO claim (dataset_id, namespace, value, seq, profile_id, trust, at, since) "
    "SELECT dataset_id, 'user_id', 'mallory', seq, profile_id, trust, at, since FROM claim LIMIT 1",
    "a lost merge": "DELETE FROM merge",
    "entries without their fragments": "UPDATE log SET fragment_id = NULL, active_at = NULL",
    "entries of another fragment": "UPDATE log SET fragment_id = gen_random_uuid() WHERE kind = 'write'",
    "another activity": "UPDATE log SET active_at = active_at - 1 WHERE active_at IS NOT NULL",
    "another state": "UPDATE fragment SET state = (state::jsonb || '{\"moved\": true}')::text",
    "a lost configuration": "DELETE FROM config",
}


@pytest.fixture
async def dataset_ref(services: Services) -> DatasetRef:
    """An organisation with a trait, one user with two browsers, and another user."""
    created = await services.setup.provisioning.create("acme")
    dataset_ref = created.dataset_ref
    plan = Attribute(
        attribute_id="plan", attribute_name="traits.plan", value_type="string", merge_strategy="overwrite"
    )
    await services.configurations.change(dataset_ref.dataset_id, lambda _: PutAttributes((plan,)))
    for user, value in (("7", "trial"), ("7", "gold"), ("8", "none")):
        tracker = new_tracker()
        await services.profiles.profiles.create(
            dataset_ref, ACTOR, {"traits": {"plan": value}}, tracker=tracker
        )
        active = await services.profiles.profiles.find_active_tracker(dataset_ref, [tracker])
        await services.profiles.profiles.sign_in(dataset_ref, ACTOR, user, tracker=active)
    return dataset_ref


def ignore_progress(done: int, total: int) -> None:
    """Ignore the progress."""


async def test_an_unchanged_state_equals_the_fold_of_the_log(
    dataset_ref: DatasetRef, database: Database
) -> None:
    report = await verify(database, ignore_progress)
    assert report.difference is None
    assert report.profiles == 3
    rebuilt = await rebuild(database, ignore_progress)
    assert (rebuilt.entries, rebuilt.profiles) == (report.entries, report.profiles)
    assert not any(rebuilt.corrected.values())


async def test_states_in_the_format_of_earlier_versions_are_equal(
    dataset_ref: DatasetRef, database: Database
) -> None:
    """The upgrade leaves them as PostgreSQL prints `jsonb`."""
    await database.execute("UPDATE fragment SET state = state::jsonb::text")
    assert (await verify(database, ignore_progress)).difference is None
    assert not any((await rebuild(database, ignore_progress)).corrected.values())


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_any_damage_is_found_and_repaired(
    dataset_ref: DatasetRef, database: Database, damage: str
) -> None:
    before = await _state(database)
    await database.execute(damage)
    assert (await verify(database, ignore_progress)).difference is not None
    rebuilt = await rebuild(database, ignore_progress)
    assert sum(rebuilt.corrected.values()) >= 1
    assert (await verify(database, ignore_progress)).difference is None
    assert await _state(database) == before


async def test_a_difference_names_the_row_and_column_but_no_value(
    dataset_ref: DatasetRef, database: Database
) -> None:
    await database.execute(DAMAGE["a changed value"])
    difference = str((await verify(database, ignore_progress)).difference)
    assert difference.startswith("profile (dataset_id=")
    assert "record_values" in difference
    assert "forged" not in difference
    assert "trial" not in difference


async def test_an_empty_database_has_no_difference(database: Database) -> None:
    assert (await verify(database, ignore_progress)).difference is None
    assert (await rebuild(database, ignore_progress)).profiles == 0


async def test_a_rebuild_with_concurrent_writers_loses_no_write(
    services: Services, dataset_ref: DatasetRef, database: Database
) -> None:
    async def write(number: int) -> Any:
        values = {"traits": {"plan": str(number)}}
        return await services.profiles.profiles.create(
            dataset_ref, ACTOR, values, tracker=new_tracker(), user_id="7"
        )

    _, *created = await asyncio.gather(rebuild(database, ignore_progress), *(write(n) for n in range(40)))
    report = await verify(database, ignore_progress)
    assert report.difference is None
    assert report.profiles == 3 + len(created)


async def _state(database: Database) -> dict[str, list[str]]:
    tables = ("profile", "claim", "merge", "refusal", "config", "log")
    return {
        name: sorted(row["row"] for row in await database.fetch(f"SELECT t::text AS row FROM {name} AS t"))
        for name in tables
    }
