"""Fold people again in the view `all` from what an erasure left of their log.

Invariants: one transaction, in which these people are locked. What other people hold stays theirs. The
entries that are left get the plans of now, which are applied as recorded from then on, so that the whole log
folds to exactly this state. Source: docs/concepts/trust.md, "Erasure".
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.apply import apply_recorded
from oneself.core.fold.log_entry import EntryKey, LogEntry, observation_of
from oneself.core.fold.replay import erase, tombstone
from oneself.core.fold.resolve_again import ErasureScope, ResolvedAgain, resolve_again
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.joins import user_since
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.candidates import Candidate
from oneself.core.resolution.evidence import Evidence, extract_evidence
from oneself.core.resolution.guards import screen_candidates
from oneself.core.resolution.observation import Reindex
from oneself.core.resolution.plan import Merge, Plan
from oneself.core.resolution.resolve import is_protected
from oneself.core.resolution.working_set import WorkingSet
from oneself.store import working_set
from oneself.store.tables.claim import RecordedClaim
from oneself.store.tables.fragment import FragmentRow
from oneself.store.tables.log import NewEntry
from oneself.store.transaction import Transaction

#: The reason of a merge of people who were one through what was erased.
BRIDGE = "bridge"


class Erasing(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure that is being done."""

    #: The profiles of everybody whom it touches, in the view `all`.
    profile_ids: frozenset[UUID]
    #: The profiles that go in the view of the erasure. One that began as somebody else's browser has no
    #: profile of its own in the view `all`.
    erased_ids: tuple[UUID, ...]
    #: The log entries that go.
    entries: Collection[EntryKey]
    #: Identifiers that nobody is left to hold.
    identifiers: frozenset[Identifier]
    #: Browsers that begin anew.
    detached: frozenset[Identifier]
    #: The fragments of these people before the erasure.
    rows: Mapping[UUID, FragmentRow]
    seq: int
    config: Config


async def refold_believed(transaction: Transaction, erasing: Erasing) -> tuple[UUID, ...]:
    """Delete the entries and fold what is left; returns the profiles that are gone."""
    claims = await transaction.claims.find_of_profiles(erasing.profile_ids)
    await transaction.log.delete(erasing.entries)
    entries = await transaction.log.find_of_profiles(sorted(erasing.profile_ids))
    configs = await transaction.log.find_configurations()
    others = await _claims_of_others(transaction, erasing, entries, configs, claims)
    fragments = await transaction.fragments.find_entries(erasing.rows)
    given_up = _given_up(claims, others)
    scope = ErasureScope(
        erasing.identifiers,
        fragments,
        lambda *asked: _speaker(erasing.rows, *asked),
        erasing.profile_ids,
        lambda *asked: _is_claimed(others, *asked),
        lambda identifier, seq: seq < given_up.get(identifier, 0),
    )
    again = resolve_again(entries, configs, scope)
    await transaction.log.redact(again.entries)
    await transaction.log.delete(again.dropped)
    await transaction.log.freeze_refused(sorted(erasing.profile_ids))
    state = again.state
    _end_as_others_took(state, claims, others)
    bridges = _bridge(again, erasing)
    gone = tuple(sorted({*erasing.profile_ids, *erasing.erased_ids} - state.profiles.keys()))
    erase(state, gone, erasing.seq, erasing.detached)
    await _delete_state(transaction, erasing)
    await transaction.log.append(bridges)
    await working_set.save(transaction, state)
    await _return_devices(transaction, erasing, claims, state)
    return gone


def _speaker(rows: Mapping[UUID, FragmentRow], fragment_id: UUID, seq: int) -> str | None:
    """The user who had signed in on the browser of a fragment before a seq, or was reported for it."""
    row = rows.get(fragment_id)
    if row is None or row.fragment.browser is None:
        return None
    since = user_since(row.fragment, "proven")
    return None if since is None or since >= seq else row.fragment.user_id


async def _claims_of_others(
    transaction: Transaction,
    erasing: Erasing,
    entries: Iterable[LogEntry],
    configs: Mapping[int, Config],
    claims: Iterable[RecordedClaim],
) -> dict[Identifier, list[RecordedClaim]]:
    """Identifier → the claims that other people ever had on it, the oldest first."""
    named = {claim.identifier for claim in claims}
    for entry in entries:
        evidence = extract_evidence(observation_of(entry), configs[entry.config_version])
        named.update(evidence.identifiers)
    found: dict[Identifier, list[RecordedClaim]] = {}
    for claim in await transaction.claims.find_history(named):
        if claim.claim.profile_id not in erasing.profile_ids:
            found.setdefault(claim.identifier, []).append(claim)
    return found


def _is_claimed(others: Mapping[Identifier, list[RecordedClaim]], identifier: Identifier, seq: int) -> bool:
    return any(
        item.claim.seq < seq and (item.until_seq is None or item.until_seq > seq)
        for item in others.get(identifier, ())
    )


