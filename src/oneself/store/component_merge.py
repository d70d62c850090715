"""Large profiles that become one, without a look at their fragments.

One fragment brings new evidence: a server names what two profiles hold, or says of a user what another
profile holds, or a user verifies the address of one. Then stored rows absorb each other, and one statement
points the fragments of those that were absorbed at the survivor. Whatever is not certain to be that simple is
computed by `graph_writer` from all fragments.

The profiles that become one have one user at most, and at most one of them has values of a separating
namespace. So no join between them is refused, whatever the order, and none to others is admitted that was
not.

Invariants: what is used is locked, as for `component_union`: the rows of the profiles, the fragments that
head them, and those that the joins lead to.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0031-merges-of-large-profiles.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from uuid import UUID

import msgspec

from oneself.core.identity_graph.evidence_changes import begun_claims, new_claims
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim
from oneself.core.identity_graph.joins import Join, View, joins_of_newest, user_in, user_join
from oneself.core.identity_graph.names import proven_claims
from oneself.core.identity_graph.replay import (
    MEMBERS_RANKED_MAX,
    AbsorbedPart,
    Item,
    Part,
    StoredPart,
    gives_way_to_own,
    own_identity,
)
from oneself.core.identity_graph.union import unite, without_hidden
from oneself.core.values.record import Path
from oneself.store.component_union import (
    Around,
    BatchComponents,
    find_around,
    is_filling,
    visible_items,
)
from oneself.store.loaded_graph import users_of
from oneself.store.tables.fragment import FragmentRow, StoredView
from oneself.store.tables.view_profile import ViewRow

#: A batch that gives more fragments a user is computed.
GAINED_MAX = 20
_STORED: tuple[StoredView, ...] = ("own", "proven")
#: How many names the path of an attribute has that is one value of a profile.
SCOPE_AND_ATTRIBUTE = 2

_StoredRows = Mapping[tuple[View, UUID], ViewRow]


class _OwnIdentity(msgspec.Struct, frozen=True):
    """The identity attributes that others do not show beside a user's own fragment."""

    paths: frozenset[Path] = frozenset()
    #: View → the fragment that heads the profile which they hide nothing of any more.
    heads: Mapping[View, UUID] = {}


class ComponentMerge(msgspec.Struct, frozen=True):
    """Profiles of the stored views that become one in each."""

    #: The fragments whose evidence changed.
    seeds: frozenset[UUID]
    #: View → what the profiles become.
    rows: Mapping[StoredView, ViewRow]
    #: View → the fragments that headed them before.
    heads: Mapping[StoredView, frozenset[UUID]]

    @property
    def keys(self) -> set[tuple[StoredView, UUID]]:
        """The profiles that were there before, and those that are there now."""
        return {(view, head) for view, heads in self.heads.items() for head in heads}

    def head_now(self, view: StoredView, head: UUID) -> UUID:
        """The fragment that heads a profile now which this one headed before."""
        return self.rows[view].profile_id if head in self.heads.get(view, ()) else head


class _Evidence(msgspec.Struct, frozen=True):
    """What a batch changed of who is with whom."""

    #: The fragment with new claims, and these.
    bringer: Fragment | None
    claims: tuple[FragmentClaim, ...]
    #: The user whose fragments there are more of, and the user's own one.
    user: str | None
    hub: Fragment | None
    #: The fragments that got the user.
    gained: tuple[Fragment, ...]
    #: Whether the bringer hides other identity attributes than before of what others say.
    hides_others: bool

    @property
    def fragments(self) -> tuple[Fragment, ...]:
        """Those whose evidence is new."""
        return (*self.gained, *([] if self.bringer is None else [self.bringer]))

    def user_joins(self, view: View) -> Iterator[Join]:
        """The joins of the user's new fragments."""
        for item in self.fragments:
            user = user_in(item, view)
            if self.hub is not None and item is not self.hub and user is not None:
                yield user_join(self.hub, item, user, view)


class _Joined(msgspec.Struct, frozen=True):
    """The new joins, and the profiles that they tie."""

    joins: Mapping[StoredView, tuple[Join, ...]]
    #: View → the fragments that head the profiles.
    heads: Mapping[StoredView, frozenset[UUID]]
    #: View → of fragments that joins lead to, or that were written to: what heads their profiles.
    head_of: Mapping[StoredView, Mapping[UUID, UUID]]

    @property
    def fragment_ids(self) -> set[UUID]:
        """Everything that has to be locked."""
        tied = {item for joins in self.joins.values() for join in joins for item in (join.one, join.other)}
        return tied.union(*self.heads.values())


