"""Unions: fragments join a component that is stored, and nobody looks at its other fragments.

A join that comes last in order is one more step of the replay: the stored part absorbs what a fragment
amounts to alone, whatever the number of fragments (docs/concepts/trust.md, "Views").

Invariants: pure. The result is that of a replay of all fragments, or None.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec

from oneself.core.identity_graph.fragment import ChoiceWrite, Fragment, Write
from oneself.core.identity_graph.joins import Join, View
from oneself.core.identity_graph.replay import (
    MEMBERS_RANKED_MAX,
    ActiveBefore,
    Part,
    ReplayRules,
    Standing,
    absorb,
    single,
    standing_alone,
    with_item,
)

Item = Write | ChoiceWrite


class StoredComponent(msgspec.Struct, frozen=True):
    """A component of two or more fragments as a view stores it."""

    part: Part
    #: The seq of its first observation.
    began_at: int
    has_user: bool
    #: Its fragments; of more than `MEMBERS_RANKED_MAX`, some.
    members: Collection[UUID]


def unite(
    stored: StoredComponent,
    joins: Sequence[tuple[Join, Fragment]],
    items: Sequence[tuple[Fragment, Item]],
    view: View,
    rules: ReplayRules,
    active_before: ActiveBefore,
) -> Part | None:
    """What the component amounts to after fragments joined it; None: another one would survive.

    `joins`: each with the fragment that it brings, at most one since each observation. `items`: everything
    that these fragments have, and what the batch wrote to others of the component.
    """
    growing = _GrowingComponent(stored, view, rules, active_before)
    alone = {fragment.fragment_id: single(fragment) for _, fragment in joins}
    steps: list[tuple[int, bool, Fragment, Item | Join]] = [
        *((item.seq, False, fragment, item) for fragment, item in items),
        *((join.since, True, fragment, join) for join, fragment in joins),
    ]
    # As in a replay, in one observation writes go first.
    for _, _, fragment, step in sorted(steps, key=lambda item: (*item[:2], item[2].fragment_id)):
        if isinstance(step, Join):
            if not growing.absorb(fragment, alone.pop(fragment.fragment_id), step):
                return None
        elif fragment.fragment_id in alone:
            part = alone[fragment.fragment_id]
            alone[fragment.fragment_id] = with_item(part, step, fragment, view, rules)
        else:
            growing.part = with_item(growing.part, step, fragment, view, rules)
    return growing.part


class _GrowingComponent:
    """A component while fragments join it."""

    def __init__(
        self, stored: StoredComponent, view: View, rules: ReplayRules, active_before: ActiveBefore
    ) -> None:
        self.part = stored.part
        self._began_at = stored.began_at
        self._has_user = stored.has_user
        self._members = list(stored.members)
        self._view = view
        self._rules = rules
        self._active_before = active_before

    def absorb(self, fragment: Fragment, alone: Part, join: Join) -> bool:
        """Join a fragment; False if it would survive."""
        mine = self._standing(join.since)
        theirs = standing_alone(fragment, self._view, join.since, self._active_before)
        if (theirs.rank, alone.head) < (mine.rank, self.part.head):
            return False
        self.part = absorb(self.part, alone, (mine, theirs), join, self._rules)
        self._members.append(fragment.fragment_id)
        self._began_at = min(self._began_at, fragment.began_at)
        return True

    def _standing(self, since: int) -> Standing:
        """Two fragments that nothing but an identifier joins are named by it."""
        ranked = self._members if len(self._members) <= MEMBERS_RANKED_MAX else []
        return Standing(
            began_at=self._began_at,
            begins=False,
            is_created=False,
            has_user=self._has_user,
            is_named=True,
            active_at=max((self._active_before(item, since) for item in ranked), default=0),
        )
