"""Sample data: added by the ordinary use-cases to a dataset of its own, and removed without a trace."""

from __future__ import annotations

import asyncio

import pytest

from oneself.errors import Conflict, NotFound
from oneself.service.context import Actor, DatasetRef
from oneself.service.log.verify import verify
from oneself.service.sample.sample_data import SampleData
from oneself.services import Services
from oneself.store.database import Database
from oneself.store.directory import Directory
from oneself.store.tables.sample_dataset import DETACHED, TABLES
from support.interactions_harness import InteractionsHarness
from support.waiting import until_async

ADA = Actor("console", console_user="ada")


@pytest.fixture
async def acme(services: Services) -> DatasetRef:
    return (await services.setup.provisioning.create("acme", name="Acme")).dataset_ref


@pytest.fixture
def sample(services: Services) -> SampleData:
    return services.overview.sample_data


#: Tables with rows of datasets.
TABLES_OF_DATASETS = """
SELECT table_name
FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'oneself' AND column_name = 'dataset_id' AND table_type = 'BASE TABLE'
"""


async def rows_of(database: Database, dataset_id: int) -> dict[str, int]:
    """Table → its rows of a dataset, of tables that have any."""
    tables = await database.fetch(TABLES_OF_DATASETS)
    found = {
        row["table_name"]: await database.fetchval(
            f"SELECT count(*) FROM {row['table_name']} WHERE dataset_id = $1",
            dataset_id,
        )
        for row in tables
    }
    return {table: number for table, number in found.items() if number}


async def removed(services: Services, dataset_ref: DatasetRef) -> None:
    await services.overview.sample_data.remove(dataset_ref, ADA)
    while await services.overview.sample_data.step():
        pass


async def test_the_sample_has_joins_of_both_kinds_a_refusal_and_a_merge_to_be_split(
    services: Services, sample: SampleData, acme: DatasetRef
) -> None:
    await services.log.reconciler.reconcile_all()
    before = await rows_of(services.database, acme.dataset_id)
    ref = await sample.add(acme, ADA)
    assert (ref.dataset, ref.handle) == ("sample", "acme")
    await services.log.reconciler.reconcile_all()
    counts = await services.overview.overviews.count(ref)
    assert dict(counts.profiles) == {"identified": 4, "named": 0, "anonymous": 1}
    assert counts.proven_joins > 0
    assert counts.asserted_joins > 0
    assert counts.refusals["different_user"] >= 1
    assert sum(counts.merges.values()) > 0
    (ann,), (gift,) = [
        await services.profiles.search.named(ref, name) for name in ("sample-ann", "sample-gift")
    ]
    assert ann.profile.profile_id == gift.profile.profile_id
    assert await rows_of(services.database, acme.dataset_id) == before
    assert (await verify(services.database, lambda done, total: None)).difference is None


async def test_removed_sample_data_leaves_no_row(
    services: Services, sample: SampleData, acme: DatasetRef
) -> None:
    before = await rows_of(services.database, acme.dataset_id)
    ref = await sample.add(acme, ADA)
    await sample.remove(acme, ADA)
    removing = await sample.find(acme)
    assert removing is not None
    assert (removing.state, removing.deleted) == ("removing", 0)
    assert removing.total >= 20
    assert await services.schema.datasets.find(acme, "sample") is None
    while await sample.step():
        pass
    assert await sample.find(acme) is None
    assert set(await rows_of(services.database, ref.dataset_id)) == {"sample_dataset"}
    await services.database.execute("UPDATE sample_dataset SET changed_at = now() - interval '1 minute'")
    await InteractionsHarness(services, ref).event(device="late")
    while await sample.step():
        pass
    assert await rows_of(services.database, ref.dataset_id) == {}
    assert await rows_of(services.database, acme.dataset_id) == before


async def test_a_removal_goes_on_some_rows_at_a_time_in_the_background(
    services: Services, acme: DatasetRef
) -> None:
    parts = (services.configurations, services.schema.datasets, services.events.interactions)
    directory = Directory(services.database)
    sample = SampleData(directory, *parts, services.profiles.profiles, rows_per_step=5)
    await sample.add(acme, ADA)
    await sample.remove(acme, ADA)
    assert await sample.step()
    found = await sample.find(acme)
    assert found is not None
    assert found.deleted == 5 < found.total

    async def is_removed() -> bool:
        return await sample.find(acme) is None

    running = asyncio.create_task(sample.run())
    try:
        await until_async(is_removed, "The sample data was not removed.")
    finally:
        running.cancel()


async def test_an_organisation_has_one_sample_and_its_own_datasets_stay(
    services: Services, sample: SampleData, acme: DatasetRef
) -> None:
    await services.schema.datasets.create(acme, "sample", {})
    own = await services.schema.datasets.get(acme, "sample")
    await InteractionsHarness(services, own).event(device="real")
    with pytest.raises(NotFound):
        await sample.remove(acme, ADA)
    ref = await sample.add(acme, ADA)
    assert ref.dataset == "sample-2"
    with pytest.raises(Conflict):
        await sample.add(acme, ADA)
    await removed(services, acme)
    with pytest.raises(NotFound):
        await sample.remove(acme, ADA)
    assert (await rows_of(services.database, own.dataset_id))["profile"] == 1
    assert (await sample.add(acme, ADA)).dataset == "sample-2"


async def test_another_organisation_neither_sees_nor_removes_it(
    services: Services, sample: SampleData, acme: DatasetRef
) -> None:
    other = (await services.setup.provisioning.create("other", name="Other")).dataset_ref
    await sample.add(acme, ADA)
    assert await sample.find(other) is None
    with pytest.raises(NotFound):
        await sample.remove(other, ADA)
    assert (await sample.add(other, ADA)).dataset == "sample"


async def test_a_removal_goes_through_every_table_with_rows_of_datasets(database: Database) -> None:
    tables = await database.fetch(TABLES_OF_DATASETS)
    assert {row["table_name"] for row in tables} == {*TABLES, *DETACHED}
