"""The fragments of one profile in a view, locked by everything that may lead to it.

Invariants: read again after it was locked; whoever changes the profile meanwhile is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.joins import View
from oneself.errors import Conflict, Contended
from oneself.service.log.affected import Affected
from oneself.service.log.believed_profiles import find_unified_ids
from oneself.service.log.reconciler import Reconciler
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Transaction
from oneself.store.wide_lock import WideLock

#: How long the transaction of a decision may be idle while it is computed who is with whom, and what that
#: amounts to. If the process ends meanwhile, its connection ends, and the transaction with it.
IDLE_MAX_S = 600
#: How often very large profiles are locked again that grow meanwhile; hardly anything leads to them any more.
LOCKED_AGAIN_MAX = 3


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
    def locked(self) -> tuple[object, ...]:
        """What is locked before they are read once more."""
        return self.reach.locked, self.rows.keys()

    @property
    def first(self) -> UUID:
        """The fragment that stands for the profile: the one with its id, else the oldest."""
        if self.survivor_id in self.rows:
            return self.survivor_id
        return min(self.fragments, key=lambda item: (item.began_at, item.fragment_id)).fragment_id


async def find_members(
    transaction: Transaction,
    reconciler: Reconciler,
    wide_lock: WideLock,
    survivor_ids: Sequence[UUID],
    view: View,
) -> list[Members]:
    """The fragments of profiles, with their names and their profiles of the view `all` locked.

    Raises Contended if they change meanwhile, ProfileMoved, TooLarge, Conflict `shared_browser`.
    """
    await transaction.allow_idle(IDLE_MAX_S)
    before = [await _find(transaction, reconciler, item, view) for item in survivor_ids]
    for _ in range(LOCKED_AGAIN_MAX):
        await _lock(transaction, wide_lock, before)
        reaches = [item.reach for item in before]
        found = [await _find(transaction, reconciler, item, view, *reaches) for item in survivor_ids]
        if [item.locked for item in found] == [item.locked for item in before]:
            return found
        if not transaction.has_wide_lock:
            break
        before = found
    raise Contended("The profile was changed meanwhile.")


async def _lock(transaction: Transaction, wide_lock: WideLock, members: Sequence[Members]) -> None:
    names = frozenset[Identifier]().union(*(item.reach.names for item in members))
    profile_ids = frozenset[UUID]().union(*(item.reach.profile_ids for item in members))
    fragment_ids = frozenset[UUID]().union(*(item.reach.rows for item in members))
    await wide_lock.lock(transaction, names, profile_ids | fragment_ids)
    await transaction.profiles.lock_survivors(profile_ids)


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
