"""The working set of a transaction: loaded from PostgreSQL, changed by `core`, written back.

Invariants: a fixed number of statements, whatever the size of the batch.
Source: docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from oneself.core.profiles.profile import Absorbed, Profile
from oneself.core.resolution.footprint import Footprint
from oneself.core.resolution.reachability import (
    Reach,
    active_later,
    find_own_identifiers,
    is_covered_by_tokens,
    reachable_profiles,
    without_simple_parts,
)
from oneself.core.resolution.working_set import Extent, WorkingSet
from oneself.errors import Contended
from oneself.store.change_recorder import ChangeRecorder
from oneself.store.tables.claim import LiveClaims
from oneself.store.tables.idempotency_record import IdempotencyRecord
from oneself.store.tables.log import NewEntry
from oneself.store.transaction import Transaction

#: How often reading what identifiers point at, and locking it, is repeated while other transactions move it.
GATHER_ROUNDS_MAX = 4


class StaleToken(Exception):
    """The token fast path does not apply: a token's profile changed, or another profile holds one of the
    identifiers. Retry with a full look-up."""


async def gather(
    transaction: Transaction, footprint: Footprint
) -> tuple[WorkingSet, dict[str, IdempotencyRecord]]:
    """The profiles and claims that a batch may touch, locked, and the idempotency records of its keys.

    Raises Contended when other transactions keep moving what is loaded, StaleToken when the footprint's token
    fast path does not apply.
    """
    if footprint.token_fast_path:
        return await _gather_by_tokens(transaction, footprint), {}
    records = await transaction.idempotency_records.find(footprint.keys)
    addressed = footprint.profile_ids | {record.profile_id for record in records.values()}
    profiles = transaction.profiles
    for _ in range(GATHER_ROUNDS_MAX):
        leaves = await profiles.find(addressed)
        believed = await transaction.fragments.find_believed_of(
            addressed - {leaf.profile_id for leaf in leaves}
        )
        leaves += await profiles.find(set(believed.values()) - addressed)
        addressed_ids = {leaf.survivor_id or leaf.profile_id for leaf in leaves}
        live, survivors = await _find_survivors(transaction, footprint, addressed_ids)
        survivor_ids = set(live.by_survivor) | addressed_ids
        if _is_unmoved(survivors, live, survivor_ids) and await _is_still_absorbed(transaction, leaves):
            complete = await _complete(transaction, footprint, leaves, survivors, live)
            complete.believed = believed
            return complete, records
    raise Contended("Other requests keep changing the same profiles.")


async def add_separations(transaction: Transaction, state: WorkingSet) -> None:
    """Add what people keep apart among the profiles of a working set."""
    survivors = {profile.profile_id for profile in state.profiles.values() if not profile.is_absorbed}
    members = await transaction.profiles.find_members(survivors)
    home = {item.profile_id: survivor_id for survivor_id, found in members.items() for item in found}
    home |= {survivor_id: survivor_id for survivor_id in survivors}
    for profile_id, sides in (await transaction.separations.find_of_believed(home)).items():
        state.add_sides(home[profile_id], sides)


async def _find_survivors(
    transaction: Transaction, footprint: Footprint, addressed_ids: set[UUID]
) -> tuple[LiveClaims, list[Profile]]:
    """What identifiers and tokens lead to, and the survivors of that and of what is addressed."""
    if footprint.lock:
        return await transaction.profiles.lock_holders(
            footprint.identifiers, footprint.primary_ids, addressed_ids
        )
    live = await transaction.claims.find(footprint.identifiers, footprint.primary_ids)
    return live, await transaction.profiles.find(addressed_ids | live.by_survivor.keys())


async def _gather_by_tokens(transaction: Transaction, footprint: Footprint) -> WorkingSet:
    """The users of tokens, locked, with the claims on what their events name, if all of it is theirs.

    The identifiers are locked already, so no other transaction can move them."""
    found = await transaction.profiles.lock_token_holders(footprint.primary_ids, footprint.identifiers)
    users = [user for user in found.profiles if not (user.is_absorbed or user.erased)]
    if found.has_moved or not len(found.profiles) == len(users) == len(footprint.primary_ids):
        raise StaleToken
    if not is_covered_by_tokens(footprint, users, found.claims, found.survivors):
        raise StaleToken
    return _working_set([], users, LiveClaims(found.claims, {}, found.survivors), {})


async def _complete(
    transaction: Transaction,
    footprint: Footprint,
    leaves: list[Profile],
    survivors: list[Profile],
    live: LiveClaims,
) -> WorkingSet:
    """The working set, with what the survivors hold themselves."""
    held = {survivor_id: claims for survivor_id, (_, claims) in live.by_survivor.items()}
    footprint = without_simple_parts(footprint, live.by_survivor)
    reached = reachable_profiles(footprint, held, live.pointers)
    await _add_own_claims(transaction, footprint, survivors, live, reached)
    survivor_ids = [survivor.profile_id for survivor in survivors]
    members = await transaction.profiles.find_members(survivor_ids) if footprint.members else {}
    working_set = _working_set(leaves, survivors, live, members)
    if late := active_later(working_set.profiles, reached):
        for profile_id, at in await transaction.log.find_activity(late, footprint.before_seq):
            working_set.note_activity(profile_id, at)
    return working_set


async def _add_own_claims(
    transaction: Transaction,
    footprint: Footprint,
    survivors: list[Profile],
    live: LiveClaims,
    reached: list[Reach],
) -> None:
    """Add what the survivors hold themselves. Their locks protect these claims: another transaction has to
    lock the profile first."""
    own = find_own_identifiers(footprint, survivors, reached)
    found = await transaction.claims.find(own - footprint.identifiers)
    for survivor in survivors:
        _, claims = found.by_survivor.get(survivor.profile_id, (0, []))
        live.by_survivor.setdefault(survivor.profile_id, (survivor.seq, []))[1].extend(claims)
        live.claims.extend(claims)


def _is_unmoved(survivors: list[Profile], live: LiveClaims, survivor_ids: set[UUID]) -> bool:
    """True if nothing moved between reading what identifiers point at and locking it."""
    if len(survivors) != len(survivor_ids):
        return False
    return all(
        not survivor.is_absorbed
        and live.by_survivor.get(survivor.profile_id, (survivor.seq, []))[0] == survivor.seq
        for survivor in survivors
    )


async def _is_still_absorbed(transaction: Transaction, leaves: list[Profile]) -> bool:
    """True if the absorbed ones among these are what they were, now that their survivors are locked: an
    erasure may have taken one out meanwhile."""
    absorbed = {leaf.profile_id: leaf for leaf in leaves if leaf.is_absorbed}
    now = await transaction.profiles.find(absorbed)
    return len(now) == len(absorbed) and all(
        (leaf.survivor_id, leaf.erased) == (absorbed[leaf.profile_id].survivor_id, False) for leaf in now
    )


def _working_set(
    leaves: list[Profile],
    survivors: list[Profile],
    live: LiveClaims,
    members: dict[UUID, tuple[Absorbed, ...]],
) -> WorkingSet:
    """The working set. The profile of a claim or of a token, when it is absorbed and not addressed, is in it
    as a pointer to its survivor."""
    present = {profile.profile_id: profile for profile in (*leaves, *survivors)}
    absorbed = {
        claim.profile_id: survivor_id
        for survivor_id, (_, claims) in live.by_survivor.items()
        for claim in claims
    }
    pointers = [
        msgspec.structs.replace(
            present[survivor_id], profile_id=profile_id, survivor_id=survivor_id, reason="pointer"
        )
        for profile_id, survivor_id in (absorbed | live.pointers).items()
        if profile_id not in present
    ]
    return WorkingSet((*pointers, *present.values()), live.claims, members)


async def save(
    transaction: Transaction,
    working_set: WorkingSet,
    entries: Sequence[NewEntry] = (),
    recorder: ChangeRecorder | None = None,
) -> None:
    """Append the new entries of the log, and write what has changed, most of it later.

    `recorder`: gathers the changes for those who follow.
    """
    changes = working_set.changes
    changed: dict[Extent, list[UUID]] = {"activity": [], "sources": [], "everything": []}
    for profile_id in changes.profiles:
        changed[working_set.extent_of_change(profile_id)].append(profile_id)
    if recorder is not None and changed["everything"]:
        recorder.note_believed(working_set, changed["everything"])
    await transaction.log.append(entries, [working_set.profiles[item] for item in changed["activity"]])
    absorbed = (record.merge.absorbed_id for record in changes.merged)
    await transaction.profiles.put_survivors(
        [(i, survivor.profile_id) for i in absorbed if (survivor := working_set.survivor(i))]
    )
    later = transaction.later
    await later.profiles.put([flat(working_set, profile_id) for profile_id in changed["everything"]])
    await later.profiles.put_sources([working_set.profiles[profile_id] for profile_id in changed["sources"]])
    await later.claims.put(changes.claimed)
    await later.merges.put(changes.merged)
    await later.refusals.put(changes.refused)
    if changes.released:
        await transaction.flush()
        await transaction.claims.release(changes.released)


def flat(working_set: WorkingSet, profile_id: UUID) -> Profile:
    """The profile, pointing straight at its survivor at the end of the batch."""
    profile = working_set.profiles[profile_id]
    survivor = working_set.survivor(profile_id)
    if survivor is None or profile.survivor_id is None:
        return profile
    return msgspec.structs.replace(profile, survivor_id=survivor.profile_id)
