"""What it takes to read a profile as it was: a bounded number of entries, found by indexes (never timed)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest

from oneself.errors import Conflict, Contended
from oneself.service.as_of import reading
from oneself.service.as_of.reading import AsOf
from oneself.service.by_hand.asked import SplitBrowser, Why
from oneself.service.context import Actor
from oneself.services import Services
from oneself.store.database import Database
from oneself.store.queries import Queries
from oneself.store.tables.event import EventFilter
from support.interactions_harness import InteractionsHarness, customer, mail

pytestmark = pytest.mark.postgres
ANN, ADDRESS = "00000000000000aa", "ann@acme.example"
_sql, _shadow = Queries("as_of", folder="."), Queries("shadow", folder=".")
#: A log of 3 000 profiles with one entry each, every second one absorbed by the first.
FILL = """
INSERT INTO oneself.profile (dataset_id, profile_id, primary_id, created_at, updated_at, active_at, seq,
                             record_values, provenance, identities, consents, visit_at, first_active_at)
SELECT 1, lpad(to_hex(n), 32, '0')::uuid, '', now(), now(), now(), n, '{}', '{}', '{}', '{}', now(), now()
FROM generate_series(1, 3000) AS n;
INSERT INTO oneself.log (dataset_id, seq, observation_id, kind, config_version, content, profile_id,
                         fragment_id)
SELECT 1, seq, profile_id, 'event', 1, '{}', profile_id, profile_id FROM oneself.profile WHERE dataset_id = 1;
INSERT INTO oneself.merge (dataset_id, absorbed_id, seq, survivor_id, reason, observation_id)
SELECT 1, profile_id, seq, lpad('1', 32, '0')::uuid, 'anonymous', profile_id
FROM oneself.profile WHERE dataset_id = 1 AND seq % 2 = 0;
ANALYZE oneself.log, oneself.profile, oneself.merge;
"""
ID = UUID(int=7)


@pytest.fixture
async def harness(services: Services) -> InteractionsHarness:
    return await InteractionsHarness(services).begin(asserted_merges="all")


async def last_seq(harness: InteractionsHarness) -> int:
    latest = "SELECT max(seq) FROM log WHERE dataset_id = $1"
    return int(await harness.services.database.fetchval(latest, harness.dataset_ref.dataset_id))


async def events_of(as_of: AsOf, harness: InteractionsHarness, at: int, view: Any = "proven") -> int:
    async with as_of.read(harness.dataset_ref, [ANN], view, at) as earlier:
        (profile,) = earlier.profiles
        page = await earlier.person_events.page(harness.dataset_ref, profile.view, EventFilter(), size=200)
    return len(page.events)


@pytest.mark.parametrize("view", ["own", "proven", "all"])
async def test_neither_other_people_nor_later_entries_count(harness: InteractionsHarness, view: Any) -> None:
    """Six entries are Ann's by then, six more are later, and others have sixty."""
    for number in range(30):
        await harness.event(mail(f"{number}@acme.example"), device=f"{number:016x}")
    for _ in range(6):
        await harness.event(mail(ADDRESS), device=ANN)
    at = await last_seq(harness)
    for number in range(30):
        await harness.event(customer(f"c-{number}"), trust="server")
    for _ in range(6):
        await harness.event(device=ANN)
    assert await events_of(AsOf(harness.services.database, entries_max=6), harness, at, view) == 6
    with pytest.raises(Conflict) as too_large:
        await events_of(AsOf(harness.services.database, entries_max=5), harness, at, view)
    assert too_large.value.code == "too_large"
    assert "at least 6 parts or log entries; at most 5 are read" in too_large.value.description
    with pytest.raises(Conflict):
        await events_of(
            AsOf(harness.services.database, entries_max=11), harness, await last_seq(harness), view
        )


async def test_a_stranger_makes_nobodys_past_too_large(harness: InteractionsHarness) -> None:
    """Asserted identities are in the surroundings of the view `all` alone."""
    await harness.event(mail(ADDRESS), trust="server")
    await harness.event(mail(ADDRESS), device=ANN, trust="server")
    for number in range(20):
        await harness.event(mail(ADDRESS), device=f"{number:016x}")
    at = await last_seq(harness)
    as_of = AsOf(harness.services.database, entries_max=10)
    assert await events_of(as_of, harness, at) == 2
    with pytest.raises(Conflict):
        await events_of(as_of, harness, at, "all")


async def test_a_process_reads_a_bounded_number_at_once(harness: InteractionsHarness) -> None:
    await harness.event(device=ANN)
    at, as_of = await last_seq(harness), AsOf(harness.services.database, waiting_max=0)
    async with AsyncExitStack() as stack:
        for _ in range(reading.READS_AT_ONCE):
            await stack.enter_async_context(as_of.read(harness.dataset_ref, [ANN], "proven", at))
        with pytest.raises(Contended):
            await events_of(as_of, harness, at)
    assert await events_of(as_of, harness, at) == 1


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("count_entries", ([ID], [ID], 9_000, 10)),
        ("copy_entries", ([ID], [ID], 9_000)),
        ("copy_named", ([7], [ID])),
        ("put_believed", (9_000,)),
    ],
)
async def test_a_statement_reads_live_tables_by_their_indexes(
    database: Database, name: str, parameters: tuple[Any, ...]
) -> None:
    async with database.scan() as connection:
        await connection.execute(f"{_shadow.begin_scratch}; {_sql.begin_log}")
        filling = connection.transaction()
        await filling.start()
        try:
            await connection.execute(FILL)
            await connection.execute(_shadow.plan_point_lookups)
            found = await connection.fetch(f"EXPLAIN (VERBOSE) {getattr(_sql, name)}", 1, *parameters)
        finally:
            await filling.rollback()
    plan = "\n".join(row[0] for row in found)
    assert "Seq Scan on oneself." not in plan, plan
    assert "Index" in plan, plan


async def test_a_split_is_no_cause_before_it_happened(harness: InteractionsHarness) -> None:
    """In `all`, the log has the plans of after the split."""
    services, ref = harness.services, harness.dataset_ref
    one = (await harness.event(mail(ADDRESS), trust="server")).survivor.profile_id
    other = (await harness.event(device=ANN)).survivor.profile_id
    await harness.event(mail(ADDRESS), device=ANN)
    before = await last_seq(harness)
    await services.decisions.split(ref, Actor("cli"), str(one), SplitBrowser(ANN), Why("all"))
    after = await last_seq(harness)
    await harness.event(customer("c-1"), trust="server")
    found = {}
    for at in (before, after):
        async with services.as_of.read(ref, [str(one), str(other)], "all", at) as earlier:
            parts = [profile.part for profile in earlier.profiles]
            relation = await earlier.explanations.relation(ref, *parts, sees_all=True)
        found[at] = relation.is_one_profile or [cause.code for cause in relation.causes]
    assert found == {before: ["parted_since"], after: ["split_kept_apart"]}
