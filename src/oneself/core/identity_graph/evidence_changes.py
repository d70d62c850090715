"""What is new in the proven evidence of a fragment.

Invariants: pure.

Source: docs/concepts/trust.md, "Joins".
"""

from typing import Any

import msgspec

from oneself.core.identity_graph.fragment import Fragment, FragmentClaim
from oneself.core.identity_graph.names import proven_claims
from oneself.core.identity_graph.replay import own_identity


def has_new_evidence(before: Fragment | None, after: Fragment) -> bool:
    """Whether what decides with whom a fragment is in the stored views changed."""
    if before is not None and before.claims is after.claims and after.origin != "user":
        return (before.owner, before.reported) != (after.owner, after.reported)
    return _evidence(after) != _evidence(before)


def only_ends_claims(before: Fragment | None, after: Fragment) -> bool:
    """Whether nothing of the proven evidence of a fragment changed but that claims ended.

    What two fragments held at one time joins them for ever.
    """
    return (
        before is not None
        and (before.owner, before.reported) == (after.owner, after.reported)
        and own_identity((before,)) == own_identity((after,))
        and begun_claims(before) == begun_claims(after)
    )


def new_claims(before: Fragment | None, after: Fragment) -> tuple[FragmentClaim, ...]:
    """The proven claims that a fragment had not before."""
    known = begun_claims(before)
    return tuple(claim for claim in proven_claims(after) if _began(claim) not in known)


def begun_claims(fragment: Fragment | None) -> frozenset[FragmentClaim]:
    """The proven claims of a fragment, whether or not they have ended."""
    return frozenset[FragmentClaim]() if fragment is None else frozenset(map(_began, proven_claims(fragment)))


def _evidence(fragment: Fragment | None) -> tuple[Any, ...]:
    """What decides with whom a fragment is in the stored views, and what it hides of the others there."""
    if fragment is None:
        return None, None, (), frozenset()
    return fragment.owner, fragment.reported, proven_claims(fragment), own_identity((fragment,))


def _began(claim: FragmentClaim) -> FragmentClaim:
    return msgspec.structs.replace(claim, until=None)
