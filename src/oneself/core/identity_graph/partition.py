"""Who is with whom: which joins count.

Joins count strongest first, then oldest first, each if it brings no two users together and the guards admit
it. So the result does not depend on the order in which evidence came.

Invariants: pure. No component has two users. What counts in `own` counts in `proven`, and that in `all`.

Source: docs/concepts/trust.md, "Joins" and "Guards".
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim
from oneself.core.identity_graph.graph import IdentityGraph, Separation
from oneself.core.identity_graph.joins import Join, JoinStrength, Matching, View, joins_among, user_in
from oneself.core.resolution.components import are_apart, root
from oneself.core.units import SEQ_MAX

RefusalReason = Literal[
    "different_user", "split_kept_apart", "untrusted_evidence", "conflicting_identity", "limit_exceeded"
]


class Guards(msgspec.Struct, frozen=True):
    """The settings that admit or refuse joins."""

    #: Namespace → the seq until which it matched.
    matching: Matching = {}
    #: Namespace → of several joins of one moment, the lower goes first.
    priorities: Mapping[str, int] = {}
    #: Namespaces in which two different values are two people.
    separating: frozenset[str] = frozenset()
    #: Of these: the seq since which, if two different values were one person before.
    separates_since: Mapping[str, int] = {}
    #: Namespace → when two different values were two people before, from one seq up to another.
    separated: Mapping[str, tuple[tuple[int, int], ...]] = {}
    #: Whether asserted evidence joins two protected profiles.
    joins_protected: bool = False
    #: How many fragments without proof a component takes.
    asserted_fragments_max: int = 1000
    #: How many joins by identifiers count that stand since one observation.
    profiles_per_merge_max: int = 1000
    #: The limits that there were, each with the seq since which; empty: one alone.
    merge_limits: tuple[tuple[int, int], ...] = ()

    def admits_values(self, namespace: str, since: int) -> int | None:
        """The seq since which two different values of people keep nobody apart; None: they do.

        `since`: since when both values are known, and what joins these people.
        """
        if namespace in self.separating and since >= self.separates_since.get(namespace, 0):
            return None
        periods = self.separated.get(namespace, ())
        return next((end for begin, end in periods if begin <= since < end), since)

    def admits_number(self, number: int, since: int) -> int | None:
        """The seq since which one more join counts beside a number of others; None: it does not.

        `since`: since when these joins stand.
        """
        limits = self.merge_limits or ((0, self.profiles_per_merge_max),)
        ends = (*(begin for begin, _ in limits[1:]), SEQ_MAX)
        for (begin, limit), end in zip(limits, ends, strict=True):
            if end > since and number < limit:
                return max(begin, since)
        return None


class RefusedJoin(msgspec.Struct, frozen=True):
    """A join that must not count, and why."""

    join: Join
    code: RefusalReason
    #: The namespace whose values differ.
    namespace: str = ""


class Component(msgspec.Struct, frozen=True):
    """The fragments that are one profile in a view."""

    members: frozenset[UUID]
    #: The joins that hold them together, the oldest first. A join of fragments that others join is spare.
    joins: tuple[Join, ...]
    user_id: str | None
    #: The seq since which a changed guard admits one of its joins; 0: all were admitted at once.
    admitted_since: int = 0


class Partition(msgspec.Struct, frozen=True):
    """All fragments by component, and the joins that were refused."""

    components: dict[UUID, Component]
    refused: tuple[RefusedJoin, ...]


def partition(
    graph: IdentityGraph,
    fragments: Collection[Fragment],
    view: View,
    guards: Guards,
    without: Identifier | None = None,
) -> Partition:
    """Which of these fragments are one profile in a view. `without`: an identifier that joins nobody."""
    joins = joins_among(graph, fragments, view, guards.matching, guards.priorities)
    if without is not None:
        joins = [join for join in joins if join.via != without]
    forest = _Forest(fragments, view, guards, graph.separations.values())
    refused = tuple(item for join in joins if (item := forest.add(join)) is not None)
    return Partition(forest.components(joins), refused)


class _Part(msgspec.Struct):
    """A component that is being built."""

    members: set[UUID]
    users: set[str]
    has_proof: bool
    #: Namespace → values, each with the seq since which; of proven claims and of all.
    proven: dict[str, dict[str, int]]
    every: dict[str, dict[str, int]]
    asserted_count: int
    #: Separation → the sides that its fragments are on.
    sides: dict[UUID, set[int]]
    #: The seq since which a changed guard admits one of its joins.
    admitted_since: int = 0

    @property
    def is_protected(self) -> bool:
        return self.has_proof or bool(self.users)

    def absorb(self, other: "_Part") -> None:
        self.members |= other.members
        self.users |= other.users
        self.has_proof |= other.has_proof
        self.asserted_count += other.asserted_count
        self.admitted_since = max(self.admitted_since, other.admitted_since)
        for mine, theirs in ((self.proven, other.proven), (self.every, other.every)):
            for namespace, values in theirs.items():
                known = mine.setdefault(namespace, {})
                known |= {value: min(since, known.get(value, since)) for value, since in values.items()}
        for separation_id, sides in other.sides.items():
            self.sides.setdefault(separation_id, set()).update(sides)

    def is_separated_from(self, other: "_Part") -> bool:
        """Whether a person has parted the two."""
        shared = self.sides.keys() & other.sides.keys()
        return any(are_apart(self.sides[item], other.sides[item]) for item in shared)


class _Forest:
    def __init__(
        self,
        fragments: Collection[Fragment],
        view: View,
        guards: Guards,
        separations: Iterable[Separation],
    ) -> None:
        self._view = view
        self._guards = guards
        self._sides: dict[UUID, dict[UUID, set[int]]] = {}
        for item in separations:
            for fragment_id, side in item.sides.items():
                self._sides.setdefault(fragment_id, {})[item.separation_id] = {side}
        self._parts = {item.fragment_id: self._single(item) for item in fragments}
        #: Seq → how many joins by identifiers count since then.
        self._counts: Counter[int] = Counter()

    def add(self, join: Join) -> RefusedJoin | None:
        """Join two parts, unless they are one already; or say why not."""
        one, other = self._parts[join.one], self._parts[join.other]
        if one is other:
            return None
        decided = self._decide(join, one, other)
        if isinstance(decided, RefusedJoin):
            return decided
        if join.strength != JoinStrength.SAME_USER:
            self._counts[join.since] += 1
        larger, smaller = (one, other) if len(one.members) >= len(other.members) else (other, one)
        larger.absorb(smaller)
        larger.admitted_since = max(larger.admitted_since, decided)
        for member in smaller.members:
            self._parts[member] = larger
        return None

    def components(self, joins: list[Join]) -> dict[UUID, Component]:
        """The result. Within a component the oldest joins count; the others are spare."""
        parents = {member: member for member in self._parts}
        kept: dict[int, list[Join]] = {}
        for join in sorted(joins, key=lambda item: item.age):
            part = self._parts[join.one]
            if part is self._parts[join.other] and _unite(parents, join.one, join.other):
                kept.setdefault(id(part), []).append(join)
        built: dict[int, Component] = {}
        for part in self._parts.values():
            if id(part) not in built:
                built[id(part)] = Component(
                    frozenset(part.members),
                    tuple(kept.get(id(part), ())),
                    next(iter(part.users), None),
                    part.admitted_since,
                )
        return {member: built[id(part)] for member, part in self._parts.items()}

    def _single(self, fragment: Fragment) -> _Part:
        user = user_in(fragment, self._view)
        present = fragment.present_claims
        proven = [claim for claim in present if claim.level > EvidenceLevel.ASSERTED]
        values = self._separating_values(proven), self._separating_values(present)
        users = set() if user is None else {user}
        is_asserted = not users and not proven
        sides = {key: set(found) for key, found in self._sides.get(fragment.fragment_id, {}).items()}
        return _Part(
            {fragment.fragment_id}, users, bool(proven), values[0], values[1], int(is_asserted), sides
        )

    def _separating_values(self, claims: Iterable[FragmentClaim]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for claim in claims:
            namespace, value = claim.tenure.identifier.namespace, claim.tenure.identifier.value
            if namespace in self._guards.separating or namespace in self._guards.separated:
                known = found.setdefault(namespace, {})
                known[value] = min(claim.since, known.get(value, claim.since))
        return found

    def _decide(self, join: Join, one: _Part, other: _Part) -> int | RefusedJoin:
        """Since when a changed guard admits a join, 0 if it was admitted at once; or why not."""
        is_asserted = join.strength == JoinStrength.ASSERTED
        if len(one.users | other.users) > 1:
            return RefusedJoin(join, "different_user")
        if join.strength == JoinStrength.SAME_USER or join.is_by_hand:
            return 0
        if one.is_separated_from(other):
            return RefusedJoin(join, "split_kept_apart")
        is_between_protected = one.is_protected and other.is_protected
        has_user = bool(one.users or other.users)
        if is_asserted and is_between_protected and (has_user or not self._guards.joins_protected):
            return RefusedJoin(join, "untrusted_evidence")
        conflicting = self._decide_by_values(join, one, other)
        if isinstance(conflicting, RefusedJoin):
            return conflicting
        counted = self._decide_by_number(join)
        if isinstance(counted, RefusedJoin):
            return counted
        if is_asserted and one.asserted_count + other.asserted_count > self._guards.asserted_fragments_max:
            return RefusedJoin(join, "limit_exceeded")
        return max(conflicting, counted)

    def _decide_by_values(self, join: Join, one: _Part, other: _Part) -> int | RefusedJoin:
        """An asserted value keeps nobody apart from what is proven.

        A proven join stands if its values kept nobody apart at one time. Asserted ones follow the guard.
        """
        is_asserted, admitted = join.strength == JoinStrength.ASSERTED, 0
        mine, theirs = (one.every, other.every) if is_asserted else (one.proven, other.proven)
        for namespace in sorted(mine.keys() & theirs.keys()):
            if mine[namespace].keys().isdisjoint(theirs[namespace]):
                since = max(join.since, min(mine[namespace].values()), min(theirs[namespace].values()))
                is_apart = namespace in self._guards.separating
                at = None if is_asserted and is_apart else self._guards.admits_values(namespace, since)
                if at is None:
                    return RefusedJoin(join, "conflicting_identity", namespace)
                admitted = max(admitted, at if at > since else 0)
        return admitted

    def _decide_by_number(self, join: Join) -> int | RefusedJoin:
        number = self._counts[join.since]
        if join.strength == JoinStrength.ASSERTED:
            at = join.since if number < self._guards.profiles_per_merge_max else None
        else:
            at = self._guards.admits_number(number, join.since)
        if at is None:
            return RefusedJoin(join, "limit_exceeded")
        return at if at > join.since else 0


def _unite(parents: dict[UUID, UUID], one: UUID, other: UUID) -> bool:
    """Make one set of two; False if both are in one already."""
    first, second = root(parents, one), root(parents, other)
    if first == second:
        return False
    parents[second] = first
    return True
