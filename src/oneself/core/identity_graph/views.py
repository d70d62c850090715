"""Views of profiles: what the fragments that a view ties together amount to.

Invariants: pure. Own ⊆ proven ⊆ all. A view is complete in itself: ids, version and values.

Source: docs/concepts/trust.md, "Views".
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.choices import EffectiveChoices
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.partition import Component, Guards, Partition, partition
from oneself.core.identity_graph.replay import (
    MEMBERS_RANKED_MAX,
    AbsorbedPart,
    ActiveBefore,
    Part,
    ReplayRules,
    put,
    replay,
)
from oneself.core.resolution.components import root
from oneself.core.values.record import EMPTY, Record

#: The view inside each: its survivors are the candidates for the survivor of the wider one.
_INNER: Mapping[View, View] = {"proven": "own", "all": "proven"}


class ViewedProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One profile, as one view shows it."""

    view: View
    profile_id: UUID
    #: The fragment that ranks first. The survivor of the narrower view gives the id.
    head: UUID
    #: The profiles that were merged into it, in the order of absorption.
    absorbed: tuple[AbsorbedPart, ...]
    record: Record
    #: The consent choices that hold, by category.
    choices: EffectiveChoices
    user_id: str | None
    #: The seq of the last visible change.
    version: int
    #: The seq of the first observation.
    created_at: int
    members: frozenset[UUID]

    @property
    def merged_from(self) -> tuple[UUID, ...]:
        """The ids of the profiles that were merged into it."""
        return tuple(item.head for item in self.absorbed)


class TrackerView(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever brings a tracker may read."""

    record: Record
    #: The owner of the browser's present fragments.
    user_id: str | None
    #: The view `own` of the present fragments gives the ids.
    own: ViewedProfile | None


class Views:
    """The views of fragments that no join, counted or not, ties to others."""

    def __init__(
        self,
        graph: IdentityGraph,
        fragments: Collection[Fragment],
        guards: Guards,
        rules: ReplayRules,
        active_before: ActiveBefore,
    ) -> None:
        self._graph = graph
        self._fragments = {fragment.fragment_id: fragment for fragment in fragments}
        self._guards = guards
        self._rules = rules
        self._active_before = active_before
        self._partitions: dict[View, Partition] = {}
        self._parts: dict[tuple[View, frozenset[UUID]], Part] = {}
        self._profiles: dict[tuple[View, frozenset[UUID]], ViewedProfile] = {}

    def partition(self, view: View) -> Partition:
        """Who is with whom in a view."""
        if view not in self._partitions:
            fragments = self._fragments.values()
            self._partitions[view] = partition(self._graph, fragments, view, self._guards)
        return self._partitions[view]

    def activity_that_ranks(self, views: Iterable[View]) -> set[tuple[UUID, int]]:
        """The activity that may decide who survives a join in some views: fragment, and before which seq."""
        found = {id(item): item for view in views for item in self.partition(view).components.values()}
        return {asked for component in found.values() for asked in _ranked(component)}

    def each(
        self, views: Iterable[View], fragment_ids: Collection[UUID]
    ) -> dict[tuple[View, UUID], ViewedProfile]:
        """The profiles that fragments belong to in some views."""
        return {(view, item): self.of(view, item) for view in views for item in fragment_ids}

    def of(self, view: View, fragment_id: UUID) -> ViewedProfile:
        """The profile that a fragment belongs to in a view."""
        component = self.partition(view).components[fragment_id]
        key = view, component.members
        if key not in self._profiles:
            self._profiles[key] = self._viewed(view, component)
        return self._profiles[key]

    def _viewed(self, view: View, component: Component) -> ViewedProfile:
        part = self._part(view, component)
        profile_id = self._survivor(view, part.head)
        members = [self._fragments[item] for item in component.members]
        return ViewedProfile(
            view=view,
            profile_id=profile_id,
            head=part.head,
            absorbed=_absorbed_into(profile_id, part, self._absorbed_since(view, part.head)),
            record=part.record,
            choices=part.choices,
            user_id=component.user_id,
            version=max(part.version, component.admitted_since),
            created_at=min(member.began_at for member in members),
            members=component.members,
        )

    def by_tracker(self, tracker: Identifier) -> TrackerView:
        """The values of a browser's present fragments as one stream, their owner, and the ids of `own`."""
        present = self._graph.present_fragments(tracker)
        record = EMPTY
        writes = sorted((item for fragment in present for item in fragment.writes), key=lambda item: item.seq)
        for item in writes:
            record = put(record, item, self._rules)
        owners = (fragment.owner.user_id for fragment in present if fragment.owner is not None)
        own = self.of("own", present[0].fragment_id) if present else None
        return TrackerView(record=record, user_id=next(owners, None), own=own)

    def _survivor(self, view: View, head: UUID) -> UUID:
        """The survivor of a wider view is the narrower view's survivor of the fragment that ranks first."""
        inner = _INNER.get(view)
        return head if inner is None else self.of(inner, head).profile_id

    def _absorbed_since(self, view: View, head: UUID) -> int:
        """Since when a fragment is one with its survivor in the narrower view; what began so always was."""
        inner = _INNER.get(view)
        absorbed = () if inner is None else self.of(inner, head).absorbed
        began_at = self._fragments[head].began_at
        return next((item.seq for item in absorbed if item.head == head), began_at)

    def _part(self, view: View, component: Component) -> Part:
        key = view, component.members
        if key not in self._parts:
            fragments = [self._fragments[item] for item in component.members]
            self._parts[key] = replay(fragments, component.joins, view, self._rules, self._active_before)
        return self._parts[key]


def _ranked(component: Component) -> Iterator[tuple[UUID, int]]:
    """The fragments whose activity may decide who survives a join, each with the join's seq."""
    if len(component.members) <= MEMBERS_RANKED_MAX:
        yield from ((member, join.since) for join in component.joins for member in component.members)
        return
    parents: dict[UUID, UUID] = {}
    sizes: dict[UUID, int] = {}
    for since, joins in groupby(component.joins, key=lambda join: join.since):
        pairs = [(join.one, join.other) for join in joins]
        for item in {end for pair in pairs for end in pair}:
            # The activity of a part that is larger by then does not count.
            if sizes.get(root(parents, parents.setdefault(item, item)), 1) <= MEMBERS_RANKED_MAX:
                yield item, since
        for pair in pairs:
            one, other = (root(parents, item) for item in pair)
            parents[other] = one
            sizes[one] = sizes.get(one, 1) + sizes.pop(other, 1)


def _absorbed_into(profile_id: UUID, part: Part, since: int) -> tuple[AbsorbedPart, ...]:
    """What a part absorbed, each id once, without the survivor.

    Where the narrower view has another survivor than the replay, the head of the part is absorbed by it.
    `since`: since when.
    """
    head = AbsorbedPart(part.head, "user", since)
    found = {item.head: item for item in reversed((*part.absorbed, head))}
    return tuple(
        item for item in (*part.absorbed, head) if found.get(item.head) is item and item.head != profile_id
    )
