"""Joins: what indicates that two fragments are one person.

A join hangs on an identifier that both held at one time, on a user whose fragments both are, on an anonymous
id that came with a tracker, or on a person's decision. Whether it counts is for `partition`.

Invariants: pure. A join does not depend on when a rule or a setting was changed.

Source: docs/concepts/trust.md, "Joins".
"""

from collections.abc import Collection, Iterator, Mapping
from enum import IntEnum
from itertools import combinations
from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import ANONYMOUS_ID, USER_ID, Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim, Tenure
from oneself.core.identity_graph.graph import DeviceTie, IdentityGraph, PersonJoin

#: Whose joins count: the owner's alone, those that are proven, or all of them.
View = Literal["own", "proven", "all"]
VIEWS: tuple[View, ...] = ("own", "proven", "all")


class JoinStrength(IntEnum):
    """The order in which joins count: the lower goes first."""

    SAME_USER = 0
    VERIFIED = 1
    PROVEN = 2
    ASSERTED = 3


#: What decides between two joins that are equally strong and old: the lower goes first.
Tie = tuple[int, int, int, int, int, int]
#: The reason of joins that people make.
MANUAL: Literal["manual"] = "manual"
#: The reason of joins by a user, also by one who gave up the account.
SAME_USER: Literal["user"] = "user"
_NO_TIE: Tie = (0, 0, 0, 0, 0, 0)
_ANONYMOUS_TIE: Tie = (1, 0, 0, 0, 0, 0)


class Join(msgspec.Struct, frozen=True):
    """Two fragments are one person."""

    strength: JoinStrength
    #: The seq of the latest observation without which it would not stand.
    since: int
    #: Ties go to verified claims, then to proven ones, then to the namespace that goes first, then to the
    #: older claim, then to what a server said of people before what it tied to a browser.
    tie: Tie
    reason: str
    one: UUID
    other: UUID
    #: What it hangs on; None: a person's decision.
    via: Identifier | None = None
    #: The seq since which it is known, if a rule or binding came after the values; 0: since `since`.
    known_since: int = 0

    @property
    def is_by_hand(self) -> bool:
        """Whether a person made it, who may join whatever is not of two users."""
        return self.reason == MANUAL and self.strength == JoinStrength.PROVEN

    @property
    def precedence(self) -> tuple[JoinStrength, int, Tie, str, UUID, UUID]:
        """The sort key in which joins count: the strongest first, then the oldest."""
        return self.strength, self.since, self.tie, self.reason, self.one, self.other

    @property
    def age(self) -> tuple[int, JoinStrength, Tie, str, UUID, UUID]:
        """The sort key of a replay: the oldest first."""
        return self.since, self.strength, self.tie, self.reason, self.one, self.other


#: Of more claimants of one identifier, not every two are compared.
CLAIMANTS_PAIRED_MAX = 20
#: With how many of the oldest ones each is compared then.
OLDEST_CLAIMANTS = 5

#: Namespace → the seq until which its rule or binding was active; a namespace that never matched is missing.
Matching = Mapping[str, int]


def joins_among(
    graph: IdentityGraph,
    fragments: Collection[Fragment],
    view: View,
    matching: Matching,
    priorities: Mapping[str, int],
) -> list[Join]:
    """Every join of these fragments that a view may count, in the order in which they count.

    `priorities`: namespace → of several joins of one moment, the lower goes first.
    """
    found = [*_of_users(graph, fragments, view)]
    if view != "own":
        members = {fragment.fragment_id for fragment in fragments}
        found += _of_identifiers(fragments, view, matching, priorities)
        found += _of_persons(graph, members, view)
        if view == "all":
            found += _of_anonymous_ids(graph, fragments, members)
    return sorted(found, key=lambda join: join.precedence)


def user_in(fragment: Fragment, view: View) -> str | None:
    """The user of a fragment in a view: in `own` only the owner, else the reported user as well."""
    if view == "own":
        return None if fragment.owner is None else fragment.owner.user_id
    return fragment.user_id


