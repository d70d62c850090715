"""The fragments of one profile in a view, locked by everything that may lead to it.

Invariants: read again after it was locked; whoever changes the profile meanwhile is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import msgspec

from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.joins import View
from oneself.errors import Conflict, Contended
from oneself.service.log.affected import Affected
from oneself.service.log.believed_profiles import find_unified_ids
from oneself.service.log.reconciler import Reconciler
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Transaction

#: How long the transaction of a decision may be idle while it is computed who is with whom, and what that
#: amounts to. If the process ends meanwhile, its connection ends, and the transaction with it.
IDLE_MAX_S = 600


class ProfileMoved(Exception):
    """The id heads no profile of the view any more: another decision or a proof moved it."""


class Members(msgspec.Struct, frozen=True):
    """The fragments of a profile."""

    survivor_id: UUID
    view: View
    rows: Mapping[UUID, FragmentRow]
    #: What surrounds them in the view `all`.
    reach: Affected

    @property
    def fragments(self) -> list[Fragment]:
        return [row.fragment for row in self.rows.values()]

    @property
    def fragment_ids(self) -> frozenset[UUID]:
        return frozenset(self.rows)

    @property
    def first(self) -> UUID:
        """The fragment that stands for the profile: the one with its id, else the oldest."""
        if self.survivor_id in self.rows:
            return self.survivor_id
        return min(self.fragments, key=lambda item: (item.began_at, item.fragment_id)).fragment_id


async def find_members(
    transaction: Transaction, reconciler: Reconciler, survivor_id: UUID, view: View
) -> Members:
    """The fragments of a profile, with its names and its profiles of the view `all` locked.

    Raises Contended if it changes meanwhile, ProfileMoved, TooLarge, Conflict `shared_browser`.
    """
    await transaction.allow_idle(IDLE_MAX_S)
    before = await _find(transaction, reconciler, survivor_id, view)
    await before.reach.lock(transaction)
    members = await _find(transaction, reconciler, survivor_id, view, before.reach)
    if members.reach.locked != before.reach.locked or members.rows.keys() != before.rows.keys():
        raise Contended("The profile was changed meanwhile.")
    return members


async def _find(
    transaction: Transaction, reconciler: Reconciler, survivor_id: UUID, view: View, *known: Affected
) -> Members:
    fragments = transaction.fragments
    if view == "all":
        members = await fragments.find_believed(await find_unified_ids(transaction, [survivor_id]))
    else:
        members = await fragments.find_member_ids(view, survivor_id)
    reach = await reconciler.find_reach(transaction, members, known)
    rows = {item: row for item, row in reach.rows.items() if item in members}
    if not rows:
        await _refuse_shared(transaction, survivor_id, view)
        raise ProfileMoved
    return Members(survivor_id, view, rows, reach)


async def _refuse_shared(transaction: Transaction, survivor_id: UUID, view: View) -> None:
    """Raise Conflict if all that a profile of the view `all` has was said by a browser of another one.

    Where `merged_anonymous` is `fresh`, the words of one browser can be of several profiles.
    """
    if view != "all":
        return
    attached = await transaction.log.find_attached(await find_unified_ids(transaction, [survivor_id]))
    believed = await transaction.fragments.find_believed_of({fragment_id for fragment_id, _ in attached})
    if believed:
        raise Conflict(
            "What this profile has was said by a browser whose first words belong to another profile, and a "
            f"browser is one piece. Split or merge that one: {min(believed.values())}.",
            code="shared_browser",
        )
