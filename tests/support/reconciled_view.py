"""Checks that the profiles of the view `all` are those that the identity graph ties together."""

from __future__ import annotations

from itertools import combinations
from uuid import UUID

from oneself.core.fold.reconcile import BelievedLog, ExpectedPartition, expect
from oneself.core.identity_graph.rules import graph_rules
from oneself.service.log.verify import verify
from oneself.services import Services
from oneself.store.database import Database
from oneself.store.tables.log import BEGINNING
from oneself.store.transaction import Tables
from support.stored_views import list_fragments

_LIST_ALL = (
    "INSERT INTO unreconciled_fragment SELECT dataset_id, fragment_id, 1 FROM fragment ON CONFLICT DO NOTHING"
)
_DATASETS = "SELECT DISTINCT dataset_id FROM fragment ORDER BY dataset_id"


async def assert_sound(services: Services, dataset_id: int) -> None:
    """Raises AssertionError unless the log folds to what is stored, nothing that people keep apart is one,
    and the view `all` is that of the identity graph as soon as everybody is reconciled.
    """
    await assert_verified(services.database)
    await services.log.reconciler.reconcile_all()
    await assert_parted(Tables(services.database, dataset_id))
    await reconcile_everybody(services)
    await assert_reconciled(services.database)
    await assert_verified(services.database)


async def assert_verified(database: Database) -> None:
    """Raises AssertionError with the first difference between what is stored and what the log folds to."""
    report = await verify(database, lambda done, total: None)
    assert report.difference is None, report.difference


async def reconcile_everybody(services: Services) -> None:
    """Reconcile every fragment, whether or not it is listed."""
    await services.database.execute(_LIST_ALL)
    await services.log.reconciler.reconcile_all()


async def assert_reconciled(database: Database) -> None:
    """Raises AssertionError with the profiles of the first dataset that differ."""
    for row in await database.fetch(_DATASETS):
        expected, believed = await find_people(Tables(database, row["dataset_id"]))
        assert expected == believed, f"expected {expected - believed}, believed {believed - expected}"


async def find_people(tables: Tables) -> tuple[set[frozenset[UUID]], set[frozenset[UUID]]]:
    """The profiles of the view `all` as they are expected and as they are believed, by their fragments."""
    attached = await find_attached(tables)
    expected = await _reconcile(tables)
    found: dict[UUID, set[UUID]] = {}
    believed: dict[UUID, set[UUID]] = {}
    for fragment_id, survivor_id in attached:
        found.setdefault(expected.components[fragment_id], set()).add(fragment_id)
        believed.setdefault(survivor_id, set()).add(fragment_id)
    return set(map(frozenset, found.values())), set(map(frozenset, believed.values()))


async def assert_parted(tables: Tables) -> None:
    """Raises AssertionError if what people keep apart is one profile of the view `all`, but for one user."""
    rows = {row.fragment.fragment_id: row for row in await list_fragments(tables)}
    components = (await _reconcile(tables)).components
    survivors: dict[UUID, set[UUID]] = {}
    for fragment_id, survivor_id in await find_attached(tables):
        survivors.setdefault(fragment_id, set()).add(survivor_id)
    for separation in (await tables.separations.find(rows)).values():
        for one, other in combinations(separation.sides, 2):
            if separation.sides[one] != separation.sides[other] and components[one] != components[other]:
                shared = survivors.get(one, set()) & survivors.get(other, set())
                assert not shared, f"{one} and {other} are one: {shared}"


async def find_attached(tables: Tables) -> set[tuple[UUID, UUID]]:
    """Pairs of a fragment and a survivor that an entry of it is attached to."""
    entries = await tables.log.list_after(BEGINNING, limit=100_000)
    ids = {entry.profile_id for entry in entries if entry.profile_id is not None}
    survivors = {item.profile_id: item.survivor_id for item in await tables.profiles.find(ids)}
    found = await tables.log.find_attached(ids)
    return {(item, survivors.get(profile_id) or profile_id) for item, profile_id in found}


async def _reconcile(tables: Tables) -> ExpectedPartition:
    rows = await list_fragments(tables)
    ids = [row.fragment.fragment_id for row in rows]
    entries = await tables.log.list_after(BEGINNING, limit=100_000)
    attached = [entry for entry in entries if entry.profile_id is not None]
    fragments, configs = await tables.fragments.find_entries(ids), await tables.log.find_configurations()
    log = BelievedLog(attached, fragments, configs)
    joins = await tables.person_joins.find(ids)
    separations = await tables.separations.find(ids)
    return expect([row.fragment for row in rows], joins, separations, log, graph_rules(configs[max(configs)]))
