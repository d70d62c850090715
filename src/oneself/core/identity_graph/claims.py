"""Claims of fragments: which identifiers a fragment holds, since when and until when.

Invariants: an asserted identifier never ends a proven claim, unless the dataset trusts the newest.

Source: docs/concepts/trust.md, "Evidence" and "Proof goes first".
"""

from collections.abc import Collection

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim, Tenure
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.resolution.observation import FormerTime

#: How many claims a fragment keeps that were asserted and have ended; the oldest are dropped. They matter
#: only for what the business believes of the past.
ENDED_CLAIMS_MAX = 100


def hold(
    graph: IdentityGraph,
    fragment: Fragment,
    identifiers: Collection[Identifier],
    level: EvidenceLevel,
    seq: int,
    at: int,
    *,
    newest_wins: bool,
    rewritten: Collection[str] = (),
) -> Fragment:
    """The fragment with claims on these identifiers.

    In each namespace that they name, they are all that the fragment holds from now on; so they are in the
    namespaces of attributes that are `rewritten`, or are part of these.
    `at`: when it was named, in µs since 1970.
    `newest_wins`: whether an asserted identifier replaces a proven one.
    """
    if not identifiers and not (rewritten and fragment.claims):
        return fragment
    names = frozenset(rewritten)
    held = {claim.tenure.identifier.namespace for claim in fragment.present_claims}
    named: dict[str, set[Tenure]] = {name: set() for name in sorted(held) if _is_rewritten(name, names)}
    for identifier in sorted(identifiers):
        tenure = graph.tenure_of(identifier, at, level)
        named.setdefault(identifier.namespace, set()).add(tenure)
    claims = fragment.claims
    for namespace, tenures in named.items():
        new = [tenure for tenure in sorted(tenures) if not _holds(claims, tenure, level)]
        if new or _is_emptied(claims, namespace, tenures):
            claims = tuple(
                _ended(claim, seq)
                if claim.tenure.identifier.namespace == namespace
                and claim.tenure not in tenures
                and _gives_way(claim, level, at, newest_wins=newest_wins)
                else claim
                for claim in claims
            )
            claims = (*claims, *(FragmentClaim(tenure, level, seq, at=at) for tenure in new))
    if claims is fragment.claims:
        return fragment
    return graph.put(msgspec.structs.replace(fragment, claims=_bounded(claims)))


def hold_stored(
    graph: IdentityGraph,
    fragment: Fragment,
    namespace: str,
    identifiers: Collection[Identifier],
    level: EvidenceLevel,
    since: int,
    known_since: int,
    *,
    newest_wins: bool,
) -> Fragment:
    """The fragment with claims on values that it has stored since `since`, before anything matched them.

    `known_since`: the seq since which something does. `newest_wins`: as in `hold`.

    They are all that it holds in the namespace from then on, but for what it was said to hold later. What
    they replaced while nothing matched ended then. A claim that was made when they came stays as it is.
    """
    tenures = {graph.tenure_of(identifier, since, level) for identifier in identifiers}
    others = {
        claim
        for claim in fragment.claims
        if claim.tenure.identifier.namespace == namespace and claim.tenure.identifier not in identifiers
    }
    claims = tuple(
        _ended(claim, since)
        if claim in others
        and claim.since <= since
        and _gives_way(claim, level, since, newest_wins=newest_wins)
        else claim
        for claim in fragment.claims
    )
    for tenure in sorted(tenures):
        stored = FragmentClaim(tenure, level, since, at=since, known_since=known_since)
        if not (_holds(claims, tenure, level) or _was_made(claims, stored)):
            later = (
                claim.since
                for claim in others
                if claim.since > since and _gives_way(stored, claim.level, claim.at, newest_wins=newest_wins)
            )
            claims = (*claims, msgspec.structs.replace(stored, until=min(later, default=None)))
    return graph.put(msgspec.structs.replace(fragment, claims=claims))


def hold_former(
    graph: IdentityGraph,
    fragment: Fragment,
    identifiers: Collection[Identifier],
    former: FormerTime,
    known_since: int,
) -> Fragment:
    """The fragment with claims on what servers said it was, until something else took its place.

    `known_since`: as in `hold_stored`. A claim that lasts as long stays as it is.
    """
    claims = fragment.claims
    for identifier in sorted(identifiers):
        tenure = graph.tenure_of(identifier, former.at, EvidenceLevel.PROVEN)
        claim = FragmentClaim(
            tenure, EvidenceLevel.PROVEN, former.since, former.until, former.at, known_since
        )
        if not any(known.tenure == tenure and covers(known, claim) for known in claims):
            claims = (*claims, claim)
    if claims is fragment.claims:
        return fragment
    return graph.put(msgspec.structs.replace(fragment, claims=claims))


def covers(known: FragmentClaim, former: FragmentClaim) -> bool:
    """Whether a claim on the same identifier says all that one which has ended would say."""
    assert former.until is not None
    lasts = known.since <= former.since and (known.until is None or known.until >= former.until)
    return lasts and known.level >= former.level


def release(graph: IdentityGraph, fragment: Fragment, identifier: Identifier, seq: int) -> Fragment:
    """The fragment without its claims on an identifier."""
    claims = tuple(
        _ended(claim, seq) if claim.tenure.identifier == identifier else claim for claim in fragment.claims
    )
    return graph.put(msgspec.structs.replace(fragment, claims=claims))


def _bounded(claims: tuple[FragmentClaim, ...]) -> tuple[FragmentClaim, ...]:
    ended = [item for item in claims if item.until is not None and item.level == EvidenceLevel.ASSERTED]
    dropped = ended[: max(0, len(ended) - ENDED_CLAIMS_MAX)]
    return tuple(item for item in claims if item not in dropped) if dropped else claims


def _is_rewritten(namespace: str, names: frozenset[str]) -> bool:
    parts = namespace.split(".")
    return any(".".join(parts[:depth]) in names for depth in range(len(parts), 0, -1))


def _is_emptied(claims: tuple[FragmentClaim, ...], namespace: str, tenures: set[Tenure]) -> bool:
    """Whether a write removed the last value that a fragment holds in a namespace."""
    return not tenures and any(
        claim.is_present and claim.tenure.identifier.namespace == namespace for claim in claims
    )


def _holds(claims: tuple[FragmentClaim, ...], tenure: Tenure, level: EvidenceLevel) -> bool:
    return any(claim.is_present and claim.tenure == tenure and claim.level >= level for claim in claims)


def _was_made(claims: tuple[FragmentClaim, ...], stored: FragmentClaim) -> bool:
    """Whether a value was claimed when it was stored, or later, though the claim may have ended."""
    return any(
        claim.tenure == stored.tenure and claim.level >= stored.level and claim.since >= stored.since
        for claim in claims
    )


def _gives_way(claim: FragmentClaim, level: EvidenceLevel, at: int, *, newest_wins: bool) -> bool:
    is_as_strong = level > EvidenceLevel.ASSERTED or claim.level == EvidenceLevel.ASSERTED
    return at >= claim.at and (is_as_strong or newest_wins)


def _ended(claim: FragmentClaim, seq: int) -> FragmentClaim:
    return claim if claim.until is not None else msgspec.structs.replace(claim, until=seq)