def _given_up(
    claims: list[RecordedClaim], others: Mapping[Identifier, list[RecordedClaim]]
) -> dict[Identifier, int]:
    """Identifier → the seq at which somebody else took what these had given up before."""
    ends: dict[Identifier, list[int | None]] = {}
    for claim in claims:
        ends.setdefault(claim.identifier, []).append(claim.until_seq)
    found: dict[Identifier, int] = {}
    for identifier, claimed in others.items():
        known = [end for end in ends.get(identifier, ()) if end is not None]
        if identifier.is_device or not known or len(known) < len(ends[identifier]):
            continue
        later = [item.claim.seq for item in claimed if item.claim.seq > max(known)]
        if later:
            found[identifier] = min(later)
    return found


def _end_as_others_took(
    state: WorkingSet, claims: list[RecordedClaim], others: Mapping[Identifier, list[RecordedClaim]]
) -> None:
    """End what other people took from these: their entries are not among the folded ones."""
    ends = {(claim.identifier, claim.until_seq) for claim in claims}
    for identifier, claimed in others.items():
        starts = [item.claim.seq for item in claimed if (identifier, item.claim.seq) in ends]
        for seq in starts:
            for claim in state.claims.get(identifier, ()):
                if claim.seq < seq:
                    state.release(claim, seq)


def _bridge(again: ResolvedAgain, erasing: Erasing) -> list[NewEntry]:
    """Merge those who were one person through what is erased, as far as they may be merged.

    Two of whom a server or a sign-in said who they are stay one only if that was proven.
    """
    state = again.state
    parts = [profile for profile in state.profiles.values() if not profile.is_absorbed]
    if len(parts) < 2:
        return []
    proven = _proven_ids(again, erasing)
    nothing = Evidence((), (), ())
    candidates = {part.profile_id: Candidate(part) for part in parts}
    survivor, *others = (
        item.profile for item in screen_candidates(candidates, nothing, None, erasing.config).accepted
    )
    entries: list[NewEntry] = []
    for other in others:
        both_protected = is_protected(state, survivor) and is_protected(state, other)
        if both_protected and proven.get(survivor.profile_id, set()).isdisjoint(
            proven.get(other.profile_id, ())
        ):
            continue
        entries.append(_merge(state, survivor, other, erasing, len(entries) + 1))
    return entries


def _merge(state: WorkingSet, survivor: Profile, other: Profile, erasing: Erasing, number: int) -> NewEntry:
    seq = erasing.seq + number
    observation = Reindex(
        observation_id=uuid.uuid4(),
        new_profile_id=uuid.uuid4(),
        interface="erasure",
        profile_id=survivor.profile_id,
    )
    plan = Plan(
        profile_id=survivor.profile_id,
        survivor_id=survivor.profile_id,
        merges=(Merge(other.profile_id, BRIDGE),),
        replays_as_recorded=True,
    )
    apply_recorded(state, observation, plan, erasing.config, seq)
    return NewEntry(seq, observation, plan, erasing.config.version)


def _proven_ids(again: ResolvedAgain, erasing: Erasing) -> dict[UUID, set[UUID]]:
    """Survivor → the profiles of the view `proven` that its fragments belonged to."""
    found: dict[UUID, set[UUID]] = {}
    for fragment_id, profile_id in again.homes.items():
        survivor, row = again.state.survivor(profile_id), erasing.rows.get(fragment_id)
        if survivor is not None and row is not None:
            found.setdefault(survivor.profile_id, set()).add(row.proven_id)
    return found


async def _delete_state(transaction: Transaction, erasing: Erasing) -> None:
    """Delete what these people have. Nobody holds their user ids until the folded state is written."""
    ordered = sorted(erasing.profile_ids)
    await transaction.profiles.put([tombstone(profile_id, erasing.seq) for profile_id in ordered])
    await transaction.claims.delete_of_profiles(ordered)
    await transaction.merges.delete_of_profiles(ordered)
    await transaction.refusals.delete_of_profiles(ordered)
    await transaction.idempotency_records.blank_of_profiles(ordered)


async def _return_devices(
    transaction: Transaction, erasing: Erasing, before: list[RecordedClaim], state: WorkingSet
) -> None:
    """Recompute who holds browsers without the claims that are gone.

    The previous holder keeps a browser until the next claim that is left, whose entry is applied as recorded
    from now on. A browser that begins anew is nobody's from the erasure on.
    """
    made = {(claim.identifier, claim.seq) for claim in state.changes.claimed}
    gone = {(item.identifier, item.claim.seq) for item in before if item.identifier.is_device} - made
    if not gone:
        return
    left = await transaction.claims.find_history({identifier for identifier, _ in gone})
    ends: list[RecordedClaim] = []
    frozen: set[tuple[int, UUID]] = set()
    for recorded in left:
        if (recorded.identifier, recorded.until_seq) not in gone:
            continue
        following = _find_next(left, recorded)
        end = erasing.seq if recorded.identifier in erasing.detached else None
        ends.append(RecordedClaim(recorded.claim, following.seq if following else end))
        if following:
            frozen.add((following.seq, following.profile_id))
    await transaction.claims.put_ends(ends)
    await transaction.log.freeze(frozen)


def _find_next(claims: list[RecordedClaim], recorded: RecordedClaim) -> Claim | None:
    """The next claim on the same identifier."""
    later = (
        other.claim
        for other in claims
        if other.identifier == recorded.identifier and other.claim.seq > recorded.claim.seq
    )
    return min(later, key=lambda claim: (claim.seq, claim.profile_id), default=None)
