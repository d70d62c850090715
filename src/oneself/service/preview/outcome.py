"""What a change does to the profiles of a view: who is joined and by what, who is parted and why.

Invariants: pure, and total: what is not in the lists is in the counts.

Source: docs/decisions/0048-preview-of-every-change.md.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.joins import Join, View
from oneself.core.identity_graph.partition import Partition, RefusedJoin
from oneself.service.explain.rendering import EVIDENCE_OF_STRENGTH
from oneself.service.explain.values import EvidenceName
from oneself.service.rules.preview import PreviewedValueChange, changed_paths
from oneself.store.scratch_dataset import HeadValues, RecordedRefusal

#: How many joins and refusals are named for one merge or one profile that is parted.
CAUSES_MAX = 10


class PreviewedJoin(msgspec.Struct, frozen=True):
    """What joins two of the profiles that become one."""

    reason: str
    identifier: Identifier | None
    #: None: it is not known how well it is said.
    evidence: EvidenceName | None


class PreviewedJoinRefusal(msgspec.Struct, frozen=True, order=True):
    """Two profiles that share something and are not joined, as they are after the change.

    `namespace`: in which their values differ, or what they share.
    """

    code: str
    profile_id: UUID
    other_id: UUID
    namespace: str | None = None
    identifier: Identifier | None = None
    evidence: EvidenceName | None = None


class ViewMerge(msgspec.Struct, frozen=True):
    """Profiles that become one. `absorbed`: the others, as they were before."""

    survivor: UUID
    absorbed: tuple[UUID, ...]
    joins: tuple[PreviewedJoin, ...]


class ViewParting(msgspec.Struct, frozen=True):
    """A profile that becomes several. `groups`: the id of each, and the ids that each absorbed."""

    profile_id: UUID
    groups: tuple[tuple[UUID, ...], ...]
    refusals: tuple[PreviewedJoinRefusal, ...]


class ViewPreview(msgspec.Struct, frozen=True):
    """What happens in one view. The counts are complete, the lists may be cut."""

    view: View
    profiles_absorbed: int
    groups: int
    largest_group: int
    merges: tuple[ViewMerge, ...]
    parted_count: int
    parted: tuple[ViewParting, ...]
    values_changed_count: int
    values_changed: tuple[PreviewedValueChange, ...]
    refusals_count: int
    refusals: tuple[PreviewedJoinRefusal, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing happens."""
        return not (self.merges or self.parted or self.values_changed or self.refusals)


class ViewState(msgspec.Struct, frozen=True, kw_only=True):
    """The profiles of a view at one moment."""

    view: View
    #: Fragment, or profile of the view `all` → the profile that it belongs to.
    heads: Mapping[Hashable, UUID]
    #: Fragment → the same.
    of_fragments: Mapping[UUID, UUID]
    #: By profile.
    values: Mapping[UUID, HeadValues]
    #: The joins that count; None: the view does not follow from the identity graph.
    partition: Partition | None
    #: Of the view `all`: what was recorded.
    refusals: Collection[RecordedRefusal] = ()
    merges: Mapping[UUID, tuple[str, Identifier | None]] = {}


class _HeadChanges(msgspec.Struct, frozen=True):
    """Profile of after → those of before that it consists of, and the other way round."""

    joined: Mapping[UUID, set[UUID]]
    parted: Mapping[UUID, set[UUID]]
    #: Profile of after → its id and those of the profiles that it absorbed.
    ids: Mapping[UUID, tuple[UUID, ...]]


def compare(before: ViewState, after: ViewState, reasons: Mapping[str, str]) -> ViewPreview:
    """What happened between two moments. `reasons`: what a join hangs on → why profiles are merged."""
    sides = _sides(before, after)
    known = {_key(item) for item in _refused(before)}
    refused = [item for item in _refused(after) if _key(item) not in known]
    joined = {head: parts for head, parts in sides.joined.items() if len(parts) > 1}
    parted = {head: parts for head, parts in sides.parted.items() if len(parts) > 1}
    joins = _joins_between(before, after, {head: sides.ids[head] for head in joined}, reasons)
    merges = [
        ViewMerge(head, tuple(sorted(parts - {head})), joins[head]) for head, parts in sorted(joined.items())
    ]
    within = _refusals_within(before, after)
    partings = [
        _parting(head, [sides.ids[part] for part in parts], within.get(head, ()))
        for head, parts in sorted(parted.items())
    ]
    values = _changed_values(before, after)
    refusals = _new_refusals(before, after, refused)
    return ViewPreview(
        view=after.view,
        profiles_absorbed=sum(len(merge.absorbed) for merge in merges),
        groups=len(merges),
        largest_group=max((len(sides.ids[head]) for head in joined), default=1),
        merges=tuple(sorted(merges, key=lambda merge: (-len(merge.absorbed), merge.survivor))),
        parted_count=len(partings),
        parted=tuple(partings),
        values_changed_count=len(values),
        values_changed=tuple(values),
        refusals_count=len(refusals),
        refusals=tuple(refusals),
    )


def cut_view(preview: ViewPreview, entries_max: int) -> ViewPreview:
    """The preview with lists of at most so many entries, of at most so many ids each."""
    merges = (
        msgspec.structs.replace(merge, absorbed=merge.absorbed[:entries_max])
        for merge in preview.merges[:entries_max]
    )
    partings = (
        msgspec.structs.replace(
            item, groups=tuple(group[:entries_max] for group in item.groups[:entries_max])
        )
        for item in preview.parted[:entries_max]
    )
    return msgspec.structs.replace(
        preview,
        merges=tuple(merges),
        parted=tuple(partings),
        values_changed=preview.values_changed[:entries_max],
        refusals=preview.refusals[:entries_max],
    )


