"""Who has verified what: in the dataset of the accounts by what providers report, elsewhere by its record.

A verified claim is of one user at a time. Whoever verifies the same value takes it over; what was said of it
before stays with its former holder.

Invariants: pure but for the graph that it is given. A record of a verification begins no fragment: a user has
no profile in a dataset where nobody has said anything of them.

Source: docs/concepts/trust.md, "Owner"; docs/decisions/0029-verifications-in-every-dataset.md.
"""

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.claims import release
from oneself.core.identity_graph.fragment import Owner
from oneself.core.identity_graph.graph import IdentityGraph, VerifiedClaim
from oneself.core.identity_graph.owners import OwnerRules, is_claim, respelled
from oneself.core.profiles.verification import ClaimVerification
from oneself.core.values.record import Path


def settle(
    graph: IdentityGraph,
    user: str,
    path: Path,
    value: str | None,
    identifiers: tuple[Identifier, ...],
    seq: int,
) -> None:
    """Take in the value of a claim that a user has verified now; None: none is verified.

    `identifiers`: what it identifies the user by.
    """
    known = graph.verified.get((user, path))
    if known is not None and known.value != value:
        _give_up(graph, user, path, seq)
        graph.verifications.append(
            ClaimVerification(user_id=user, path=path, value=known.value, is_verified=False)
        )
    if value is not None and (user, path) not in graph.verified:
        _take_over(graph, user, path, value, seq)
        graph.verified[user, path] = VerifiedClaim(value, seq, identifiers)
        moments = (at for item in identifiers for at in graph.transfers.get(item, ()))
        graph.verifications.append(
            ClaimVerification(
                user_id=user, path=path, value=value, is_verified=True, begins=max(moments, default=0)
            )
        )


def record_verification(
    graph: IdentityGraph,
    verification: ClaimVerification,
    identifiers: tuple[Identifier, ...],
    rules: OwnerRules,
    seq: int,
) -> bool:
    """Take in what a user verified, or gave up, in another dataset; False if it is known already.

    `identifiers`: what the claim identifies the user by in this dataset.
    """
    user, value = verification.user_id, verification.value
    path = respelled(verification.path, rules.claim_paths.values())
    known = graph.verified.get((user, path))
    is_known = known is not None and known.value == value
    if is_known == verification.is_verified:
        return False
    note_identifiers(graph, path, value, identifiers)
    settle(graph, user, path, value if verification.is_verified else None, identifiers, seq)
    if verification.is_verified:
        _assign(graph, verification, path, rules, seq)
    return True


def note_identifiers(
    graph: IdentityGraph, path: Path, value: str, identifiers: tuple[Identifier, ...]
) -> None:
    """Add what a verified value identifies its users by now, if it was bound after they verified it."""
    for key, claim in graph.verified.items():
        if key[1] == path and claim.value == value:
            known = tuple(dict.fromkeys((*claim.identifiers, *identifiers)))
            graph.verified[key] = msgspec.structs.replace(claim, identifiers=known)


def _assign(
    graph: IdentityGraph, verification: ClaimVerification, path: Path, rules: OwnerRules, seq: int
) -> None:
    """Give the user what servers began with the claim since it last changed hands.

    What they began before stays without an owner: the identifier begins anew, so that what is said of it from
    now on is the user's.
    """
    older: set[Identifier] = set()
    for fragment in graph.waiting:
        claimed = {
            tenure.identifier
            for tenure in fragment.began_with
            if is_claim(tenure.identifier, path, verification.value, rules.claim_paths)
            and graph.is_present(tenure)
        }
        if claimed and fragment.began_at > verification.begins:
            owner = Owner(verification.user_id, seq, "identifier")
            graph.put(msgspec.structs.replace(fragment, owner=owner))
        else:
            older |= claimed
    for identifier in sorted(older):
        graph.transfer(identifier, seq)


def _give_up(graph: IdentityGraph, user: str, path: Path, seq: int) -> None:
    """A verified claim ends: its identifiers begin anew."""
    claim, own = graph.verified.pop((user, path)), graph.own_fragment(user)
    for identifier in claim.identifiers:
        if own is not None:
            own = release(graph, own, identifier, seq)
        graph.transfer(identifier, seq)


def _take_over(graph: IdentityGraph, user: str, path: Path, value: str, seq: int) -> None:
    """Another user who proved the same before loses it."""
    for (other, claimed), claim in list(graph.verified.items()):
        if other != user and claimed == path and claim.value == value:
            _give_up(graph, other, path, seq)
