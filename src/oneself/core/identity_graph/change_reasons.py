"""Why profiles become one, or come apart, when who is with whom is computed again.

    merged   the join that ties the profile to the one that it is part of now
    parted   what refuses a join that held it together; nobody says so if the join itself has ended

Invariants: pure.

Source: docs/guides/change-feed.md.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from oneself.core.identity_graph.joins import MANUAL
from oneself.core.identity_graph.partition import Component, RefusedJoin


def merge_reason(component: Component, head: UUID, members: Collection[UUID]) -> str | None:
    """What the oldest join hangs on that ties a former profile to others; None: nothing ties it.

    `head`, `members`: of the profile of before. If it had all fragments of the component already, and another
    one heads it now, the oldest join of its head says why the two are one.
    """
    outwards = (join for join in component.joins if (join.one in members) != (join.other in members))
    of_head = (join for join in component.joins if head in (join.one, join.other))
    join = next(outwards, None) or next(of_head, None) or next(iter(component.joins), None)
    return None if join is None else join.reason


def split_reason(refused: Iterable[RefusedJoin], members: Collection[UUID]) -> str | None:
    """Why a former profile came apart: a person parted it, or a join of two of its fragments is refused.

    None: no join of them is refused.
    """
    codes = [item.code for item in refused if item.join.one in members and item.join.other in members]
    if "split_kept_apart" in codes:
        return MANUAL
    return codes[0] if codes else None