def _sides(before: ViewState, after: ViewState) -> _HeadChanges:
    joined: dict[UUID, set[UUID]] = {}
    parted: dict[UUID, set[UUID]] = {}
    for key in before.heads.keys() & after.heads.keys():
        former, head = before.heads[key], after.heads[key]
        joined.setdefault(head, set()).add(former)
        parted.setdefault(former, set()).add(head)
    return _HeadChanges(joined, parted, _ids(after))


def _ids(state: ViewState) -> dict[UUID, tuple[UUID, ...]]:
    """Profile → its id and those of the profiles that it absorbed."""
    if state.view != "all":
        return {head: (head, *sorted(item.absorbed)) for head, item in state.values.items()}
    members: dict[UUID, list[UUID]] = {}
    for key, head in state.heads.items():
        if isinstance(key, UUID) and key != head:
            members.setdefault(head, []).append(key)
    return {head: (head, *sorted(members.get(head, ()))) for head in set(state.heads.values())}


def _refused(state: ViewState) -> tuple[RefusedJoin, ...]:
    return () if state.partition is None else state.partition.refused


def _key(item: RefusedJoin) -> tuple[object, ...]:
    return item.code, item.join.one, item.join.other, item.join.via


def _joins_between(
    before: ViewState, after: ViewState, joined: Mapping[UUID, Collection[UUID]], reasons: Mapping[str, str]
) -> dict[UUID, tuple[PreviewedJoin, ...]]:
    """What joins profiles that consist of several of before. `joined`: profile → its ids."""
    found: dict[UUID, dict[PreviewedJoin, None]] = {head: {} for head in joined}
    components = {} if after.partition is None else after.partition.components
    for component in {id(item): item for item in components.values()}.values():
        head = after.of_fragments.get(min(component.members))
        if head is None or head not in found:
            continue
        for join in component.joins:
            if before.of_fragments.get(join.one) != before.of_fragments.get(join.other):
                found[head][_previewed(join, reasons)] = None
    for head, joins in found.items():
        if not joins and after.view == "all":
            joins |= dict.fromkeys(_recorded(before, after, joined[head]))
    return {head: tuple(joins)[:CAUSES_MAX] for head, joins in found.items()}


def _previewed(join: Join, reasons: Mapping[str, str]) -> PreviewedJoin:
    return PreviewedJoin(reasons.get(join.reason, join.reason), join.via, EVIDENCE_OF_STRENGTH[join.strength])


def _recorded(before: ViewState, after: ViewState, ids: Iterable[UUID]) -> Iterable[PreviewedJoin]:
    """The merges of profiles that were recorded since."""
    for profile_id in ids:
        merge = after.merges.get(profile_id)
        if merge is not None and merge != before.merges.get(profile_id):
            yield PreviewedJoin(merge[0], merge[1], None)


def _parting(
    head: UUID, groups: Iterable[tuple[UUID, ...]], refusals: Iterable[PreviewedJoinRefusal]
) -> ViewParting:
    """How a profile comes apart: first what keeps its id."""
    ordered = sorted(groups, key=lambda group: (group[0] != head, group))
    return ViewParting(head, tuple(ordered), tuple(dict.fromkeys(refusals))[:CAUSES_MAX])


def _refusals_within(before: ViewState, after: ViewState) -> dict[UUID, list[PreviewedJoinRefusal]]:
    """Profile of before → the joins within it that do not count after."""
    found: dict[UUID, list[PreviewedJoinRefusal]] = {}
    for item in _refused(after):
        head = before.of_fragments.get(item.join.one)
        if head is not None and head == before.of_fragments.get(item.join.other):
            refusal = _refusal(item, after)
            found.setdefault(head, []).extend([] if refusal is None else [refusal])
    return found


def _changed_values(before: ViewState, after: ViewState) -> list[PreviewedValueChange]:
    return [
        PreviewedValueChange(head, path)
        for head in sorted(before.values.keys() & after.values.keys())
        for path in changed_paths(before.values[head].values, after.values[head].values)
    ]


def _new_refusals(
    before: ViewState, after: ViewState, refused: Iterable[RefusedJoin]
) -> list[PreviewedJoinRefusal]:
    """The joins that do not count any more or yet; of the view `all`, what was recorded as well."""
    found: dict[tuple[str, UUID, UUID], PreviewedJoinRefusal] = {}
    for item in refused:
        refusal = _refusal(item, after)
        if refusal is not None:
            found.setdefault((refusal.code, refusal.profile_id, refusal.other_id), refusal)
    for recorded in sorted(set(after.refusals) - set(before.refusals)):
        one, other = sorted((recorded.profile_id, recorded.other_id))
        key = (recorded.code, one, other)
        found.setdefault(key, PreviewedJoinRefusal(*key, recorded.namespace or None))
    return sorted(found.values(), key=lambda item: (item.code, item.profile_id, item.other_id))


def _refusal(item: RefusedJoin, state: ViewState) -> PreviewedJoinRefusal | None:
    """A join that does not count; None if the two are one profile by others."""
    one, other = sorted(state.of_fragments[end] for end in (item.join.one, item.join.other))
    if one == other:
        return None
    via = item.join.via
    namespace = item.namespace or (None if via is None else via.namespace)
    evidence = EVIDENCE_OF_STRENGTH[item.join.strength]
    return PreviewedJoinRefusal(item.code, one, other, namespace, via, evidence)