def user_since(fragment: Fragment, view: View) -> int | None:
    """The seq since which a fragment is its user's in a view; None: it has no user there.

    An owner that confirms a report counts since the report.
    """
    owner, reported = fragment.owner, fragment.reported
    if owner is None:
        return None if reported is None or view == "own" else reported.since
    if reported is None or reported.user_id != owner.user_id:
        return owner.since
    is_counted = view != "own" or owner.proof == "confirmed"
    return min(owner.since, reported.since) if is_counted else owner.since


def _of_users(graph: IdentityGraph, fragments: Collection[Fragment], view: View) -> Iterator[Join]:
    """Each fragment of a user is joined with the user's own one, else with their oldest."""
    by_user: dict[str, list[Fragment]] = {}
    for fragment in fragments:
        if (user := user_in(fragment, view)) is not None:
            by_user.setdefault(user, []).append(fragment)
    for user, members in by_user.items():
        own = graph.own_fragment(user)
        hub = own if own in members else min(members, key=lambda f: (f.began_at, f.fragment_id))
        assert hub is not None
        for member in members:
            if member is not hub:
                yield user_join(hub, member, user, view)


def user_join(hub: Fragment, member: Fragment, user: str, view: View) -> Join:
    """The join of a user's fragment with the one that all of them are joined with."""
    since = max(user_since(member, view) or 0, member.began_at, hub.began_at)
    one, other, via = hub.fragment_id, member.fragment_id, Identifier(USER_ID, user)
    return Join(JoinStrength.SAME_USER, since, _NO_TIE, SAME_USER, one, other, via)


def joins_of_newest(
    fragment: Fragment,
    holders: Mapping[Tenure, Collection[Fragment]],
    crowded: Collection[Tenure],
    matching: Matching,
    priorities: Mapping[str, int],
) -> Iterator[Join]:
    """The joins in the view `proven` of a fragment whose proven claims are the newest, by its identifiers.

    `holders`: who else has, or had, a proven claim. Of a tenure that is `crowded`, those with the oldest
    claims suffice: more than `CLAIMANTS_PAIRED_MAX` claims are known to exist.
    """
    for claim in fragment.claims:
        if claim.level == EvidenceLevel.ASSERTED:
            continue
        theirs = [
            (holder, held)
            for holder in holders.get(claim.tenure, ())
            for held in holder.claims
            if held.tenure == claim.tenure and held.level > EvidenceLevel.ASSERTED
        ]
        if claim.tenure in crowded:
            theirs = sorted(theirs, key=claim_age)[:OLDEST_CLAIMANTS]
        for holder, held in theirs:
            join = claim_join(holder, held, fragment, claim, priorities)
            if held.overlaps(claim) and join.since < matching.get(claim.tenure.identifier.namespace, 0):
                yield join


def _of_identifiers(
    fragments: Collection[Fragment], view: View, matching: Matching, priorities: Mapping[str, int]
) -> Iterator[Join]:
    hanging: dict[object, list[tuple[Fragment, FragmentClaim]]] = {}
    for fragment in fragments:
        for claim in fragment.claims:
            # A claim that was asserted joins nobody in the narrower views, and crowds nobody out.
            if view == "all" or claim.level > EvidenceLevel.ASSERTED:
                hanging.setdefault(claim.tenure, []).append((fragment, claim))
    for claimants in hanging.values():
        for (one, mine), (other, theirs) in _pairs(claimants):
            if one is other or not mine.overlaps(theirs):
                continue
            join = claim_join(one, mine, other, theirs, priorities)
            is_counted = view == "all" or join.strength < JoinStrength.ASSERTED
            if is_counted and join.since < matching.get(mine.tenure.identifier.namespace, 0):
                yield join


def _pairs(
    claimants: list[tuple[Fragment, FragmentClaim]],
) -> Iterator[tuple[tuple[Fragment, FragmentClaim], tuple[Fragment, FragmentClaim]]]:
    """Every pair; of very many claimants, each with the oldest ones."""
    if len(claimants) <= CLAIMANTS_PAIRED_MAX:
        yield from combinations(claimants, 2)
        return
    ordered = sorted(claimants, key=claim_age)
    for number, later in enumerate(ordered):
        for earlier in ordered[: min(number, OLDEST_CLAIMANTS)]:
            yield earlier, later


