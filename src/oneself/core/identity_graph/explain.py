"""Why fragments are one profile of a view, or why not.

Whatever two fragments of one profile share that joins them is a reason, also where another join had tied them
before. So what this module says of two fragments does not depend on the others.

Invariants: pure. A reason is true by itself: both fragments have what it hangs on, at one time.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0043-explanations.md.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim, Tenure
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.joins import (
    Join,
    JoinStrength,
    Matching,
    View,
    claim_age,
    claim_join,
    joins_among,
    user_in,
    user_since,
)
from oneself.core.identity_graph.partition import Guards, RefusalReason, partition

#: Beside what `partition` refuses: no join counts, and why. `pending`: one counts, and the profiles have yet
#: to be computed again. `parted_since`: one counted at an instant of the past, and what the log has of it now
#: says otherwise.
ApartCode = (
    RefusalReason
    | Literal["not_same_owner", "changed_hands", "not_at_one_time", "not_matching", "pending", "parted_since"]
)


class Support(msgspec.Struct, frozen=True):
    """What one of two joined fragments has of what the join hangs on."""

    #: The seq of the observation that said it.
    since: int
    #: None: it is a user or a decision, not an identifier.
    level: EvidenceLevel | None = None


class SupportedJoin(msgspec.Struct, frozen=True):
    """A join with what supports it on either side."""

    join: Join
    #: Of `join.one` and `join.other`.
    sides: tuple[Support, Support]


class ApartCause(msgspec.Struct, frozen=True):
    """Why two fragments of different profiles do not make these one."""

    code: ApartCode
    #: The fragments, unless it concerns the profiles as they are.
    one: UUID | None = None
    other: UUID | None = None
    #: What they share.
    identifier: Identifier | None = None
    #: The namespace whose values differ.
    namespace: str = ""
    #: The seq since which the join would count; 0: there is none.
    since: int = 0


def joins_with_older(
    fragment: Fragment,
    claimants: Mapping[Tenure, Collection[Fragment]],
    matching: Matching,
    priorities: Mapping[str, int],
) -> Iterator[Join]:
    """For each proven claim of a fragment, its join with the oldest older claim that was there with it.

    `claimants`: the fragments of its profile that claim an identifier. Over all fragments of a profile, these
    joins and those of `joins_with_verified` tie together whatever identifiers tie together.
    """
    for claim in _proven(fragment):
        older = [
            (holder, held)
            for holder in claimants.get(claim.tenure, ())
            if holder.fragment_id != fragment.fragment_id
            for held in _proven(holder)
            if held.tenure == claim.tenure
            and held.overlaps(claim)
            and claim_age((holder, held)) < claim_age((fragment, claim))
        ]
        if older:
            holder, held = min(older, key=claim_age)
            join = claim_join(holder, held, fragment, claim, priorities)
            if join.strength == JoinStrength.PROVEN and _counts(join, matching):
                yield join


def joins_with_verified(
    own: Fragment, fragment: Fragment, matching: Matching, priorities: Mapping[str, int]
) -> Iterator[Join]:
    """The joins of a fragment with its user's own one, by what the user has verified."""
    if own.fragment_id == fragment.fragment_id:
        return
    for held in _proven(own):
        for claim in _proven(fragment):
            if held.level == EvidenceLevel.VERIFIED and held.tenure == claim.tenure and held.overlaps(claim):
                join = claim_join(own, held, fragment, claim, priorities)
                if _counts(join, matching):
                    yield join


def verified_tenures(own: Fragment) -> tuple[Tenure, ...]:
    """What a user has, or had, verified, in order."""
    return tuple(sorted({item.tenure for item in own.claims if item.level == EvidenceLevel.VERIFIED}))


def with_support(join: Join, fragments: Mapping[UUID, Fragment], view: View) -> SupportedJoin:
    """A join with what supports it."""
    one, other = fragments[join.one], fragments[join.other]
    if join.strength == JoinStrength.SAME_USER:
        return SupportedJoin(join, (_by_user(one, view), _by_user(other, view)))
    pairs = [
        (mine, theirs)
        for mine in one.claims
        for theirs in other.claims
        if mine.tenure.identifier == join.via and mine.tenure == theirs.tenure and mine.overlaps(theirs)
    ]
    exact = [pair for pair in pairs if max(claim.since for claim in pair) == join.since]
    if not exact:
        return SupportedJoin(join, (Support(join.since), Support(join.since)))
    mine, theirs = max(exact, key=_evidence_of)
    return SupportedJoin(join, (Support(mine.since, mine.level), Support(theirs.since, theirs.level)))


def shortest_path(joins: Iterable[Join], one: UUID, other: UUID) -> list[Join]:
    """The fewest joins that lead from one fragment to another; empty if none do.

    Of several joins of two fragments the one that counts first is taken.
    """
    edges: dict[UUID, dict[UUID, Join]] = {}
    for join in sorted(joins, key=lambda item: item.precedence):
        edges.setdefault(join.one, {}).setdefault(join.other, join)
        edges.setdefault(join.other, {}).setdefault(join.one, join)
    came_by: dict[UUID, Join | None] = {one: None}
    waiting = deque([one])
    while waiting and other not in came_by:
        here = waiting.popleft()
        for there, join in edges.get(here, {}).items():
            if there not in came_by:
                came_by[there] = join
                waiting.append(there)
    return _way_back(came_by, other)


