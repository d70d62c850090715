"""What people decide: merges and splits by hand.

Invariants: pure. A merge by hand never brings two users together: the account of one is given up before. A
split never parts one user's own fragments: it takes the user from what it parts from them.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0042-splits-and-merges-by-hand.md.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.graph import IdentityGraph, PersonJoin, Separation
from oneself.core.identity_graph.joins import MANUAL, SAME_USER, user_join


class UnitedSides(msgspec.Struct, frozen=True):
    """Sides of a separation that a person has joined again."""

    separation_id: UUID
    #: The first of them is the one that all are from now on.
    sides: tuple[int, ...]


def numbered(sides: Iterable[Collection[UUID]]) -> dict[UUID, int]:
    """Fragment → the number of its side."""
    return {fragment_id: number for number, side in enumerate(sides) for fragment_id in side}


def merge(
    graph: IdentityGraph, pair: Collection[UUID], members: Sequence[Collection[UUID]], seq: int
) -> tuple[list[PersonJoin], list[UnitedSides]]:
    """Join two profiles, whatever kept them apart.

    `pair`: the fragments that stand for them. `members`: all fragments of each. Returns the join, unless one
    of the pair is gone, and what the merge ended of earlier splits.
    """
    joins = []
    if all(item in graph.fragments for item in pair):
        joins = [PersonJoin(min(pair), max(pair), EvidenceLevel.PROVEN, seq, MANUAL)]
    graph.person_joins += joins
    united = []
    for item in graph.separations.values():
        touched = [item.sides_of(side) for side in members]
        if len(every := touched[0] | touched[1]) > 1 and all(touched):
            united.append(UnitedSides(item.separation_id, tuple(sorted(every))))
    for found in united:
        known = graph.separations[found.separation_id]
        first, others = found.sides[0], set(found.sides)
        now = {key: first if side in others else side for key, side in known.sides.items()}
        graph.separations[found.separation_id] = msgspec.structs.replace(known, sides=now)
    return joins, united


def disown(graph: IdentityGraph, user_id: str, fragment_ids: Iterable[UUID]) -> list[PersonJoin]:
    """Take a user from fragments, because the account is given up: whoever has it begins anew.

    Returns the joins that hold together from now on what the user held together.
    """
    theirs = [item for key in sorted(fragment_ids) if (item := graph.fragments.get(key)) is not None]
    members = [item for item in theirs if item.user_id == user_id]
    hub = graph.own_fragment(user_id) or min(
        members, key=lambda item: (item.began_at, item.fragment_id), default=None
    )
    joins = [
        PersonJoin(
            hub.fragment_id,
            item.fragment_id,
            EvidenceLevel.PROVEN,
            user_join(hub, item, user_id, "proven").since,
            SAME_USER,
        )
        for item in members
        if hub is not None and item.fragment_id != hub.fragment_id
    ]
    graph.person_joins += joins
    graph.own.pop(user_id, None)
    for item in theirs:
        graph.put(_without_user(item, user_id))
    return joins


def split(graph: IdentityGraph, separation: Separation) -> list[PersonJoin]:
    """Keep the sides of a separation apart until a person merges them again.

    Returns the joins by people, and those that erasures left, which it ends.
    """
    sides = separation.sides
    graph.separations[separation.separation_id] = separation
    ended = [item for item in graph.person_joins if _leads_across(item, sides)]
    graph.person_joins = [item for item in graph.person_joins if not _leads_across(item, sides)]
    for fragment_id in sorted(sides):
        _take_user(graph, fragment_id, sides)
    return ended


def _leads_across(join: PersonJoin, sides: Mapping[UUID, int]) -> bool:
    return join.one in sides and join.other in sides and sides[join.one] != sides[join.other]


def _take_user(graph: IdentityGraph, fragment_id: UUID, sides: Mapping[UUID, int]) -> None:
    fragment = graph.fragments.get(fragment_id)
    if fragment is None or fragment.user_id is None:
        return
    own = graph.own.get(fragment.user_id)
    if own is not None and sides.get(own, sides[fragment_id]) != sides[fragment_id]:
        graph.put(_nobodys(fragment))


def _without_user(fragment: Fragment, user_id: str) -> Fragment:
    """The fragment without a user; another one stays."""
    owner = fragment.owner if fragment.owner and fragment.owner.user_id != user_id else None
    reported = fragment.reported if fragment.reported and fragment.reported.user_id != user_id else None
    if owner is None and reported is None:
        return _nobodys(fragment)
    return msgspec.structs.replace(fragment, owner=owner, reported=reported)


def _nobodys(fragment: Fragment) -> Fragment:
    """The fragment without owner and reported user; what it began with proves it to be nobody's any more."""
    return msgspec.structs.replace(fragment, owner=None, reported=None, began_with=frozenset())
