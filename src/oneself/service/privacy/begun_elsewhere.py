"""What servers began in one dataset with the addresses that a user verified in another.

Users verify their addresses in the dataset `default`, their home. In each other dataset they own what a
server began with an address while it was theirs. The record of who verified what gives it its owner, but it
comes a little later, and of former holders there may be none. So an erasure goes by the periods of the home.

Invariants: read-only. The older verification goes first, and what was said of an address before it changed
hands stays with its former holder.

Source: docs/concepts/trust.md, "Erasure"; docs/decisions/0025-ownership-in-other-datasets.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

import msgspec

from oneself.core.fold.log_entry import EntryKey
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import FragmentClaim
from oneself.core.identity_graph.graph import VerifiedClaim
from oneself.core.identity_graph.owners import is_claim, respelled
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.units import SEQ_MAX
from oneself.core.values.record import Path
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Tables

#: Namespace → the path of the provider claim that it mirrors or is bound to.
_ClaimPaths = Mapping[str, Path]
#: Identifier → the seqs at which it changed hands.
_Transfers = Mapping[Identifier, tuple[int, ...]]


class VerifiedPeriod(msgspec.Struct, frozen=True):
    """How long a provider claim that a user verified was theirs. Instants are seqs of the home dataset."""

    path: Path
    value: str
    #: The verification.
    verified_at: int
    #: The user has what was said after the first and up to the second.
    begins: int
    ends: int = SEQ_MAX

    def is_of(self, identifier: Identifier, paths: _ClaimPaths) -> bool:
        """Whether an identifier of another dataset is this claim."""
        return is_claim(identifier, self.path, self.value, paths)


_Proofs = tuple[VerifiedPeriod, ...]


class BegunFragment(msgspec.Struct, frozen=True):
    """A fragment that a server began with a verified address of a user."""

    row: FragmentRow
    #: What was said of it while the address was the user's.
    entries: frozenset[EntryKey]
    #: The identifiers that the user verified.
    verified: frozenset[Identifier]


async def find_begun(tables: Tables, home: Tables, user_id: str) -> list[BegunFragment]:
    """The fragments of a dataset that servers began with verified addresses of a user.

    `home`: the dataset in which the user verified them.
    """
    every = await _find_periods(home, user_id)
    paths = _spelled_as_at_home(graph_rules(await tables.config.find()).owners.claim_paths, every)
    periods = [period for period in every if period.path in paths.values()]
    named = [Identifier(name, p.value) for p in periods for name, path in paths.items() if path == p.path]
    rows = await tables.fragments.find(await tables.fragments.find_proven_claimants(named))
    owned = [(row, proofs) for row in rows if (proofs := _proofs_of(row, user_id, periods, paths))]
    older = await _find_older(home, user_id, owned, paths)
    theirs = [(row, proofs) for row, proofs in owned if row.fragment.fragment_id not in older]
    entries = await tables.fragments.find_entries(row.fragment.fragment_id for row, _ in theirs)
    found = (_begun(row, proofs, entries, paths) for row, proofs in theirs)
    return [item for item in found if item.entries]


def _spelled_as_at_home(paths: _ClaimPaths, periods: Iterable[VerifiedPeriod]) -> _ClaimPaths:
    """The paths of provider claims in another dataset, in the spelling of the dataset that has the claims."""
    known = [period.path for period in periods]
    return {name: respelled(path, known) for name, path in paths.items()}


async def _find_periods(home: Tables, user_id: str) -> list[VerifiedPeriod]:
    """The provider claims that a user verified, present and given up."""
    claims = await home.verified_claims.find([user_id], ())
    own = await home.fragments.find((), [user_id])
    former = [claim for row in own for claim in row.fragment.claims if _is_given_up(claim)]
    identifiers = {item for claim in claims.values() for item in claim.identifiers}
    identifiers |= {claim.tenure.identifier for claim in former}
    transfers = await home.verified_claims.find_transfers(identifiers)
    paths = graph_rules(await home.config.find()).owners.claim_paths
    present = [_present_period(path, claim, transfers) for (_, path), claim in claims.items()]
    return [*present, *_former_periods(former, transfers, paths)]


def _is_given_up(claim: FragmentClaim) -> bool:
    return claim.level == EvidenceLevel.VERIFIED and not claim.is_present


def _present_period(path: Path, claim: VerifiedClaim, transfers: _Transfers) -> VerifiedPeriod:
    """The period of a verified claim since its identifiers last changed hands."""
    moments = (at for item in claim.identifiers for at in transfers.get(item, ()) if at <= claim.since)
    return VerifiedPeriod(path, claim.value, claim.since, max(moments, default=0))


def _former_periods(
    claims: Iterable[FragmentClaim], transfers: _Transfers, paths: _ClaimPaths
) -> Iterator[VerifiedPeriod]:
    """The periods of claims that were given up, known by the identifiers that they were."""
    for claim in claims:
        identifier, number = claim.tenure.identifier, claim.tenure.number
        if identifier.namespace in paths and claim.until is not None:
            begins = transfers[identifier][number - 1] if number else 0
            yield VerifiedPeriod(
                paths[identifier.namespace], identifier.value, claim.since, begins, claim.until
            )


def _proofs_of(
    row: FragmentRow, user_id: str, periods: Iterable[VerifiedPeriod], paths: _ClaimPaths
) -> _Proofs:
    """The verified claims that a server began a fragment with, which is nobody else's.

    What an identifier proved to be the user's may have words of the next holder of the address: the record of
    who verified what is a little later than the verification.
    """
    owner = row.fragment.owner
    if owner is not None and (owner.user_id, owner.proof) != (user_id, "identifier"):
        return ()
    began_with = [tenure.identifier for tenure in row.fragment.began_with]
    return tuple(p for p in periods if any(p.is_of(identifier, paths) for identifier in began_with))


async def _find_older(
    home: Tables, user_id: str, owned: Iterable[tuple[FragmentRow, _Proofs]], paths: _ClaimPaths
) -> set[UUID]:
    """The fragments that another user proved earlier, by another address that a server began them with."""
    named = {row.fragment.fragment_id: _named_values(row, paths) for row, _ in owned}
    claims = await home.verified_claims.find((), frozenset().union(*named.values()))
    others = {
        (path, claim.value.lower(), claim.since) for (user, path), claim in claims.items() if user != user_id
    }
    return {
        row.fragment.fragment_id
        for row, proofs in owned
        for path, value, since in others
        if since < min(proof.verified_at for proof in proofs)
        and (path, value) in {(known, text.lower()) for known, text in named[row.fragment.fragment_id]}
    }


def _named_values(row: FragmentRow, paths: _ClaimPaths) -> frozenset[tuple[Path, str]]:
    identifiers = (tenure.identifier for tenure in row.fragment.began_with)
    return frozenset((paths[item.namespace], item.value) for item in identifiers if item.namespace in paths)


def _begun(
    row: FragmentRow, proofs: _Proofs, entries: Mapping[EntryKey, UUID], paths: _ClaimPaths
) -> BegunFragment:
    fragment_id = row.fragment.fragment_id
    named = (tenure.identifier for tenure in row.fragment.began_with)
    return BegunFragment(
        row,
        frozenset(
            key
            for key, owner in entries.items()
            if owner == fragment_id and any(proof.begins < key[0] <= proof.ends for proof in proofs)
        ),
        frozenset(item for item in named if any(proof.is_of(item, paths) for proof in proofs)),
    )
