"""Erasure: fragments go for good, and what they held together stays together as far as it may.

Invariants: nothing else changes. The names of what was erased are for tombstones, which keep out what is
dated before the erasure.

Source: docs/concepts/trust.md, "Erasure".
"""

from collections.abc import Iterable
from itertools import combinations
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.graph import IdentityGraph, PersonJoin
from oneself.core.identity_graph.joins import Join, JoinStrength
from oneself.core.identity_graph.partition import Partition


class ErasedNames(msgspec.Struct, frozen=True):
    """What names the erased fragments."""

    devices: frozenset[Identifier]
    users: frozenset[str]
    #: Verified identifiers.
    identifiers: frozenset[Identifier]
    #: The identifiers of a server's fragment, all of them together.
    exact: frozenset[frozenset[Identifier]]


def erase(
    graph: IdentityGraph, fragment_ids: Iterable[UUID], proven: Partition, every: Partition, seq: int
) -> ErasedNames:
    """Erase fragments; returns the names for tombstones.

    Joins through them pass to their neighbours, pair by pair. `proven`, `every`: the partitions of the views
    `proven` and `all` before the erasure.
    """
    gone = frozenset(fragment_ids)
    bridges = [
        *_bridges(gone, proven, JoinStrength.PROVEN),
        *_bridges(gone, every, JoinStrength.ASSERTED),
    ]
    names = _names(graph.fragments[item] for item in gone)
    for fragment_id in gone:
        del graph.fragments[fragment_id]
    for user, path in [key for key in graph.verified if key[0] in names.users]:
        for identifier in graph.verified.pop((user, path)).identifiers:
            graph.transfer(identifier, seq)
    graph.person_joins = [
        item for item in (*graph.person_joins, *bridges) if gone.isdisjoint((item.one, item.other))
    ]
    graph.device_ties = [item for item in graph.device_ties if item.fragment_id not in gone]
    return names


def _bridges(gone: frozenset[UUID], partition: Partition, weakest: JoinStrength) -> Iterable[PersonJoin]:
    components = {partition.components[item].members: partition.components[item] for item in gone}
    for component in components.values():
        ends = [end for join in component.joins if (end := _end(join, gone)) is not None]
        for (one, first), (other, second) in combinations(ends, 2):
            if one != other:
                strength = max(first.strength, second.strength, weakest)
                level = EvidenceLevel.ASSERTED
                if strength < JoinStrength.ASSERTED:
                    level = EvidenceLevel.PROVEN
                since = max(first.since, second.since)
                yield PersonJoin(min(one, other), max(one, other), level, since, "bridge")


def _end(join: Join, gone: frozenset[UUID]) -> tuple[UUID, Join] | None:
    """The neighbour that a join ties to an erased fragment; None: both stay, or both go."""
    if (join.one in gone) == (join.other in gone):
        return None
    return (join.other if join.one in gone else join.one), join


def _names(fragments: Iterable[Fragment]) -> ErasedNames:
    devices: set[Identifier] = set()
    users: set[str] = set()
    identifiers: set[Identifier] = set()
    exact: set[frozenset[Identifier]] = set()
    for fragment in fragments:
        if fragment.browser is not None:
            devices.add(fragment.browser)
        if fragment.origin == "user" and fragment.user_id is not None:
            users.add(fragment.user_id)
        identifiers.update(
            claim.tenure.identifier for claim in fragment.claims if claim.level == EvidenceLevel.VERIFIED
        )
        if fragment.began_with:
            exact.add(frozenset(tenure.identifier for tenure in fragment.began_with))
    return ErasedNames(frozenset(devices), frozenset(users), frozenset(identifiers), frozenset(exact))
