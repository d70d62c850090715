"""Which recorded refusals of the view `all` were known at an instant of the past.

Where people were folded again since, the log has the refusals of today, each at the observation whose join it
refuses. What refuses it may have begun later: a split, a sign-in, a proof.

Invariants: pure.

Source: docs/decisions/0047-as-of.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.partition import Guards
from oneself.core.resolution.components import are_apart
from oneself.store.tables.explanation import RefusalRow


def refused_then(
    recorded: Iterable[RefusalRow],
    graph: IdentityGraph,
    sides: Sequence[Collection[UUID]],
    guards: Guards,
) -> list[RefusalRow]:
    """The refusals whose cause was there.

    `graph`, `guards`: as of then. `sides`: the fragments of the two.
    """
    members = [[graph.fragments[item] for item in side] for side in sides]
    return [row for row in recorded if _was_there(row, graph, sides, members, guards)]


def _was_there(
    row: RefusalRow,
    graph: IdentityGraph,
    sides: Sequence[Collection[UUID]],
    members: Sequence[Sequence[Fragment]],
    guards: Guards,
) -> bool:
    if row.profile_id == row.other_id:
        return True
    match row.code:
        case "split_kept_apart":
            parted = ([item.sides_of(side) for side in sides] for item in graph.separations.values())
            return any(are_apart(*numbers) for numbers in parted)
        case "different_user":
            return all(any(item.user_id for item in side) for side in members)
        case "untrusted_evidence":
            return all(any(map(_is_protected, side)) for side in members)
        case "conflicting_identity":
            return row.namespace in guards.separating or row.namespace in guards.separated
        case _:
            return True


def _is_protected(fragment: Fragment) -> bool:
    proven = (claim.level > EvidenceLevel.ASSERTED for claim in fragment.claims)
    return fragment.user_id is not None or any(proven)
