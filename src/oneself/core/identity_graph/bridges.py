"""Bridges: what an erased fragment held together stays together, as far as its neighbours may be one.

Each pair of neighbours is joined, so that a refused bridge leaves the others as they are. Whether a bridge
counts is for `partition`, as for every join.

Invariants: pure.

Source: docs/concepts/trust.md, "Erasure".
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import product
from uuid import UUID

from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.graph import PersonJoin
from oneself.core.identity_graph.joins import CLAIMANTS_PAIRED_MAX, OLDEST_CLAIMANTS, Join
from oneself.core.identity_graph.partition import Component, Partition
from oneself.core.resolution.components import root


def bridges(gone: Collection[UUID], proven: Partition, joins: Iterable[Join]) -> list[PersonJoin]:
    """The joins of the view `proven` that pass to the neighbours of erased fragments.

    `proven`: who was with whom before. `joins`: all joins that the view may have counted; what they tie since
    then or before needs no bridge.
    """
    tied: dict[tuple[UUID, UUID], int] = {}
    for join in joins:
        pair = _ordered(join.one, join.other)
        tied[pair] = min(join.since, tied.get(pair, join.since))
    components = {proven.components[item].members: proven.components[item] for item in sorted(gone)}
    return [
        PersonJoin(*pair, EvidenceLevel.PROVEN, since, "bridge")
        for component in components.values()
        for pair, since in _passed_on(component, gone)
        if pair not in tied or tied[pair] > since
    ]


def _passed_on(component: Component, gone: Collection[UUID]) -> Iterator[tuple[tuple[UUID, UUID], int]]:
    """The pairs of neighbours, each with the seq of the last join on the way through erased fragments."""
    parents = {item: item for item in component.members if item in gone}
    neighbours = {item: list[UUID]() for item in parents}
    for join in component.joins:
        erased = [root(parents, item) for item in (join.one, join.other) if item in parents]
        if not erased:
            continue
        left = [[item] for item in (join.one, join.other) if item not in parents]
        sides = [neighbours[item] for item in erased] + left
        for one, other in product(*map(_paired, sides)):
            yield _ordered(one, other), join.since
        parents[erased[-1]] = erased[0]
        neighbours[erased[0]] = [item for side in sides for item in side]


def _paired(neighbours: list[UUID]) -> list[UUID]:
    """All of a few neighbours; the oldest of many, as not every two claimants of an identifier are paired."""
    return neighbours if len(neighbours) < CLAIMANTS_PAIRED_MAX else neighbours[:OLDEST_CLAIMANTS]


def _ordered(one: UUID, other: UUID) -> tuple[UUID, UUID]:
    return min(one, other), max(one, other)