class ComponentMerges(BatchComponents):
    """The merge of one batch."""

    async def find(
        self, seeds: Collection[UUID], computed_members_max: int, around: Around | None = None
    ) -> ComponentMerge | None:
        """The merge of large profiles that is certain to be all that a batch changes of who is with whom.

        `around`: what has been read of what claims lead to.
        """
        is_computed = self._loaded.new_joins or self._loaded.reviewed
        evidence = None if is_computed else self._evidence(seeds)
        joined = None if evidence is None else await self._joined(evidence, around)
        if evidence is None or joined is None or not any(joined.joins.values()):
            return None
        fragments = self._transaction.fragments
        some = await fragments.find_some_members("proven", joined.heads["proven"], computed_members_max)
        if all(len(members) <= computed_members_max for members in some.values()):
            return None
        await self._lock(joined)
        again = await self._joined(evidence)
        is_same = again is not None and again.fragment_ids <= joined.fragment_ids
        return await self._merge(evidence, again) if again is not None and is_same else None

    def _evidence(self, seeds: Collection[UUID]) -> _Evidence | None:
        """The change of evidence, if it is of one fragment and of what is one user's from now on."""
        gained: list[Fragment] = []
        bringers: list[Fragment] = []
        for item in sorted(seeds):
            fragment = self._changed[item]
            (gained if self._only_gets_user(fragment) else bringers).append(fragment)
            if len(bringers) > 1 or len(gained) > GAINED_MAX:
                return None
        users = {user for item in gained for user in users_of(item)}
        bringer = next(iter(bringers), None)
        before = None if bringer is None else self._loaded.before(bringer.fragment_id)
        if bringer is not None and (before is None or bringer.own_user is not None):
            users |= users_of(bringer)
        claims = () if bringer is None else new_claims(before, bringer)
        if len(users) > 1 or (bringer is not None and not self._only_brings(bringer, before, claims)):
            return None
        user = next(iter(users), None)
        hub = None if user is None else self._loaded.graph.own_fragment(user)
        hides_others = bool(before and bringer and own_identity((before,)) != own_identity((bringer,)))
        has_hub = user is None or hub is not None
        return _Evidence(bringer, claims, user, hub, tuple(gained), hides_others) if has_hub else None

    def _only_gets_user(self, fragment: Fragment) -> bool:
        """Whether nothing is new of a fragment but its user. Choices in it would become the user's."""
        before = self._loaded.before(fragment.fragment_id)
        if before is None:
            return fragment.own_user is not None and not proven_claims(fragment)
        return (
            not users_of(before)
            and (fragment.owner is None) != (fragment.reported is None)
            and proven_claims(before) == proven_claims(fragment)
            and not fragment.choices
        )

    def _only_brings(
        self, bringer: Fragment, before: Fragment | None, claims: tuple[FragmentClaim, ...]
    ) -> bool:
        """Whether claims of this batch are all that is new, on what the fragment never held before."""
        is_same_user = before is not None and (before.owner, before.reported) == (
            bringer.owner,
            bringer.reported,
        )
        is_new = before is None and bringer.reported is None
        held = [claim.tenure for claim in proven_claims(bringer)]
        separating = self._rules.guards.separating
        return (
            (is_same_user or is_new)
            and begun_claims(before) <= begun_claims(bringer)
            and bool(claims)
            and all(
                claim.since >= self._first_seq
                and claim.tenure.identifier.namespace not in separating
                and held.count(claim.tenure) == 1
                for claim in claims
            )
        )

    async def _joined(self, evidence: _Evidence, around: Around | None = None) -> _Joined | None:
        """The new joins; None: they may change others, or lead to what is as new."""
        tenures = {claim.tenure for claim in evidence.claims}
        if around is None or not tenures <= around.holders.keys():
            around = await find_around(self._transaction, tenures, ())
        by_claims = self._joins_by_claims(evidence, around)
        if by_claims is None:
            return None
        tied = {item for join in by_claims for item in (join.one, join.other)} & around.rows.keys()
        rows = {item: around.rows[item] for item in tied}
        if any(max(row.fragment.seq, row.updated_at) >= self._first_seq for row in rows.values()):
            return None
        hub = None if evidence.hub is None else evidence.hub.fragment_id
        rows |= {item: row for item, row in self._loaded.rows.items() if item in self._changed or item == hub}
        own, proven = (tuple(evidence.user_joins(view)) for view in _STORED)
        views: dict[StoredView, tuple[Join, ...]] = {"proven": (*proven, *by_claims)}
        return _joined_by(evidence, views | ({"own": own} if own else {}), rows)

    def _joins_by_claims(self, evidence: _Evidence, around: Around) -> list[Join] | None:
        """The joins of the fragment with new claims; None: others might be joined no more."""
        bringer, guards = evidence.bringer, self._rules.guards
        if bringer is None:
            return []
        tenures = {claim.tenure for claim in evidence.claims}
        if is_filling(bringer, tenures - around.crowded, around):
            return None
        holders = {tenure: around.holding(tenure, bringer.fragment_id) for tenure in tenures}
        found = joins_of_newest(bringer, holders, around.crowded, guards.matching, guards.priorities)
        return [join for join in found if join.since >= self._first_seq]

    async def _lock(self, joined: _Joined) -> None:
        self._loaded.add_locked(await self._transaction.fragments.lock(joined.fragment_ids))

    async def _merge(self, evidence: _Evidence, joined: _Joined) -> ComponentMerge | None:
        """What becomes of the profiles in each view; None: it is not that simple."""
        keys = {(view, head) for view, heads in joined.heads.items() for head in heads}
        found = await self._transaction.view_profiles.lock(keys)
        stored: dict[tuple[View, UUID], ViewRow] = {(row.view, row.profile_id): row for row in found}
        self.stored |= stored
        users = self._users_of(evidence, joined, stored)
        own = await self._own_identity(users)
        if own is None or not await self._are_compatible(evidence, joined, users, stored):
            return None
        rows: dict[StoredView, ViewRow] = {}
        for view in joined.heads:
            row = await self._united(view, joined, stored, own, users)
            if row is None:
                return None
            rows[view] = row
        merge = ComponentMerge(frozenset(item.fragment_id for item in evidence.fragments), rows, joined.heads)
        return merge if self._survives_in_own(merge) else None

    def _users_of(self, evidence: _Evidence, joined: _Joined, stored: _StoredRows) -> set[str]:
        """The users of the profiles."""
        users = {row.user_id for row in stored.values() if row.user_id is not None}
        alone = [self._now(head) for head in joined.heads["proven"] if ("proven", head) not in stored]
        return users.union(*(users_of(item) for item in (*alone, *evidence.fragments)))

    async def _own_identity(self, users: set[str]) -> _OwnIdentity | None:
        """What stands in the own fragment of the user.

        None: there are several users, or an attribute that is not simply one value of a profile.
        """
        if len(users) > 1:
            return None
        rows = await self._transaction.fragments.find((), users) if users else []
        own = {row.fragment.fragment_id: row.fragment for row in rows}
        own |= {key: item for key, item in self._changed.items() if item.own_user in users}
        paths = own_identity(own.values())
        if len(own) > 1 or any(len(path) != SCOPE_AND_ATTRIBUTE for path in paths):
            return None
        heads: dict[View, UUID] = {}
        for row in rows:
            heads |= {"own": row.own_id, "proven": row.proven_id}
        return _OwnIdentity(paths, heads)

    async def _are_compatible(
        self, evidence: _Evidence, joined: _Joined, users: set[str], stored: _StoredRows
    ) -> bool:
        """Whether everything is older than the batch, and nothing keeps any two of the profiles apart."""
        fragments, hub, bringer = self._transaction.fragments, evidence.hub, evidence.bringer
        if await self._transaction.separations.concern_members(joined.heads["proven"]):
            return False
        is_new = hub is not None and self._loaded.before(hub.fragment_id) is None
        if is_new and await fragments.find_of_users(users):
            return False
        if evidence.hides_others and bringer and not await self._is_alone(bringer.fragment_id):
            return False
        separating = sorted(self._rules.guards.separating)
        proven = joined.heads["proven"]
        apart = await fragments.find_claiming_heads(proven, separating) if separating else set()
        return len(apart) <= 1 and all(
            row.head_id == row.profile_id and row.updated_at < self._first_seq for row in stored.values()
        )

    async def _is_alone(self, fragment_id: UUID) -> bool:
        """Whether a stored fragment is a profile by itself in both views."""
        keys = self._loaded.rows[fragment_id].view_keys
        return not await self._transaction.view_profiles.lock_alone(keys)

    async def _united(
        self,
        view: StoredView,
        joined: _Joined,
        stored: _StoredRows,
        own: _OwnIdentity,
        users: set[str],
    ) -> ViewRow | None:
        heads, rows = joined.heads[view], [row for (of, _), row in stored.items() if of == view]
        known = {row.profile_id for row in rows}
        alone = [self._now(head) for head in sorted(heads - known)]
        parts: list[StoredPart | Fragment] = [*(await self._stored_parts(view, rows, joined, own)), *alone]
        items = [
            (writer, item)
            for writer, item in self._items(joined.head_of[view], known, alone)
            if not gives_way_to_own(item, writer, own.paths)
        ]
        activity = await self._activity(parts, joined.joins[view])
        part = unite(
            parts,
            joined.joins[view],
            items,
            view,
            self._rules.fold.values,
            lambda *key: activity.get(key, 0),
        )
        if part is None:
            return None
        began = [*(row.created_at for row in rows), *(item.began_at for item in alone)]
        return ViewRow(
            view=view,
            profile_id=part.head,
            user_id=next(iter(users), None),
            created_at=min(began),
            updated_at=part.version,
            record=part.record,
            choices=dict(part.choices),
            absorbed=tuple(map(self._named, part.absorbed)),
            head_id=part.head,
        )

    async def _stored_parts(
        self,
        view: StoredView,
        rows: list[ViewRow],
        joined: _Joined,
        own: _OwnIdentity,
    ) -> list[StoredPart]:
        """The profiles of several fragments, each with the members that joins lead to or that are written."""
        fragments = self._transaction.fragments
        heads = [row.profile_id for row in rows]
        some = await fragments.find_some_members(view, heads, MEMBERS_RANKED_MAX)
        parts = []
        for row in rows:
            known = [item for item, head in joined.head_of[view].items() if head == row.profile_id]
            part = Part(row.profile_id, row.record, row.choices, row.absorbed, row.updated_at)
            if own.heads.get(view) != row.profile_id:
                part = without_hidden(part, own.paths)
            members = tuple(dict.fromkeys((*some[row.profile_id], *known)))
            parts.append(StoredPart(part, row.created_at, row.user_id is not None, members))
        return parts

    def _items(
        self, head_of: Mapping[UUID, UUID], known: Collection[UUID], alone: list[Fragment]
    ) -> Iterator[tuple[Fragment, Item]]:
        """All that single fragments have, and what the batch wrote to the others."""
        for fragment in alone:
            yield from ((fragment, item) for item in visible_items(fragment))
        for fragment_id, items in self._new_items.items():
            if head_of.get(fragment_id) in known:
                yield from ((self._changed[fragment_id], item) for item in items)

    async def _activity(
        self, parts: list[StoredPart | Fragment], joins: tuple[Join, ...]
    ) -> Mapping[tuple[UUID, int], int]:
        """The activity that may decide which one survives."""
        ranked = [
            member
            for part in parts
            for member in ((part.fragment_id,) if isinstance(part, Fragment) else part.members)
            if isinstance(part, Fragment) or len(part.members) <= MEMBERS_RANKED_MAX
        ]
        asked = {(member, join.since) for member in ranked for join in joins}
        return await self._transaction.fragments.find_activity(asked) if asked else {}

    def _survives_in_own(self, merge: ComponentMerge) -> bool:
        """Whether the survivor has the id that it has in the view `own`."""
        head = merge.rows["proven"].profile_id
        row = self._loaded.rows.get(head)
        return merge.head_now("own", head if row is None else row.own_id) == head

    def _now(self, fragment_id: UUID) -> Fragment:
        return self._changed.get(fragment_id) or self._loaded.graph.fragments[fragment_id]

    def _named(self, part: AbsorbedPart) -> AbsorbedPart:
        """A part with its reason as responses say it; that of an earlier one stays as it was called."""
        if part.seq < self._first_seq:
            return part
        return msgspec.structs.replace(part, reason=self._rules.reasons.get(part.reason, part.reason))


def _joined_by(
    evidence: _Evidence, joins: Mapping[StoredView, tuple[Join, ...]], rows: Mapping[UUID, FragmentRow]
) -> _Joined:
    """The profiles that joins tie. `rows`: of the fragments that they lead to, or that were written to."""
    new = {item.fragment_id: item.fragment_id for item in evidence.fragments}
    head_of: dict[StoredView, dict[UUID, UUID]] = {}
    heads: dict[StoredView, frozenset[UUID]] = {}
    for view, found in joins.items():
        head_of[view] = new | {item: row.head_in(view) for item, row in rows.items()}
        tied = {item for join in found for item in (join.one, join.other)}
        if view == "proven":
            tied |= new.keys()
        heads[view] = frozenset(head_of[view][item] for item in tied)
    return _Joined(joins, heads, head_of)
