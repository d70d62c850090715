"""Claims of fragments: which identifiers a fragment holds, since when and until when.

Invariants: an asserted identifier never ends a proven claim, unless the dataset trusts the newest.

Source: docs/concepts/trust.md, "Evidence" and "Proof goes first".
"""

from collections.abc import Iterable

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim, Tenure
from oneself.core.identity_graph.graph import IdentityGraph


def hold(
    graph: IdentityGraph,
    fragment: Fragment,
    identifiers: Iterable[Identifier],
    level: EvidenceLevel,
    seq: int,
    at: int,
    *,
    newest_wins: bool,
) -> Fragment:
    """The fragment with claims on these identifiers.

    In each namespace that they name, they are all that the fragment holds from now on.
    `at`: when it was named, in µs since 1970.
    `newest_wins`: whether an asserted identifier replaces a proven one.
    """
    named: dict[str, set[Tenure]] = {}
    for identifier in sorted(identifiers):
        tenure = graph.tenure_of(identifier, at, level)
        named.setdefault(identifier.namespace, set()).add(tenure)
    claims = fragment.claims
    for namespace, tenures in named.items():
        new = [tenure for tenure in sorted(tenures) if not _holds(claims, tenure, level)]
        if new:
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
    return graph.put(msgspec.structs.replace(fragment, claims=claims))


def release(graph: IdentityGraph, fragment: Fragment, identifier: Identifier, seq: int) -> Fragment:
    """The fragment without its claims on an identifier."""
    claims = tuple(
        _ended(claim, seq) if claim.tenure.identifier == identifier else claim for claim in fragment.claims
    )
    return graph.put(msgspec.structs.replace(fragment, claims=claims))


def _holds(claims: tuple[FragmentClaim, ...], tenure: Tenure, level: EvidenceLevel) -> bool:
    return any(claim.is_present and claim.tenure == tenure and claim.level >= level for claim in claims)


def _gives_way(claim: FragmentClaim, level: EvidenceLevel, at: int, *, newest_wins: bool) -> bool:
    is_as_strong = level > EvidenceLevel.ASSERTED or claim.level == EvidenceLevel.ASSERTED
    return at >= claim.at and (is_as_strong or newest_wins)


def _ended(claim: FragmentClaim, seq: int) -> FragmentClaim:
    return claim if claim.until is not None else msgspec.structs.replace(claim, until=seq)
