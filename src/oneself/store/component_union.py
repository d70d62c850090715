"""Fragments that join large profiles, without a look at the other fragments of these.

Most evidence is new: a user signs in on one more browser, a server names a known person once more. Then one
fragment that was alone joins a profile that stays as it is. Whatever is not certain to be that simple is
computed by `graph_writer` from all fragments.

Invariants: what is used of a profile is locked: its rows, and the fragments that the joins lead to. Whoever
computes the profile from all fragments locks these as well.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0020-the-identity-graph-in-core.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from uuid import UUID

import msgspec

from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, Tenure
from oneself.core.identity_graph.joins import (
    CLAIMANTS_PAIRED_MAX,
    Join,
    View,
    joins_of_newest,
    user_in,
    user_join,
)
from oneself.core.identity_graph.names import proven_claims
from oneself.core.identity_graph.replay import MEMBERS_RANKED_MAX, Item, Part, StoredPart, gives_way_to_own
from oneself.core.identity_graph.union import unite
from oneself.store.loaded_graph import LoadedGraph, users_of
from oneself.store.own_identity import find_own_identity
from oneself.store.tables.fragment import FragmentRow, StoredView
from oneself.store.tables.view_profile import ViewRow
from oneself.store.transaction import Transaction

#: A profile of no more fragments is computed from all of them.
COMPUTED_MEMBERS_MAX = 100


class Joining(msgspec.Struct, frozen=True):
    """A fragment that joins a profile."""

    fragment: Fragment
    #: The fragments that its joins lead to.
    anchors: frozenset[UUID]
    #: Its identifiers, but for those that many hold.
    tenures: frozenset[Tenure]
    #: Of the view `proven`, by which the fragment is one with the profile.
    join: Join
    #: Of the view `own`; None: it has no owner.
    own_join: Join | None
    #: The fragment that heads the profile in the view `own`, if `own_join` is there.
    own_id: UUID | None

    def join_in(self, view: StoredView) -> Join | None:
        return self.own_join if view == "own" else self.join


class Union(msgspec.Struct, frozen=True):
    """A large profile, and the fragments that join it."""

    joining: tuple[Joining, ...]
    #: The fragment that heads it in the view `proven`, as it is now.
    head: FragmentRow
    #: What it amounts to then in each view, with what it absorbs now.
    views: tuple[ViewRow, ...]

    @property
    def keys(self) -> set[tuple[View, UUID]]:
        """The profiles of views that are written."""
        return {(row.view, row.profile_id) for row in self.views}


class Around(msgspec.Struct, frozen=True):
    """What fragments that join may lead to, as it is stored now."""

    #: By id: users' own fragments, and those with the oldest claims on identifiers.
    rows: Mapping[UUID, FragmentRow]
    #: User → their own fragment.
    hubs: Mapping[str, UUID]
    holders: Mapping[Tenure, tuple[UUID, ...]]
    #: Tenures with more claimants than `holders` lists.
    crowded: frozenset[Tenure]

    def holding(self, tenure: Tenure, besides: UUID) -> list[Fragment]:
        return [self.rows[item].fragment for item in self.holders[tenure] if item != besides]


class BatchComponents:
    """What one batch changes of components."""

    def __init__(
        self,
        transaction: Transaction,
        loaded: LoadedGraph,
        first_seq: int,
        changed: Mapping[UUID, Fragment],
        new_items: Mapping[UUID, list[Item]],
    ) -> None:
        self._transaction = transaction
        self._loaded = loaded
        self._first_seq = first_seq
        self._changed = changed
        self._new_items = new_items
        self._rules = loaded.rules
        #: The profiles that were locked to be written, as they are stored.
        self.stored: dict[tuple[View, UUID], ViewRow] = {}


class ComponentUnions(BatchComponents):
    """The unions of one batch."""

    computed_members_max = COMPUTED_MEMBERS_MAX
    #: What was read before anything was locked.
    around: Around | None = None
    _locked: frozenset[UUID] = frozenset()

    async def find(self, seeds: Collection[UUID]) -> list[Union]:
        """The unions that are certain among fragments whose proven evidence changed."""
        alone = [self._changed[item] for item in sorted(seeds) if self._begins_to_join(self._changed[item])]
        if not alone or len(seeds) >= self._rules.guards.profiles_per_merge_max:
            return []
        self.around = await self._around(alone)
        groups = self._grouped(alone, self.around)
        large = await self._large(groups)
        if not large:
            return []
        await self._lock(large, groups)
        alone = [item for item in alone if not self._is_decided(item.fragment_id)]
        groups = self._grouped(alone, await self._around(alone))
        unions = [await self._union(head, groups[head]) for head in large if head in groups]
        return [union for union in unions if union is not None]

    def _is_decided(self, fragment_id: UUID) -> bool:
        """Whether people or erasures said with whom a fragment is, or is not."""
        return fragment_id in self._loaded.separated or bool(self._loaded.joined_with({fragment_id}))

    def _begins_to_join(self, fragment: Fragment) -> bool:
        """Whether a fragment was without proven evidence, so that nothing joined it, and all of it is new."""
        row = self._loaded.rows.get(fragment.fragment_id)
        proven = proven_claims(fragment)
        return (
            fragment.origin != "user"
            and len(users_of(fragment)) <= 1
            and (row is None or _is_alone(row))
            and all(claim.since >= self._first_seq for claim in proven)
            and not any(claim.tenure.identifier.namespace in self._separating for claim in proven)
        )

    @property
    def _separating(self) -> frozenset[str]:
        return self._rules.guards.separating

    async def _around(self, alone: list[Fragment]) -> Around:
        users = {user for fragment in alone for user in users_of(fragment)}
        tenures = {claim.tenure for fragment in alone for claim in proven_claims(fragment)}
        return await find_around(self._transaction, tenures, users)

    def _grouped(self, alone: list[Fragment], around: Around) -> dict[UUID, list[Joining]]:
        """Head in the view `proven` → the fragments that join its profile."""
        groups: dict[UUID, list[Joining]] = {}
        for fragment in alone:
            joins = self._joins(fragment, around)
            anchors = {item for join in joins for item in (join.one, join.other)} - {fragment.fragment_id}
            heads = {around.rows[item].proven_id for item in anchors}
            if len(heads) == 1 and self._is_last(fragment, anchors, around):
                groups.setdefault(heads.pop(), []).append(_joining(fragment, joins, anchors, around))
        return groups

    def _joins(self, fragment: Fragment, around: Around) -> list[Join]:
        """The joins of a fragment in the view `proven`."""
        guards, user = self._rules.guards, fragment.user_id
        tenures = {claim.tenure for claim in proven_claims(fragment)}
        holders = {tenure: around.holding(tenure, fragment.fragment_id) for tenure in tenures}
        joins = [*joins_of_newest(fragment, holders, around.crowded, guards.matching, guards.priorities)]
        if user is not None and user in around.hubs:
            joins.append(user_join(around.rows[around.hubs[user]].fragment, fragment, user, "proven"))
        return joins

    def _is_last(self, fragment: Fragment, anchors: set[UUID], around: Around) -> bool:
        """Whether the joins of a fragment are judged after all others, and change nothing about these.

        A verified claim is judged earlier, unless its holder is with their user already. With one claimant
        more than can be paired, others might be paired no more.
        """
        rows = [around.rows[item] for item in anchors]
        has_hub = fragment.user_id is None or fragment.user_id in around.hubs
        verifies = any(
            claim.level == EvidenceLevel.VERIFIED and row.fragment.user_id is None
            for row in rows
            for claim in row.fragment.claims
        )
        tenures = {claim.tenure for claim in proven_claims(fragment)} - around.crowded
        is_older = all(max(row.fragment.seq, row.updated_at) < self._first_seq for row in rows)
        return has_hub and is_older and not verifies and not is_filling(fragment, tenures, around)

    async def _large(self, groups: Mapping[UUID, list[Joining]]) -> list[UUID]:
        """The heads of profiles that are too large to be computed from all their fragments."""
        if not groups:
            return []
        fragments = self._transaction.fragments
        members = await fragments.find_some_members("proven", groups.keys(), self.computed_members_max)
        return sorted(head for head, some in members.items() if len(some) > self.computed_members_max)

    async def _lock(self, large: list[UUID], groups: Mapping[UUID, list[Joining]]) -> None:
        joining = [item for head in large for item in groups[head]]
        own = {item.own_id for item in joining if item.own_id is not None}
        self._locked = frozenset(large).union(own, *(item.anchors for item in joining))
        known = {item.fragment.fragment_id for item in joining} & self._loaded.rows.keys()
        self._loaded.add_locked(await self._transaction.fragments.lock(self._locked | known))

    async def _union(self, head: UUID, joining: list[Joining]) -> Union | None:
        own = {item.own_id for item in joining if item.own_id is not None}
        anchors = {anchor for item in joining for anchor in item.anchors}
        if len(own) > 1 or not (own | anchors) <= self._locked or not _is_in_order(joining):
            return None
        views: list[ViewRow] = []
        keys: list[tuple[StoredView, UUID]] = [*(("own", item) for item in own), ("proven", head)]
        for view, profile_id in keys:
            row = await self._united(view, profile_id, joining)
            if row is None:
                return None
            views.append(row)
        return Union(tuple(joining), self._loaded.rows[head], tuple(views))

    async def _united(self, view: StoredView, profile_id: UUID, joining: list[Joining]) -> ViewRow | None:
        """The stored row of a view after the fragments joined; None: it is not that simple."""
        transaction, rules = self._transaction, self._rules
        joins = [(join, item.fragment) for item in joining if (join := item.join_in(view)) is not None]
        rows = await transaction.view_profiles.lock_alone({(view, profile_id)})
        if not rows or not self._is_steady(rows[0], joins):
            return None
        stored = self.stored[view, profile_id] = rows[0]
        fragments = [fragment for _, fragment in joins]
        items = [*self._items_of(stored, fragments)]
        component = await self._stored_part(view, stored, joins, items)
        activity = await self._activity(component, joins)
        found = await find_own_identity(transaction, rows, items, self._changed)
        own = found.get(stored.user_id, frozenset())
        items = [(writer, item) for writer, item in items if not gives_way_to_own(item, writer, own)]
        part = unite(
            [component, *fragments],
            [join for join, _ in joins],
            items,
            view,
            rules.fold.values,
            lambda *key: activity.get(key, 0),
        )
        if part is None or part.head != profile_id:
            return None
        began_at = min(stored.created_at, *(fragment.began_at for _, fragment in joins))
        return _advanced(stored, part, began_at, rules.reasons)

    async def _stored_part(
        self,
        view: StoredView,
        stored: ViewRow,
        joins: list[tuple[Join, Fragment]],
        items: list[tuple[Fragment, Item]],
    ) -> StoredPart:
        """The profile that fragments join, with the members that joins lead to or that are written to."""
        some = await self._transaction.fragments.find_some_members(
            view, [stored.profile_id], MEMBERS_RANKED_MAX
        )
        alone = {fragment.fragment_id for _, fragment in joins}
        tied = {item for join, _ in joins for item in (join.one, join.other)}
        tied |= {writer.fragment_id for writer, _ in items}
        members = tuple(dict.fromkeys((*some[stored.profile_id], *sorted(tied - alone))))
        part = Part(stored.profile_id, stored.record, stored.choices, (), stored.updated_at)
        return StoredPart(part, stored.created_at, stored.user_id is not None, members)

    def _is_steady(self, stored: ViewRow, joins: list[tuple[Join, Fragment]]) -> bool:
        """Whether a profile survives under its id, and everything in it is older than the batch."""
        return (
            stored.head_id == stored.profile_id
            and stored.updated_at < self._first_seq
            and all(user_in(item, stored.view) in (None, stored.user_id) for _, item in joins)
        )

    async def _activity(
        self, component: StoredPart, joins: list[tuple[Join, Fragment]]
    ) -> Mapping[tuple[UUID, int], int]:
        """The activity that may decide which one survives."""
        asked = {(fragment.fragment_id, join.since) for join, fragment in joins}
        if len(component.members) <= MEMBERS_RANKED_MAX:
            asked |= {(item, join.since) for item in component.members for join, _ in joins}
        return await self._transaction.fragments.find_activity(asked)

    def _items_of(self, stored: ViewRow, joining: list[Fragment]) -> Iterator[tuple[Fragment, Item]]:
        """All that the joining fragments have, and what the batch wrote to others of the profile."""
        alone = {fragment.fragment_id for fragment in joining}
        for fragment in joining:
            yield from ((fragment, item) for item in visible_items(fragment))
        for fragment_id, items in self._new_items.items():
            row, fragment = self._loaded.rows.get(fragment_id), self._changed[fragment_id]
            is_member = row is not None and (stored.view, stored.profile_id) in row.view_keys
            if is_member and fragment_id not in alone:
                yield from ((fragment, item) for item in items)


async def find_around(
    transaction: Transaction, tenures: Collection[Tenure], users: Collection[str]
) -> Around:
    """What claims on identifiers, and users, may lead to."""
    fragments = transaction.fragments
    oldest = await fragments.find_oldest_claimants(tenures, CLAIMANTS_PAIRED_MAX + 1)
    named = {item for found in oldest.values() for item in found}
    rows = {row.fragment.fragment_id: row for row in await fragments.find(named, users)}
    hubs = {user: item for item, row in rows.items() if (user := row.fragment.own_user) is not None}
    holders = {tenure: tuple(item for item in found if item in rows) for tenure, found in oldest.items()}
    crowded = frozenset(t for t, found in oldest.items() if len(found) > CLAIMANTS_PAIRED_MAX)
    return Around(rows, hubs, holders, crowded)


def is_filling(fragment: Fragment, tenures: Collection[Tenure], around: Around) -> bool:
    """Whether a fragment is one claimant more than can be paired, so that others might be paired no more."""
    return any(
        sum(
            claim.tenure == tenure
            for item in (*around.holding(tenure, fragment.fragment_id), fragment)
            for claim in proven_claims(item)
        )
        > CLAIMANTS_PAIRED_MAX
        for tenure in tenures
    )


def visible_items(fragment: Fragment) -> list[Item]:
    """The writes and choices of a fragment that the views `own` and `proven` show."""
    return [*(item for item in fragment.writes if not item.is_asserted_identity), *fragment.choices]


def _is_alone(row: FragmentRow) -> bool:
    """Whether a stored fragment had no proven evidence, so that it is a profile by itself."""
    fragment = row.fragment
    has_evidence = users_of(fragment) or proven_claims(fragment)
    return not has_evidence and row.own_id == row.proven_id == fragment.fragment_id


def _joining(fragment: Fragment, joins: list[Join], anchors: set[UUID], around: Around) -> Joining:
    """A fragment with the oldest of its joins: the others are spare."""
    own_join = own_id = None
    if fragment.owner is not None:
        hub = around.rows[around.hubs[fragment.owner.user_id]]
        own_join, own_id = user_join(hub.fragment, fragment, fragment.owner.user_id, "own"), hub.own_id
    tenures = frozenset(claim.tenure for claim in proven_claims(fragment)) - around.crowded
    join = min(joins, key=lambda item: item.age)
    return Joining(fragment, frozenset(anchors), tenures, join, own_join, own_id)


def _is_in_order(joining: list[Joining]) -> bool:
    """Whether each fragment joins since an observation of its own, and no two could join each other."""
    views: tuple[StoredView, ...] = ("own", "proven")
    for view in views:
        moments = [join.since for item in joining if (join := item.join_in(view)) is not None]
        if len(set(moments)) < len(moments):
            return False
    named = [tenure for item in joining for tenure in item.tenures]
    return len(set(named)) == len(named)


def _advanced(stored: ViewRow, part: Part, began_at: int, reasons: Mapping[str, str]) -> ViewRow:
    named = (
        msgspec.structs.replace(item, reason=reasons.get(item.reason, item.reason)) for item in part.absorbed
    )
    return msgspec.structs.replace(
        stored,
        created_at=began_at,
        updated_at=part.version,
        record=part.record,
        choices=dict(part.choices),
        absorbed=tuple(named),
    )
