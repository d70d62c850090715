"""What a transaction changes of profiles, as a view has them: the changes that other systems follow.

They are derived from who is with whom before and after, whatever caused it. Whoever keeps a table of ids and
applies the changes in order knows the current profile of every id:

    created   the id is its own current profile
    split     each id in `moved` has another current profile
    merged    whatever led to the absorbed profile leads to the survivor
    erased    whatever led to the id leads nowhere
    updated   changes no table

Invariants: pure. A change names attributes, never a value.

Source: docs/guides/change-feed.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.core.identity_graph.joins import View
from oneself.core.values.attribute import APPLICATION_DATA
from oneself.core.values.record import Values

ChangeKind = Literal["created", "updated", "merged", "split", "erased"]
#: View → its bit in a set of views.
VIEW_BITS: Mapping[View, int] = {"own": 1, "proven": 2, "all": 4}
#: A split that moves more ids is several changes.
MOVED_MAX = 1_000
#: Why a profile is parted if no refused join says so: only proof and people end a join.
PROOF = "proof"
#: The paths of what is no attribute.
USER, CONSENTS, PRIMARY_ID = "user_id", "consents", "primary_id"


class ProfileChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of a profile."""

    kind: ChangeKind = msgspec.field(name="k")
    #: The profile that is created, updated, parted or erased; the survivor of a merge.
    profile_id: UUID = msgspec.field(name="p")
    #: The profile that was merged into it.
    absorbed_id: UUID | None = msgspec.field(name="o", default=None)
    #: Why profiles were merged, or one was parted.
    reason: str | None = msgspec.field(name="r", default=None)
    #: Of a split: the profiles that it has become.
    parts: tuple[UUID, ...] = msgspec.field(name="a", default=())
    #: Of a split: ids with another current profile, each with this.
    moved: tuple[tuple[UUID, UUID], ...] = msgspec.field(name="m", default=())
    #: The attributes that changed.
    paths: tuple[str, ...] = msgspec.field(name="u", default=())


class VisibleState(msgspec.Struct, frozen=True):
    """What a view shows of a profile."""

    values: Values
    user_id: str | None = None
    #: Category → whether the person consented.
    consents: Mapping[str, bool] = {}
    #: Its primary id, or what decides it.
    primary_id: str = ""


class ChangeReasons(msgspec.Struct, frozen=True):
    """Why profiles are merged and parted."""

    #: Profile that is merged into another one → why.
    merged: Mapping[UUID, str] = {}
    #: Profile that is parted → why.
    parted: Mapping[UUID, str] = {}
    #: Why any other profile is parted.
    otherwise: str = PROOF


class MembershipChanges(msgspec.Struct, frozen=True):
    """The changes of who is with whom."""

    changes: list[ProfileChange]
    #: The profiles that are there before and after, and neither gained nor lost anything.
    unmoved: set[UUID]


def membership_changes(
    before: Mapping[UUID, UUID],
    after: Mapping[UUID, UUID],
    reasons: ChangeReasons = ChangeReasons(),
) -> MembershipChanges:
    """The changes between two states of some ids, each with its current profile.

    An id that is missing on one side is not there yet, or not there any more. Ids that move with their
    current profile may be left out. An id that is new and not its own profile is known to the view only if
    it has a reason.
    """
    members: dict[UUID, list[UUID]] = {}
    for item, head in before.items():
        members.setdefault(head, []).append(item)
    changes: list[ProfileChange] = []
    gone: list[UUID] = []
    touched: set[UUID] = set()
    absorbed: dict[UUID, UUID] = {}
    for head, ids in members.items():
        targets = {after.get(item) for item in ids}
        if len(targets) > 1:
            changes += _split(head, ids, after, reasons.parted.get(head, reasons.otherwise))
            touched |= {head, *(item for item in targets if item is not None)}
            gone += [item for item in ids if item not in after] if head in after else [head]
        elif targets == {None}:
            gone.append(head)
        elif head not in targets:
            absorbed[head] = after[ids[0]]
    new = [item for item in after if item not in before]
    absorbed |= {item: after[item] for item in new if after[item] != item and item in reasons.merged}
    touched |= {*absorbed, *absorbed.values()}
    changes += [
        ProfileChange(kind="merged", profile_id=survivor, absorbed_id=item, reason=reasons.merged.get(item))
        for item, survivor in absorbed.items()
    ]
    changes += [ProfileChange(kind="erased", profile_id=item) for item in gone]
    created = [item for item in new if after[item] == item and item not in touched]
    changes += [ProfileChange(kind="created", profile_id=item) for item in created]
    unmoved = {head for head in members if after.get(head) == head} - touched
    return MembershipChanges(changes, unmoved)


def update_of(profile_id: UUID, before: VisibleState, after: VisibleState) -> ProfileChange | None:
    """The change of what a view shows of a profile; None: it shows the same."""
    is_same = before.values is after.values or before.values == after.values
    paths = [] if is_same else sorted(changed_paths(before.values, after.values))
    if before.user_id != after.user_id:
        paths.append(USER)
    if before.primary_id != after.primary_id:
        paths.append(PRIMARY_ID)
    if before.consents != after.consents:
        paths.append(CONSENTS)
    return ProfileChange(kind="updated", profile_id=profile_id, paths=tuple(paths)) if paths else None


def changed_paths(before: Values, after: Values) -> Iterable[str]:
    """The attributes with another value: `traits.plan`, `application_data.<app>.score`.

    What is inside of an attribute is not named.
    """
    for scope in before.keys() | after.keys():
        one, other = before.get(scope, {}), after.get(scope, {})
        if scope == APPLICATION_DATA:
            for application in one.keys() | other.keys():
                inside = one.get(application, {}), other.get(application, {})
                yield from (f"{scope}.{application}.{key}" for key in _differing(*inside))
        else:
            yield from (f"{scope}.{key}" for key in _differing(one, other))


def _split(head: UUID, ids: Collection[UUID], after: Mapping[UUID, UUID], reason: str) -> list[ProfileChange]:
    """A profile whose ids part; none if it only loses some that are not there any more."""
    moved = sorted((item, after[item]) for item in ids if after.get(item, head) != head)
    rest = {head} if after.get(head) == head else set[UUID]()
    changes: list[ProfileChange] = []
    for start in range(0, len(moved), MOVED_MAX):
        some = tuple(moved[start : start + MOVED_MAX])
        parts = tuple(sorted(rest | {target for _, target in some}))
        changes.append(ProfileChange(kind="split", profile_id=head, parts=parts, moved=some, reason=reason))
    return changes


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
