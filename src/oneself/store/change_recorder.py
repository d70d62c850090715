"""The changes of profiles that one transaction makes in each view, gathered while it writes.

The write path hands over what it knows anyway, before and after. What folds a part of the log again compares
two readings of it.

Invariants: one statement for a transaction, none if nothing visible changes. A change that several views have
is stored once.

Source: docs/decisions/0045-the-change-feed.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.fold.profile_changes import (
    VIEW_BITS,
    ChangeKind,
    ChangeReasons,
    ProfileChange,
    VisibleState,
    membership_changes,
    update_of,
)
from oneself.core.identity_graph.change_reasons import merge_reason, split_reason
from oneself.core.identity_graph.fragment import ChoiceWrite
from oneself.core.identity_graph.joins import View, user_in
from oneself.core.identity_graph.names import known_since
from oneself.core.identity_graph.replay import AbsorbedPart
from oneself.core.identity_graph.views import Views
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.working_set import WorkingSet
from oneself.core.values.record import Values
from oneself.store.tables.fragment import FragmentRow, StoredView
from oneself.store.tables.profile_change import StoredChange
from oneself.store.tables.view_profile import ViewRow
from oneself.store.transaction import Tables

_STORED: tuple[StoredView, ...] = ("own", "proven")
#: Of what begins in the stored views, and in all.
_OWN_AND_PROVEN, _EVERY = VIEW_BITS["own"] | VIEW_BITS["proven"], sum(VIEW_BITS.values())
#: In this order, changes of one observation leave every id with its current profile.
_ORDER: tuple[ChangeKind, ...] = ("created", "split", "merged", "erased", "updated")
#: The reason of merges that a rebuild makes, because an earlier version had folded the log in another way.
REBUILT = "rebuild"
#: The reason of what an erasure parts.
ERASURE = "erasure"
ViewRows = Mapping[tuple[View, UUID], ViewRow]


class GraphReading(msgspec.Struct, frozen=True):
    """Fragments, and what several of them amount to, at one moment."""

    rows: Mapping[UUID, FragmentRow]
    profiles: ViewRows = {}
    #: View → why profiles were merged or parted, where it was computed who is with whom.
    reasons: Mapping[View, ChangeReasons] = {}

    def heads(self, view: StoredView) -> dict[UUID, UUID]:
        """Fragment → the one that heads its profile in a view."""
        return {item: row.head_in(view) for item, row in self.rows.items()}

    def absorbed(self, view: StoredView) -> dict[UUID, AbsorbedPart]:
        """What the profiles of several fragments absorbed in a view, by id."""
        rows = (row for (of, _), row in self.profiles.items() if of == view)
        return {part.head: part for row in rows for part in row.absorbed}

    def version(self, view: StoredView, profile_id: UUID) -> int:
        """The seq of the last visible change of a profile in a view."""
        row = self.profiles.get((view, profile_id)) or self.rows.get(profile_id)
        return -1 if row is None else row.updated_at

    def state(self, view: StoredView, profile_id: UUID) -> VisibleState | None:
        """What a view shows of a profile; None: it was not read."""
        row, unified = self.rows.get(profile_id), self.profiles.get((view, profile_id))
        name = "" if row is None or known_since(row.fragment, view) is None else "known"
        if unified is not None:
            choices = {category: item.choice for category, item in unified.choices.items()}
            return VisibleState(unified.record.values, unified.user_id, _consents(choices), name)
        if row is None:
            return None
        choices = {item.category: item for item in row.fragment.choices}
        return VisibleState(row.values, user_in(row.fragment, view), _consents(choices), name)


class RebuiltProfile(msgspec.Struct, frozen=True):
    """An id, with its current profile before and after a rebuild, and the values that go with the id."""

    profile_id: UUID
    head_before: UUID | None
    head_after: UUID | None
    values_before: Values
    values_after: Values


class ChangeRecorder:
    """Gathers changes. `observations`: seq → the observation of the transaction that has it.

    `cause`: of what no observation of the transaction changed by itself. `parted_by`: why profiles are parted
    in it, whatever else keeps them apart.
    """

    def __init__(
        self, observations: Mapping[int, UUID], cause: UUID, *, parted_by: str | None = None
    ) -> None:
        self._observations = observations
        self._cause = cause
        self._parted_by = parted_by
        #: Change → the views that have it, and its cause.
        self._found: dict[ProfileChange, tuple[int, UUID]] = {}
        #: Profile that begins in the view `all` → its cause.
        self._begun: dict[UUID, UUID] = {}

    def note_believed(self, state: WorkingSet, profile_ids: Collection[UUID]) -> None:
        """Add what the write path changed of profiles in the view `all`."""
        before: dict[UUID, Profile] = {}
        after: dict[UUID, Profile] = {}
        for item in profile_ids:
            known, profile = state.before(item), state.profiles[item]
            if known is None and profile.survivor_id is None:
                self._begun[item] = self._cause_of(profile.created_at)
                continue
            after[item] = profile
            if known is not None:
                before[item] = known
        if after:
            merged = {record.merge.absorbed_id: record.observation_id for record in state.changes.merged}
            self.compare_believed(before, after, merged)

    def compare_believed(
        self,
        before: Mapping[UUID, Profile],
        after: Mapping[UUID, Profile],
        merged: Mapping[UUID, UUID] | None = None,
        parted: Mapping[UUID, str] | None = None,
        origins: Mapping[UUID, UUID] | None = None,
    ) -> None:
        """Add the differences of profiles in the view `all`, the absorbed ones included.

        `merged`: profile → the observation that merged it into another one. `parted`: profile of before → why
        it is parted. `origins`: profile that begins → the one that had its observations before.
        """
        reasons = {item: profile.reason or "" for item, profile in after.items() if profile.survivor_id}
        former, present = _survivors(before), _survivors(after)
        former |= {
            item: former[origin]
            for item, origin in (origins or {}).items()
            if item not in former and present.get(item) == item and origin in former
        }
        found = membership_changes(former, present, self._reasons(reasons, parted or {}))
        causes = merged or {}
        for change in found.changes:
            known = after.get(change.profile_id)
            cause = self._cause_of(-1 if known is None else known.updated_at)
            self._add("all", change, causes.get(change.absorbed_id or change.profile_id, cause))
        for item in found.unmoved:
            update = update_of(item, _believed_state(before[item]), _believed_state(after[item]))
            if update is not None:
                self._add("all", update, self._cause_of(after[item].updated_at))

    def note_graph(self, before: GraphReading, after: GraphReading) -> None:
        """Add the differences of the views `own` and `proven` between two readings of the same fragments.

        Fragments that move with the one that heads their profile may be left out, and so may the rows of
        profiles that were not written.
        """
        left = {item: row for item, row in after.rows.items() if not self._begins(item, row, before)}
        if left or before.rows:
            after = GraphReading(left, after.profiles, after.reasons)
            for view in _STORED:
                self._compare_graph(view, before, after)

    def compare_rebuilt(self, view: View, rows: Collection[RebuiltProfile]) -> None:
        """Add the differences between what a view has and what the log folds to."""
        before = {row.profile_id: row.head_before for row in rows if row.head_before is not None}
        after = {row.profile_id: row.head_after for row in rows if row.head_after is not None}
        found = membership_changes(
            before, after, ChangeReasons(dict.fromkeys(after, REBUILT), otherwise=REBUILT)
        )
        for change in found.changes:
            self._add(view, change, self._cause)
        for row in rows:
            states = VisibleState(row.values_before), VisibleState(row.values_after)
            if row.profile_id in found.unmoved and (update := update_of(row.profile_id, *states)) is not None:
                self._add(view, update, self._cause)

    async def put(self, tables: Tables) -> None:
        """Store the changes."""
        for item, cause in self._begun.items():
            self._add("all", ProfileChange(kind="created", profile_id=item), cause)
        is_single = len({cause for _, cause in self._found.values()}) <= 1
        grouped: dict[tuple[int, UUID], list[StoredChange]] = {}
        for change, (views, cause) in self._found.items():
            # What one observation of a batch creates, another one may already have merged something into.
            step = 0 if is_single or change.kind == "created" else 1
            grouped.setdefault((step, cause), []).append(StoredChange(views, change))
        for found in grouped.values():
            found.sort(key=lambda item: _ORDER.index(item.change.kind))
        await tables.profile_changes.put(grouped)

    def _begins(self, item: UUID, row: FragmentRow, before: GraphReading) -> bool:
        """Add a fragment that begins as a profile of its own; False: it is something else.

        Most of those begin in every view, and one change says so.
        """
        if item in before.rows or not item == row.own_id == row.proven_id:
            return False
        change = ProfileChange(kind="created", profile_id=item)
        views = _OWN_AND_PROVEN if self._begun.pop(item, None) is None else _EVERY
        self._found[change] = views, self._cause_of(row.fragment.began_at)
        return True

    def _compare_graph(self, view: StoredView, before: GraphReading, after: GraphReading) -> None:
        parts, why = after.absorbed(view), after.reasons.get(view, ChangeReasons())
        reasons = {**why.merged, **{item: part.reason for item, part in parts.items()}}
        heads = before.heads(view), after.heads(view)
        found = membership_changes(*heads, self._reasons(reasons, why.parted))
        for change in found.changes:
            part = None if change.absorbed_id is None else parts.get(change.absorbed_id)
            joined = None if part is None else self._observations.get(part.seq)
            self._add(view, change, joined or self._cause_of(after.version(view, change.profile_id)))
        for item in found.unmoved:
            one, other = before.state(view, item), after.state(view, item)
            if one is not None and other is not None and (update := update_of(item, one, other)) is not None:
                self._add(view, update, self._cause_of(after.version(view, item)))

    def _reasons(self, merged: Mapping[UUID, str], parted: Mapping[UUID, str]) -> ChangeReasons:
        if self._parted_by is not None:
            return ChangeReasons(merged, otherwise=self._parted_by)
        return ChangeReasons(merged, parted)

    def _cause_of(self, seq: int) -> UUID:
        return self._observations.get(seq, self._cause)

    def _add(self, view: View, change: ProfileChange, cause: UUID) -> None:
        views, first = self._found.get(change, (0, cause))
        self._found[change] = views | VIEW_BITS[view], first


async def read_graph(tables: Tables, fragment_ids: Iterable[UUID]) -> GraphReading:
    """Fragments, with the profiles that they belong to."""
    rows = {row.fragment.fragment_id: row for row in await tables.fragments.find(fragment_ids)}
    keys = {key for row in rows.values() for key in row.view_keys}
    profiles = await tables.view_profiles.lock(keys)
    return GraphReading(rows, {(row.view, row.profile_id): row for row in profiles})


def reasons_between(
    view: StoredView, stored: Iterable[FragmentRow], views: Views, names: Mapping[str, str]
) -> ChangeReasons:
    """Why the profiles of some fragments are merged and parted, when who is with whom is computed again.

    `stored`: the fragments as they were. `names`: what a join hangs on → the reason as responses say it.
    """
    partition, members = views.partition(view), dict[UUID, set[UUID]]()
    for row in stored:
        members.setdefault(row.head_in(view), set()).add(row.fragment.fragment_id)
    merged: dict[UUID, str] = {}
    parted: dict[UUID, str] = {}
    for head, ids in members.items():
        now = {views.of(view, item).profile_id for item in ids}
        if len(now) > 1 and (code := split_reason(partition.refused, ids)) is not None:
            parted[head] = code
        elif head not in now and (reason := merge_reason(partition.components[head], head, ids)) is not None:
            merged[head] = names.get(reason, reason)
    return ChangeReasons(merged, parted)


def rebuilt(row: Any) -> RebuiltProfile:
    """A difference from a row of `find_differing`."""
    values = [msgspec.json.decode(row[name] or "{}") for name in ("values_before", "values_after")]
    return RebuiltProfile(row["id"], row["head_before"], row["head_after"], *values)


def _survivors(profiles: Mapping[UUID, Profile]) -> dict[UUID, UUID]:
    """Profile → the one that stands for it, without those that are erased."""
    found: dict[UUID, UUID] = {}
    for item, profile in profiles.items():
        head = profile
        while head.survivor_id is not None and head.survivor_id in profiles:
            head = profiles[head.survivor_id]
        if not head.erased and not profile.erased:
            found[item] = head.survivor_id or head.profile_id
    return found


def _believed_state(profile: Profile) -> VisibleState:
    consents = {category: choice.is_consented for category, choice in profile.consents.items()}
    return VisibleState(profile.record.values, profile.user_id, consents, profile.primary_id)


def _consents(choices: Mapping[str, ChoiceWrite]) -> dict[str, bool]:
    found = ((category, item.is_consented) for category, item in choices.items())
    return {category: is_consented for category, is_consented in found if is_consented is not None}