def why_apart(
    graph: IdentityGraph, ones: Collection[UUID], others: Collection[UUID], view: View, guards: Guards
) -> list[ApartCause]:
    """Why the fragments of two profiles of a view are not one profile, those first that count first.

    `graph`: has these fragments, with the joins that people made of them.
    """
    here, there = (_fragments(graph, ids) for ids in (ones, others))
    users = [{user for item in side if (user := user_in(item, view)) is not None} for side in (here, there)]
    if view == "own":
        is_of_two = bool(users[0] and users[1])
        return [ApartCause("different_user" if is_of_two else "not_same_owner")]
    causes = list(_refused(graph, here, there, view, guards))
    causes += _not_joined(here, there, view, guards.matching)
    if users[0] and users[1] and not any(item.code == "different_user" for item in causes):
        causes.insert(0, ApartCause("different_user"))
    if not causes and _cross(graph, here, there, view, guards):
        causes.append(ApartCause("pending"))
    return causes


def _refused(
    graph: IdentityGraph, here: list[Fragment], there: list[Fragment], view: View, guards: Guards
) -> Iterator[ApartCause]:
    """The joins between two profiles that the guards refuse, one of each kind and identifier."""
    ids = {item.fragment_id for item in here}
    seen: set[tuple[str, str, Identifier | None]] = set()
    for item in partition(graph, [*here, *there], view, guards).refused:
        join, kind = item.join, (item.code, item.namespace, item.join.via)
        if (join.one in ids) == (join.other in ids) or kind in seen:
            continue
        seen.add(kind)
        one, other = (join.one, join.other) if join.one in ids else (join.other, join.one)
        yield ApartCause(item.code, one, other, join.via, item.namespace, join.since)


def _not_joined(
    here: Iterable[Fragment], there: Iterable[Fragment], view: View, matching: Matching
) -> Iterator[ApartCause]:
    """What the fragments of two profiles both claim and what joins them nevertheless not, once each."""
    claimed: dict[Identifier, list[tuple[Fragment, FragmentClaim]]] = {}
    for fragment in there:
        for claim in _counted(fragment, view):
            claimed.setdefault(claim.tenure.identifier, []).append((fragment, claim))
    found: dict[Identifier, ApartCause] = {}
    joined: set[Identifier] = set()
    for fragment in here:
        for claim in _counted(fragment, view):
            identifier = claim.tenure.identifier
            for other, theirs in claimed.get(identifier, ()):
                code = _why_not(claim, theirs, matching)
                if code is None:
                    joined.add(identifier)
                elif identifier not in found:
                    found[identifier] = ApartCause(code, fragment.fragment_id, other.fragment_id, identifier)
    yield from (found[item] for item in sorted(found.keys() - joined))


def _why_not(mine: FragmentClaim, theirs: FragmentClaim, matching: Matching) -> ApartCode | None:
    """Why two claims on one identifier are no join; None: they are one."""
    if mine.tenure != theirs.tenure:
        return "changed_hands"
    if not mine.overlaps(theirs):
        return "not_at_one_time"
    if max(mine.since, theirs.since) >= matching.get(mine.tenure.identifier.namespace, 0):
        return "not_matching"
    return None


def _cross(
    graph: IdentityGraph, here: list[Fragment], there: list[Fragment], view: View, guards: Guards
) -> bool:
    """Whether joins between two profiles count."""
    ids = {item.fragment_id for item in here}
    joins = joins_among(graph, [*here, *there], view, guards.matching, guards.priorities)
    return any((join.one in ids) != (join.other in ids) for join in joins)


def _fragments(graph: IdentityGraph, ids: Iterable[UUID]) -> list[Fragment]:
    return [graph.fragments[item] for item in sorted(ids) if item in graph.fragments]


def _proven(fragment: Fragment) -> Iterator[FragmentClaim]:
    return (claim for claim in fragment.claims if claim.level > EvidenceLevel.ASSERTED)


def _counted(fragment: Fragment, view: View) -> Iterable[FragmentClaim]:
    """The claims that count in a view."""
    return fragment.claims if view == "all" else _proven(fragment)


def _counts(join: Join, matching: Matching) -> bool:
    return join.via is not None and join.since < matching.get(join.via.namespace, 0)


def _by_user(fragment: Fragment, view: View) -> Support:
    return Support(max(user_since(fragment, view) or 0, fragment.began_at))


def _evidence_of(pair: tuple[FragmentClaim, FragmentClaim]) -> tuple[int, int]:
    levels = sorted(claim.level for claim in pair)
    return levels[0], levels[1]


def _way_back(came_by: Mapping[UUID, Join | None], other: UUID) -> list[Join]:
    way: list[Join] = []
    here = other
    while (join := came_by.get(here)) is not None:
        way.append(join)
        here = join.other if join.one == here else join.one
    return way[::-1]
