"""What people decide: merges and splits by hand.

Invariants: a merge by hand never brings two users together. A split never parts one user's own fragments: it
takes the user from what it parts from them.

Source: docs/concepts/trust.md, "Joins".
"""

from uuid import UUID

import msgspec

from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.graph import IdentityGraph, PersonJoin, Separation
from oneself.core.identity_graph.partition import Partition


def merge(graph: IdentityGraph, one: UUID, other: UUID, proven: Partition, seq: int) -> bool:
    """Join two profiles, whatever kept them apart; False if each has a user of its own."""
    here, there = proven.components[one], proven.components[other]
    if len({here.user_id, there.user_id} - {None}) > 1:
        return False
    graph.person_joins.append(PersonJoin(one, other, EvidenceLevel.PROVEN, seq, "manual"))
    graph.separations = [item for item in graph.separations if not item.parts(here.members, there.members)]
    return True


def split(graph: IdentityGraph, fragment_ids: frozenset[UUID], partition: Partition, seq: int) -> None:
    """Take fragments out of the profiles that they belong to in a view.

    They stay apart from the rest until a person merges them again.
    """
    members = {item for fragment_id in fragment_ids for item in partition.components[fragment_id].members}
    rest = frozenset(members - fragment_ids)
    graph.separations.append(Separation(fragment_ids, rest, seq))
    graph.person_joins = [
        item
        for item in graph.person_joins
        if not ({item.one, item.other} & fragment_ids and {item.one, item.other} & rest)
    ]
    for fragment_id in sorted(members):
        _take_user(graph, fragment_id, fragment_ids, members)


def _take_user(graph: IdentityGraph, fragment_id: UUID, parted: frozenset[UUID], members: set[UUID]) -> None:
    fragment = graph.fragments[fragment_id]
    own = graph.own.get(fragment.user_id) if fragment.user_id is not None else None
    if own in members and (fragment_id in parted) != (own in parted):
        graph.put(msgspec.structs.replace(fragment, owner=None, reported=None, began_with=frozenset()))
