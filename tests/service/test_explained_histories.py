"""Random histories: explanations consist of true joins, and there is one exactly if there has to be.

Of every two parts of a view, a path leads from one to the other exactly if they are one profile. The joins
that are listed tie every profile together, and nothing else. Each identifier is claimed by both parts.

Source: docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, count, pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, note, settings

from oneself.core.identity.identifier import USER_ID
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.joins import View, user_in
from oneself.core.resolution.components import root
from oneself.service.context import DatasetRef
from oneself.service.explain.explanations import Explanations
from oneself.service.explain.values import FIRST_JOIN, ExplainedJoin, JoinPosition
from oneself.services import Services
from oneself.store.tables.fragment import FragmentRow
from support import databases
from support.effort import examples
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import History, histories

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(130_000)
_ORDER = ("same_user", "verified", "proven", "asserted")
_BELIEVED = "SELECT profile_id, survivor_id FROM profile WHERE dataset_id = $1 AND NOT erased"

#: Part of a profile → the part that heads it.
Heads = Mapping[UUID, UUID]


class Reader:
    """Reads explanations of a dataset in small pages."""

    def __init__(self, services: Services, dataset_id: int, view: View) -> None:
        self._ref = DatasetRef(dataset_id, f"explained-{dataset_id}", dataset_id)
        self._explanations = Explanations(services.database, services.profiles.lookup, chunk=2)
        self._view = view

    async def joins(self, part_id: UUID) -> list[ExplainedJoin]:
        part = await self._explanations.find(self._ref, str(part_id), self._view)
        assert part is not None
        found: list[ExplainedJoin] = []
        position: JoinPosition | None = FIRST_JOIN
        while position is not None:
            page = await self._explanations.joins(self._ref, part, after=position, limit=3)
            assert page.next_position != position
            found += page.joins
            position = page.next_position
        return found

    async def path(self, one: UUID, other: UUID) -> list[ExplainedJoin] | None:
        """The path between two parts; None: they are two profiles."""
        parts = [await self._explanations.find(self._ref, str(item), self._view) for item in (one, other)]
        assert parts[0] is not None
        assert parts[1] is not None
        found = await self._explanations.relation(self._ref, parts[0], parts[1], sees_all=True)
        assert found.is_complete
        assert found.is_one_profile == (not found.causes)
        assert self._view not in found.one_in
        return list(found.path) if found.is_one_profile else None


def assert_true(join: ExplainedJoin, rows: Mapping[UUID, FragmentRow], view: View) -> None:
    """Both fragments have what the join hangs on, at one time, by proof."""
    one, other = (rows[side.part.part_id].fragment for side in join.sides)
    if join.identifier is None:
        assert join.reason in ("manual", "bridge")
    elif join.identifier.namespace == USER_ID:
        assert user_in(one, view) == user_in(other, view) == join.identifier.value
    else:
        assert any(
            mine.tenure == theirs.tenure and mine.overlaps(theirs)
            for mine in one.claims
            for theirs in other.claims
            if mine.tenure.identifier == join.identifier
            and min(mine.level, theirs.level) > EvidenceLevel.ASSERTED
        )
        assert all(side.evidence in ("verified", "proven") for side in join.sides)
    assert all(side.observation is not None and side.observation.at > 0 for side in join.sides)


def tied_together(joins: Iterable[ExplainedJoin], parts: Iterable[UUID]) -> set[frozenset[UUID]]:
    """The parts that joins tie together, by component."""
    parents = {item: item for item in parts}
    for join in joins:
        one, other = (root(parents, side.part.part_id) for side in join.sides)
        parents[one] = other
    found: dict[UUID, set[UUID]] = {}
    for item in parents:
        found.setdefault(root(parents, item), set()).add(item)
    return set(map(frozenset, found.values()))


def components(heads: Heads) -> set[frozenset[UUID]]:
    return {frozenset(p for p, head in heads.items() if head == one) for one in set(heads.values())}


def assert_leads(path: Iterable[ExplainedJoin], one: UUID, other: UUID) -> None:
    """Each join of a path begins where the one before ends."""
    here = one
    for join in path:
        ends = [side.part.part_id for side in join.sides]
        assert here in ends
        (here,) = set(ends) - {here}
    assert here == other


async def assert_explained(reader: Reader, heads: Heads) -> list[ExplainedJoin]:
    """Joins and paths explain exactly these profiles. Returns all of them."""
    listed = [join for head in sorted(set(heads.values())) for join in await reader.joins(head)]
    assert tied_together(listed, heads) == components(heads)
    seen = [(j.reason, j.identifier, frozenset(side.part.part_id for side in j.sides)) for j in listed]
    assert len(seen) == len(set(seen))
    for one, other in combinations(sorted(heads), 2):
        path = await reader.path(one, other)
        assert (path is not None) == (heads[one] == heads[other])
        if path is not None:
            assert_leads(path, one, other)
            listed += path
    return listed


async def assert_history_explained(services: Services, history: History) -> None:
    note(history)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(history.numbered)
    rows = {row.fragment.fragment_id: row for row in await played.fragments()}
    heads_of: dict[View, Heads] = {
        "own": {item: row.own_id for item, row in rows.items()},
        "proven": {item: row.proven_id for item, row in rows.items()},
    }
    for view, heads in heads_of.items():
        for join in await assert_explained(Reader(services, played.dataset_id, view), heads):
            assert_true(join, rows, view)
    believed = await services.database.fetch(_BELIEVED, played.dataset_id)
    heads = {row["profile_id"]: row["survivor_id"] or row["profile_id"] for row in believed}
    await assert_explained(Reader(services, played.dataset_id, "all"), heads)
    await services.log.reconciler.reconcile_all()
    believed = await services.database.fetch(_BELIEVED, played.dataset_id)
    heads = {row["profile_id"]: row["survivor_id"] or row["profile_id"] for row in believed}
    await assert_explained(Reader(services, played.dataset_id, "all"), heads)


@QUICK
@given(history=histories(is_edited=False))
async def test_explanations_are_true_and_there_are_all(services: Services, history: History) -> None:
    await assert_history_explained(services, history)


@pytest.mark.soak
@settings(QUICK, max_examples=500)
@given(history=histories(is_edited=False, steps_max=36))
async def test_explanations_of_long_histories(services: Services, history: History) -> None:
    await assert_history_explained(services, history)


@QUICK
@given(history=histories(is_edited=False))
async def test_the_strongest_evidence_comes_first(services: Services, history: History) -> None:
    """Of a profile that is read in one chunk, and of evidence that is equal, the oldest."""
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(history.numbered)
    ref, explanations = (
        DatasetRef(played.dataset_id, "explained", played.dataset_id),
        services.profiles.explanations,
    )
    for row in await played.fragments():
        part = await explanations.find(ref, str(row.fragment.fragment_id), "proven")
        assert part is not None
        page = await explanations.joins(ref, part, limit=200)
        assert page.next_position is None
        ranks = [(_ORDER.index(join.evidence), join.since) for join in page.joins]
        assert all(earlier <= later for earlier, later in pairwise(ranks))