def claim_age(claimant: tuple[Fragment, FragmentClaim]) -> tuple[int, bool, UUID]:
    """The sort key of claims, the oldest first.

    Of one observation, what a server said goes before the browser that it tied to it: which of the two
    fragments is older depends on what the browser said before.
    """
    fragment, claim = claimant
    return claim.since, fragment.browser is not None, fragment.fragment_id


def claim_join(
    one: Fragment, mine: FragmentClaim, other: Fragment, theirs: FragmentClaim, priorities: Mapping[str, int]
) -> Join:
    """The join of two fragments by claims of them on one identifier, whether or not it counts."""
    is_verified = EvidenceLevel.VERIFIED in (mine.level, theirs.level)
    is_proven = min(mine.level, theirs.level) > EvidenceLevel.ASSERTED
    strength = JoinStrength.ASSERTED
    if is_proven:
        strength = JoinStrength.VERIFIED if is_verified else JoinStrength.PROVEN
    has_proof = max(mine.level, theirs.level) > EvidenceLevel.ASSERTED
    priority = priorities.get(mine.tenure.identifier.namespace, 0)
    older, younger = sorted((claim_age((one, mine)), claim_age((other, theirs))))
    tie = int(not is_verified), int(not has_proof), priority, older[0], int(older[1]), int(younger[1])
    first, second = sorted((one.fragment_id, other.fragment_id))
    identifier = mine.tenure.identifier
    since = max(mine.since, theirs.since)
    known_since = max(mine.known_since, theirs.known_since)
    return Join(strength, since, tie, identifier.namespace, first, second, identifier, known_since)


def _of_persons(graph: IdentityGraph, members: set[UUID], view: View) -> Iterator[Join]:
    for item in graph.person_joins:
        is_counted = view == "all" or item.level > EvidenceLevel.ASSERTED
        if is_counted and item.one in members and item.other in members:
            yield person_join(item)


def person_join(item: PersonJoin) -> Join:
    """What such a join counts for."""
    strength = JoinStrength.PROVEN if item.level > EvidenceLevel.ASSERTED else JoinStrength.ASSERTED
    if item.reason == SAME_USER:
        strength = JoinStrength.SAME_USER
    return Join(strength, item.since, _NO_TIE, item.reason, item.one, item.other)


def _of_anonymous_ids(
    graph: IdentityGraph, fragments: Collection[Fragment], members: set[UUID]
) -> Iterator[Join]:
    """A page without a tracker is the browser that its anonymous id came with, while one is unnamed."""
    by_device: dict[Identifier, list[Fragment]] = {}
    by_id = {fragment.fragment_id: fragment for fragment in fragments}
    for fragment in fragments:
        if fragment.browser is not None and fragment.browser.namespace == ANONYMOUS_ID:
            by_device.setdefault(fragment.browser, []).append(fragment)
    for tie in graph.device_ties:
        if tie.fragment_id not in members:
            continue
        for fragment in by_device.get(tie.anonymous_id, ()):
            is_unnamed = not fragment.claims or not by_id[tie.fragment_id].claims
            if is_unnamed and _tie_at(graph, tie.anonymous_id, fragment.began_at) is tie:
                since = max(tie.since, fragment.began_at)
                one, other = tie.fragment_id, fragment.fragment_id
                yield Join(
                    JoinStrength.ASSERTED, since, _ANONYMOUS_TIE, "anonymous", one, other, tie.anonymous_id
                )


def _tie_at(graph: IdentityGraph, anonymous_id: Identifier, began_at: int) -> DeviceTie | None:
    """The tie of a fragment that began then: an anonymous id that begins anew belongs to another tracker."""
    ties = (tie for tie in graph.device_ties if tie.anonymous_id == anonymous_id)
    return next((tie for tie in ties if tie.until is None or began_at < tie.until), None)
