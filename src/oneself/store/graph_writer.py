"""Write the fragments that a batch has changed, and the views that they belong to.

Invariants: what is written was read in this transaction, and nobody has changed it since; else Contended is
raised. Who is with whom is computed again only around fragments whose proven evidence changed, with all their
neighbours locked. A write that changes no evidence is one more step of the replay of its views.

Source: docs/concepts/trust.md, "Views"; docs/decisions/0021-views-beside-the-believed-state.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

import msgspec

from oneself.core.fold.profile_changes import ChangeReasons
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_changes import has_new_evidence, only_ends_claims
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import ChoiceWrite, Fragment, Tenure, Write
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.replay import (
    AbsorbedPart,
    Part,
    gives_way_to_own,
    replay,
    with_item,
)
from oneself.core.identity_graph.unreconciled import needs_reconciliation
from oneself.core.identity_graph.views import ViewedProfile, Views
from oneself.core.values.record import Path, Values
from oneself.errors import Contended
from oneself.store.change_recorder import GraphReading, reasons_between
from oneself.store.component_merge import ComponentMerge, ComponentMerges
from oneself.store.component_union import ComponentUnions, Union, visible_items
from oneself.store.loaded_graph import LoadedGraph, exact_digest, proven_identifiers_of, users_of
from oneself.store.own_identity import find_own_identity
from oneself.store.tables.fragment import FragmentRow, StoredView
from oneself.store.tables.view_profile import ViewRow
from oneself.store.transaction import Transaction

#: The views that are stored.
STORED_VIEWS: tuple[StoredView, ...] = ("own", "proven")
#: The views of more fragments are computed in a thread: other requests go on meanwhile.
COMPUTED_AT_ONCE_MAX = 200


class GraphWriter:
    """The fragments and views of one batch while they are written."""

    def __init__(
        self, transaction: Transaction, loaded: LoadedGraph, first_seq: int, changed: list[Fragment]
    ) -> None:
        self._transaction = transaction
        self._loaded = loaded
        self._first_seq = first_seq
        self._changed = {item.fragment_id: item for item in changed}
        self._values = loaded.rules.fold.values
        self._rows: dict[UUID, FragmentRow] = {}
        #: Of these, those in which no view shows anything else than before.
        self._visibly_unchanged: set[UUID] = set()
        #: New fragment of exactly some identifiers → the digest of these.
        self._exact_keys = {
            known: exact_digest(key) for key, known in loaded.graph.exact.items() if known not in loaded.rows
        }
        #: Changed fragment → the visible writes and choices that it had not before.
        self._new_items = {
            item.fragment_id: _new_items(loaded.before(item.fragment_id), item) for item in changed
        }

        #: Profile of the view `proven` → one of the fragments that came to it.
        self._moved: dict[UUID, UUID] = {}
        #: The profiles of several fragments that are written, as they were and as they are.
        self._former: dict[tuple[View, UUID], ViewRow] = {}
        self._present: dict[tuple[View, UUID], ViewRow] = {}
        #: View → why profiles were merged or parted.
        self._why: dict[View, ChangeReasons] = {}
        self._unions = ComponentUnions(transaction, loaded, first_seq, self._changed, self._new_items)
        self._merges = ComponentMerges(transaction, loaded, first_seq, self._changed, self._new_items)

    async def save(self) -> None:
        """Write the fragments and their views, new fragments and claims later."""
        seeds = {
            item.fragment_id
            for item in self._changed.values()
            if has_new_evidence(self._loaded.before(item.fragment_id), item)
        }
        unions = await self._unions.find(seeds) if seeds else []
        joining = {item.fragment.fragment_id for union in unions for item in union.joining}
        computed = (seeds - joining).union(*((join.one, join.other) for join in self._loaded.new_joins))
        computed |= self._loaded.reviewed
        merge = None if unions or not computed else await self._find_merge(computed)
        computed = computed if merge is None else set()
        around = await self._lock_neighbourhood(computed) if computed else set[UUID]()
        unions = [union for union in unions if union.head.fragment.fragment_id not in around]
        if self._loaded.reviewed:
            self._loaded.reviewed |= around
        for fragment in self._changed.values():
            self._rows[fragment.fragment_id] = self._row(fragment)
        if tied := around - self._new_and_alone(around):
            await self._put_views(tied)
        await self._put_unions(unions)
        united: set[tuple[View, UUID]] = {key for union in unions for key in union.keys}
        if merge is not None:
            await self._put_merge(merge)
            united |= merge.keys
        plain = [item for item in self._changed.values() if item.fragment_id not in around]
        await self._advance_views(plain, united)
        await self._put_claims()
        await self._put_fragments()
        if merge is not None:
            await self._transaction.flush()
            await self._point_members(merge)

    async def _put_fragments(self) -> None:
        rows = sorted(self._rows.values(), key=lambda row: row.fragment.fragment_id.int)
        await self._transaction.later.fragments.insert([row for row in rows if row.read_version is None])
        restated: list[FragmentRow] = []
        changed: list[FragmentRow] = []
        for row in rows:
            if row.read_version is not None:
                before = self._loaded.rows[row.fragment.fragment_id]
                if row.differs_in_state_alone(before):
                    restated.append(row)
                    if _says_alike(before.fragment, row.fragment):
                        self._visibly_unchanged.add(row.fragment.fragment_id)
                else:
                    changed.append(row)
        fragments = self._transaction.fragments
        if not (await fragments.update_states(restated) and await fragments.update(changed)):
            raise Contended("Another request changed the same profile.")

    async def _find_merge(self, seeds: Collection[UUID]) -> ComponentMerge | None:
        """The merge of large profiles, if the evidence that is new comes to no more than that."""
        new = {item for item in seeds if not self._only_ends_claims(item)}
        unions = self._unions
        return await self._merges.find(new, unions.computed_members_max, unions.around) if new else None

    def _only_ends_claims(self, fragment_id: UUID) -> bool:
        fragment = self._changed.get(fragment_id)
        return fragment is not None and only_ends_claims(self._loaded.before(fragment_id), fragment)

    @property
    def unreconciled(self) -> set[UUID]:
        """The fragments whose people may have to part, or be joined, in the view `all`."""
        changed = self._changed.items()
        return {key for key, item in changed if needs_reconciliation(self._loaded.before(key), item)}.union(
            self._moved.values()
        )

    @property
    def readings(self) -> tuple[GraphReading, GraphReading]:
        """What was read of what is written and shows something else now, and what is written."""
        heads = {item for _, item in (*self._former, *self._present)}
        written = {
            item: row
            for item, row in self._rows.items()
            if item in heads or item not in self._visibly_unchanged
        }
        known = self._loaded.rows
        before = {item: known[item] for item in (*written, *heads) if item in known}
        return GraphReading(before, self._former), GraphReading(before | written, self._present, self._why)

    def _row(self, fragment: Fragment) -> FragmentRow:
        """The new row of a changed fragment; its survivors are as before, or itself."""
        fragment_id, before = fragment.fragment_id, self._loaded.rows.get(fragment.fragment_id)
        if before is not None and not self._new_items[fragment_id]:
            return msgspec.structs.replace(before, fragment=fragment)
        values, version = self._alone(fragment)
        return FragmentRow(
            fragment=fragment,
            believed_id=self._loaded.believed[fragment_id],
            own_id=fragment_id if before is None else before.own_id,
            proven_id=fragment_id if before is None else before.proven_id,
            values=values,
            updated_at=version,
            created_at=fragment.began_at if before is None else before.created_at,
            exact_key=self._exact_keys.get(fragment_id) if before is None else before.exact_key,
            read_version=None if before is None else before.read_version,
        )

    def _alone(self, fragment: Fragment) -> tuple[Values, int]:
        """What a fragment amounts to alone in the views `own` and `proven`, and since when."""
        if not visible_items(fragment):
            return {}, fragment.began_at
        part = replay((fragment,), (), "proven", self._values, _never_active)
        return part.record.values, part.version

    async def _put_claims(self) -> None:
        """Write the claims that are new or have better evidence, and forget those that were dropped."""
        new: list[tuple[Tenure, UUID, int, int]] = []
        dropped: list[tuple[Tenure, UUID]] = []
        for fragment_id, fragment in self._changed.items():
            before = self._loaded.before(fragment_id)
            if before is not None and before.claims is fragment.claims:
                continue
            known, best = {} if before is None else _best_claims(before), _best_claims(fragment)
            new += [(item, fragment_id, *best[item]) for item in best if known.get(item) != best[item]]
            dropped += [(item, fragment_id) for item in known.keys() - best.keys()]
        await self._transaction.fragments.delete_claims(dropped)
        await self._transaction.later.fragments.put_claims(new)

    async def _lock_neighbourhood(self, seeds: set[UUID]) -> set[UUID]:
        """Lock every fragment that a proven identifier, a user or a person ties to some, directly or not."""
        fragments, loaded = self._transaction.fragments, self._loaded
        around: set[UUID] = set()
        frontier = set(seeds)
        while frontier:
            loaded.add_locked(await fragments.lock_known(frontier, loaded.rows))
            around |= frontier & loaded.graph.fragments.keys()
            items = [loaded.graph.fragments[item] for item in frontier if item in loaded.graph.fragments]
            identifiers = {item for fragment in items for item in proven_identifiers_of(fragment)}
            users = {user for fragment in items for user in users_of(fragment)}
            frontier = loaded.joined_with(frontier)
            frontier |= await fragments.find_proven_claimants(identifiers)
            frontier |= await fragments.find_of_users(users)
            frontier |= self._changed_neighbours(identifiers, users)
            frontier -= around
        return around

    def _changed_neighbours(self, identifiers: set[Identifier], users: set[str]) -> set[UUID]:
        """The neighbours by what this batch has changed and not written yet."""
        return {
            item.fragment_id
            for item in self._changed.values()
            if not users.isdisjoint(users_of(item)) or not identifiers.isdisjoint(proven_identifiers_of(item))
        }

    def _new_and_alone(self, around: set[UUID]) -> set[UUID]:
        """The new fragments that nothing ties to another one: their rows say already what they amount to."""
        tied = {end for join in self._loaded.graph.person_joins for end in (join.one, join.other)}
        first: dict[Identifier | str, UUID] = {}
        for fragment_id in around:
            fragment = self._loaded.graph.fragments[fragment_id]
            ties: set[Identifier | str] = {*proven_identifiers_of(fragment), *users_of(fragment)}
            for tie in ties:
                other = first.setdefault(tie, fragment_id)
                if other != fragment_id:
                    tied |= {fragment_id, other}
        return around - tied - self._loaded.rows.keys()

    async def _put_views(self, around: set[UUID]) -> None:
        """Compute who is with whom, and what they amount to, among fragments that nothing ties to others."""
        if not around.isdisjoint(self._loaded.separated):
            # Of all: what a split of this batch parted may have begun in it, and so was not locked.
            self._loaded.graph.separations = await self._transaction.separations.find(around)
        views, profiles = await self._view(around)
        stored = [self._loaded.rows[item] for item in around if item in self._loaded.rows]
        former = {key for row in stored for key in row.view_keys}
        new: dict[tuple[View, UUID], ViewedProfile] = {
            (view, profile.profile_id): profile for (view, _), profile in profiles.items()
        }
        several = {key: item for key, item in new.items() if len(item.members) > 1}
        before = await self._transaction.view_profiles.lock(former)
        await self._transaction.view_profiles.delete(former - several.keys())
        reasons = _Reasons(self._loaded.rules.reasons, before)
        names = self._loaded.rules.reasons
        self._why = {view: reasons_between(view, stored, views, names) for view in STORED_VIEWS}
        self._note_written(before, [_view_row(item, reasons) for item in several.values()])
        await self._transaction.view_profiles.put([self._present[key] for key in several])
        for fragment_id in around:
            self._point(fragment_id, profiles["own", fragment_id], profiles["proven", fragment_id])
        for _, profile_id in several.keys() - {(row.view, row.profile_id) for row in before}:
            # Whoever is writing to it found no row of the view, and has to repeat the batch.
            self._rows.setdefault(profile_id, self._known_row(profile_id))

    def _note_written(self, former: Iterable[ViewRow], present: Iterable[ViewRow]) -> None:
        self._former |= {(row.view, row.profile_id): row for row in former}
        self._present |= {(row.view, row.profile_id): row for row in present}

    async def _view(self, around: set[UUID]) -> tuple[Views, dict[tuple[View, UUID], ViewedProfile]]:
        graph, rules = self._loaded.graph, self._loaded.rules
        members = [graph.fragments[item] for item in around]
        activity: dict[tuple[UUID, int], int] = {}
        views = Views(graph, members, rules.guards, rules.fold.values, lambda *key: activity.get(key, 0))
        is_large, ranked = len(around) > COMPUTED_AT_ONCE_MAX, views.activity_that_ranks
        asked = await asyncio.to_thread(ranked, STORED_VIEWS) if is_large else ranked(STORED_VIEWS)
        activity |= await self._transaction.fragments.find_activity(asked) if asked else {}
        required = STORED_VIEWS, around
        return views, (await asyncio.to_thread(views.each, *required) if is_large else views.each(*required))

    def _point(self, fragment_id: UUID, own: ViewedProfile, proven: ViewedProfile) -> None:
        """Point a fragment at its survivors."""
        row = self._known_row(fragment_id)
        created_at = proven.created_at if proven.profile_id == fragment_id else row.fragment.began_at
        pointed = msgspec.structs.replace(
            row, own_id=own.profile_id, proven_id=proven.profile_id, created_at=created_at
        )
        if pointed.proven_id != row.proven_id:
            self._moved[pointed.proven_id] = fragment_id
        if pointed != row or fragment_id in self._rows:
            self._rows[fragment_id] = pointed

    def _known_row(self, fragment_id: UUID) -> FragmentRow:
        """The row of a fragment that was read, with the fragment as it is now."""
        row = self._rows.get(fragment_id) or self._loaded.rows[fragment_id]
        return msgspec.structs.replace(row, fragment=self._loaded.graph.fragments[fragment_id])

    async def _put_unions(self, unions: list[Union]) -> None:
        """Point fragments at the profiles that they join, and write what these amount to."""
        for union in unions:
            head_id = union.head.fragment.fragment_id
            for item in union.joining:
                fragment_id = item.fragment.fragment_id
                self._rows[fragment_id] = msgspec.structs.replace(
                    self._rows[fragment_id], own_id=item.own_id or fragment_id, proven_id=head_id
                )
            created_at = next(row.created_at for row in union.views if row.view == "proven")
            if created_at != union.head.created_at:
                head = self._rows.get(head_id, union.head)
                self._rows[head_id] = msgspec.structs.replace(head, created_at=created_at)
        views = [row for union in unions for row in union.views]
        self._note_written((self._unions.stored[row.view, row.profile_id] for row in views), views)
        await self._transaction.view_profiles.advance(views)

    async def _put_merge(self, merge: ComponentMerge) -> None:
        """Write what profiles become, and point the fragments at it that headed them or were written."""
        for head in set[UUID]().union(*merge.heads.values()):
            self._rows.setdefault(head, self._known_row(head))
        for fragment_id, row in self._rows.items():
            self._rows[fragment_id] = msgspec.structs.replace(
                row,
                own_id=merge.head_now("own", row.own_id),
                proven_id=merge.head_now("proven", row.proven_id),
                created_at=self._created_at(row, merge),
            )
        former = (row for key, row in self._merges.stored.items() if key in merge.keys)
        self._note_written(former, merge.rows.values())
        kept = {(view, row.profile_id) for view, row in merge.rows.items()}
        await self._transaction.view_profiles.delete(merge.keys - kept)
        await self._transaction.view_profiles.put(list(merge.rows.values()))

    def _created_at(self, row: FragmentRow, merge: ComponentMerge) -> int:
        """When the profile that a fragment heads was created; one that heads none no more: itself."""
        fragment = row.fragment
        if fragment.fragment_id not in merge.heads["proven"]:
            return row.created_at
        survivor = merge.rows["proven"]
        return survivor.created_at if fragment.fragment_id == survivor.profile_id else fragment.began_at

    async def _point_members(self, merge: ComponentMerge) -> None:
        """Point the other fragments of absorbed profiles at what these have become."""
        for view, heads in merge.heads.items():
            head = merge.rows[view].profile_id
            if absorbed := heads - {head}:
                await self._transaction.fragments.point(view, absorbed, head)
                self._moved |= {head: min(absorbed)} if view == "proven" else {}

    async def _advance_views(self, plain: list[Fragment], united: Collection[tuple[View, UUID]]) -> None:
        """Write new values and choices into the views of fragments whose evidence is as before.

        `united`: the profiles that have them already.
        """
        moved = {
            item.fragment_id: item
            for item in plain
            if item.fragment_id in self._loaded.rows and self._new_items[item.fragment_id]
        }
        keys = {key for fragment_id in moved for key in self._loaded.rows[fragment_id].view_keys}
        keys = keys.difference(united)
        advanced = []
        locked = await self._transaction.view_profiles.lock_alone(keys)
        items = [(item, new) for item in moved.values() for new in self._new_items[item.fragment_id]]
        own = await find_own_identity(self._transaction, locked, items, self._changed)
        for stored in locked:
            if stored.updated_at >= self._first_seq:
                raise Contended("Another request changed the same profile.")
            key = stored.view, stored.profile_id
            members = [
                item for item in moved.values() if key in self._loaded.rows[item.fragment_id].view_keys
            ]
            advanced.append(self._advanced(stored, members, own.get(stored.user_id, frozenset())))
        self._note_written(locked, advanced)
        await self._transaction.view_profiles.advance(advanced)

    def _advanced(self, stored: ViewRow, members: list[Fragment], own: frozenset[Path]) -> ViewRow:
        new = [
            (item, fragment)
            for fragment in members
            for item in self._new_items[fragment.fragment_id]
            if not gives_way_to_own(item, fragment, own)
        ]
        part = Part(stored.profile_id, stored.record, stored.choices, stored.absorbed, stored.updated_at)
        for item, fragment in sorted(new, key=lambda pair: (pair[0].seq, pair[1].fragment_id)):
            part = with_item(part, item, fragment, stored.view, self._values)
        return msgspec.structs.replace(
            stored, record=part.record, choices=dict(part.choices), updated_at=part.version
        )


class _Reasons:
    """Why profiles were merged: as it is called now; what is deleted, as it was called before."""

    def __init__(self, names: Mapping[str, str], before: list[ViewRow]) -> None:
        self._names = names
        self._known = {(part.head, part.seq): part.reason for row in before for part in row.absorbed}

    def named(self, part: AbsorbedPart) -> AbsorbedPart:
        """The part with its reason as responses say it."""
        reason = self._names.get(part.reason)
        if reason is None:
            reason = self._known.get((part.head, part.seq), part.reason)
        return msgspec.structs.replace(part, reason=reason)


def _view_row(profile: ViewedProfile, reasons: _Reasons) -> ViewRow:
    return ViewRow(
        view=profile.view,
        profile_id=profile.profile_id,
        user_id=profile.user_id,
        created_at=profile.created_at,
        updated_at=profile.version,
        record=profile.record,
        choices=dict(profile.choices),
        absorbed=tuple(map(reasons.named, profile.absorbed)),
        head_id=profile.head,
    )


def _says_alike(before: Fragment, after: Fragment) -> bool:
    """Whether what a fragment says of people is as before: it repeated values, or was active."""
    return before.claims is after.claims and before.choices is after.choices


def _best_claims(fragment: Fragment) -> dict[Tenure, tuple[int, int]]:
    """Tenure → the best evidence that a fragment ever had for it, and since when: proven, else asserted."""
    found: dict[Tenure, tuple[int, int]] = {}
    for claim in sorted(fragment.claims, key=lambda item: (item.level > EvidenceLevel.ASSERTED, -item.since)):
        level = max(int(claim.level), *found.get(claim.tenure, (0,))[:1])
        found[claim.tenure] = level, claim.since
    return found


def _new_items(before: Fragment | None, after: Fragment) -> list[Write | ChoiceWrite]:
    """The visible writes and choices that a fragment had not before."""
    found = visible_items(after)
    if before is None:
        return found
    same = {*map(id, before.writes), *map(id, before.choices)}
    return [
        item
        for item in found
        if id(item) not in same and item not in before.writes and item not in before.choices
    ]


def _never_active(fragment_id: UUID, seq: int) -> int:
    return 0
