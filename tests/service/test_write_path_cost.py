"""What events cost: statements, rows that are written, and memory that only the garbage collector frees."""

from __future__ import annotations

import asyncio
import gc
from uuid import UUID

import pytest

from oneself.core.identity.identifier import ANONYMOUS_ID, Identifier
from oneself.errors import Contended
from oneself.service.log.verify import verify
from oneself.service.privacy.person_data import read_parts
from oneself.services import Services
from oneself.store.loaded_graph import LoadedGraph
from oneself.store.transaction import begin, snapshot
from support.interactions_harness import InteractionsHarness, customer, mail
from support.statements import STATEMENTS, counted_statements

ROW = "SELECT xmin::text FROM fragment WHERE fragment_id = $1"
SOURCES = """
SELECT profile.provenance, fragment.state::jsonb -> 'writes' AS writes
FROM profile JOIN fragment ON fragment.fragment_id = profile.profile_id
WHERE profile.profile_id = $1
"""
LOCK = "SELECT FROM fragment WHERE fragment_id = $1 FOR NO KEY UPDATE NOWAIT"


@pytest.fixture
async def harness(services: Services) -> InteractionsHarness:
    return await InteractionsHarness(services).begin()


async def send_batch(harness: InteractionsHarness, *devices: str) -> None:
    """Send one event of each browser; they are committed together."""
    await asyncio.gather(*(harness.event(device=device) for device in devices))


async def count_statements(
    harness: InteractionsHarness, monkeypatch: pytest.MonkeyPatch, *devices: str
) -> int:
    with counted_statements(monkeypatch) as counts:
        await send_batch(harness, *devices)
    return counts[STATEMENTS]


async def test_the_statements_of_one_event(
    harness: InteractionsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send_batch(harness, "known")
    assert await count_statements(harness, monkeypatch, "known") == 4
    assert await count_statements(harness, monkeypatch, "new") == 5


async def test_the_statements_of_a_batch_do_not_depend_on_its_size(
    harness: InteractionsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [f"known-{number}" for number in range(15)]
    await send_batch(harness, *known)
    new = [f"new-{number}" for number in range(15)]
    assert await count_statements(harness, monkeypatch, known[0], "new") == 6
    assert await count_statements(harness, monkeypatch, *known[:5], *new[:5]) == 6
    assert await count_statements(harness, monkeypatch, *known, *new[5:]) == 6


async def test_the_statements_of_events_that_repeat_whom_their_browser_is(
    harness: InteractionsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks, claims and profiles, browsers and fragments; log, profiles, fragments."""
    people = [f"c-{number}" for number in range(15)]

    async def send(*named: str) -> int:
        with counted_statements(monkeypatch) as counts:
            await asyncio.gather(*(harness.event(customer(item), device=item) for item in named))
        return counts[STATEMENTS]

    await send(*people)
    assert await send(people[0]) == 6
    assert await send(*people) == 6
    assert (await verify(harness.services.database, lambda done, total: None)).difference is None


async def test_a_repeated_value_has_a_new_source_and_the_old_version(harness: InteractionsHarness) -> None:
    first = await harness.event(customer("c-1"), mail("ann@x.example"), device="known")
    last = await harness.event(customer("c-1"), mail("ann@x.example"), device="known")
    assert last.survivor.updated_at == first.survivor.updated_at
    row = await harness.services.database.fetchrow(SOURCES, first.profile.profile_id)
    believed = [item for found in row["provenance"].values() for item in found]
    for source in (*believed, *(item["source"] for item in row["writes"])):
        assert (source["seq"], source["since"]) == (last.seq, first.seq)
    assert len(believed) == len(row["writes"]) == 2
    assert (await verify(harness.services.database, lambda done, total: None)).difference is None


async def test_an_event_that_says_nothing_writes_no_row_of_its_fragment(harness: InteractionsHarness) -> None:
    fragment_id = (await harness.event(device="known")).profile.profile_id
    database = harness.services.database
    written = await database.fetchval(ROW, fragment_id)
    last = await harness.event(device="known")
    assert await database.fetchval(ROW, fragment_id) == written
    assert await _last_activity(harness, fragment_id) == last.seq
    assert (await verify(database, lambda done, total: None)).difference is None


async def test_an_event_without_the_visitor_is_no_activity(harness: InteractionsHarness) -> None:
    first = await harness.event(device="known")
    await harness.event(device="known", is_interactive=False)
    assert await _last_activity(harness, first.profile.profile_id) == first.seq


async def _last_activity(harness: InteractionsHarness, profile_id: UUID) -> int:
    """The last activity of a person, as an export in the view `own` has it."""
    config = await harness.services.configurations.current(harness.dataset_ref.dataset_id)
    async with snapshot(harness.services.database, harness.dataset_ref.dataset_id) as tables:
        found = await read_parts(tables, "own", profile_id, config)
    assert found is not None
    return found.survivor.active_at


async def test_whoever_joins_a_fragment_waits_for_events_on_its_browser(harness: InteractionsHarness) -> None:
    fragment_id = (await harness.event(device="known")).profile.profile_id
    dataset_id, database = harness.dataset_ref.dataset_id, harness.services.database
    async with begin(database, dataset_id) as transaction:
        devices = {Identifier(ANONYMOUS_ID, "known")}
        found = await transaction.browsers.find_with_fragments((), devices, former=False)
        assert [browser.fragment_id for browser in found.acting.values()] == [fragment_id]
        with pytest.raises(Contended):
            await database.execute(LOCK, fragment_id)


async def test_a_batch_leaves_nothing_to_the_garbage_collector(harness: InteractionsHarness) -> None:
    gc.collect()
    gc.disable()
    try:
        await harness.event(device="new")
        assert not [found for found in gc.get_objects() if isinstance(found, LoadedGraph)]
    finally:
        gc.enable()
