"""Write what a fold of people of the view `all` has changed, and leave what it has not.

Mostly a fold takes a small part out of somebody, or adds one: of very many rows, few change.

Invariants: in the transaction that has read and locked these people. Afterwards their rows are those of the
fold, as if all had been written anew.

Source: docs/decisions/0056-decisions-about-very-large-people.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from oneself.core.fold.log_entry import EntryKey, LogEntry, recorded_plan
from oneself.core.fold.replay import tombstone
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.working_set import MergeRecord, WorkingSet
from oneself.service.log.believed_profiles import BelievedProfiles
from oneself.store import rows
from oneself.store.tables.log import NewEntry
from oneself.store.transaction import Transaction
from oneself.store.working_set import flat


async def put_entries(
    transaction: Transaction, before: Iterable[LogEntry], after: Iterable[LogEntry], new: list[NewEntry]
) -> None:
    """Write entries as they are folded now, and append new ones; all are applied as recorded from now on."""
    # Work for the processor: other requests go on meanwhile.
    changed, frozen = await asyncio.to_thread(_differing, before, after)
    await transaction.log.redact(changed)
    await transaction.log.freeze_entries(frozen)
    await transaction.log.append(new)


def _differing(
    before: Iterable[LogEntry], after: Iterable[LogEntry]
) -> tuple[list[LogEntry], list[EntryKey]]:
    """The entries that a fold has changed, and those of which it has changed only how they are applied."""
    known = {(entry.seq, entry.observation_id): entry for entry in before}
    changed: list[LogEntry] = []
    frozen: list[EntryKey] = []
    for entry in after:
        key = entry.seq, entry.observation_id
        if not _is_same(known[key], entry):
            changed.append(entry)
        elif known[key].replay != entry.replay:
            frozen.append(key)
    return changed, frozen


async def put_state(
    transaction: Transaction,
    believed: BelievedProfiles,
    former: Mapping[UUID, Profile],
    state: WorkingSet,
    seq: int,
) -> None:
    """Replace what these people have. `former`: their profiles. `seq`: from which no row is left."""
    await _put_profiles(transaction, former, state, seq)
    await _put_claims(transaction, believed, state)
    await _put_merges(transaction, believed.profile_ids, state.changes.merged)
    await _put_refusals(transaction, believed.profile_ids, state)


def _is_same(before: LogEntry, after: LogEntry) -> bool:
    """Whether the fold has changed nothing of an entry but that it is applied as recorded."""
    return (
        before.profile_id == after.profile_id
        and before.content_redacted == after.content_redacted
        and before.content == after.content
        and recorded_plan(before) == recorded_plan(after)
    )


async def _put_profiles(
    transaction: Transaction, former: Mapping[UUID, Profile], state: WorkingSet, seq: int
) -> None:
    now = [flat(state, item) for item in state.profiles]
    changed = [item for item in now if former.get(item.profile_id) != item]
    # Nobody holds a user id that another one of them gets.
    users = [item for item in changed if _user_of(former.get(item.profile_id)) not in (None, item.user_id)]
    await transaction.profiles.put([tombstone(item.profile_id, seq) for item in users])
    await transaction.profiles.put(changed)


def _user_of(profile: Profile | None) -> str | None:
    return None if profile is None else profile.user_id


async def _put_claims(transaction: Transaction, believed: BelievedProfiles, state: WorkingSet) -> None:
    ends = dict(state.changes.released)
    before = {item.claim: item.until_seq for item in believed.claims}
    after = {claim: ends.get(claim) for claim in state.changes.claimed}
    gone = [claim for claim, end in before.items() if claim not in after or after[claim] != end]
    new = [claim for claim, end in after.items() if claim not in before or before[claim] != end]
    await transaction.claims.delete(gone)
    await transaction.claims.put(new)
    await transaction.claims.release(_ended(new, ends))


def _ended(claims: Iterable[Claim], ends: Mapping[Claim, int]) -> list[tuple[Claim, int]]:
    return [(claim, ends[claim]) for claim in claims if claim in ends]


async def _put_merges(
    transaction: Transaction, profile_ids: Iterable[UUID], merged: Iterable[MergeRecord]
) -> None:
    found = await transaction.merges.find_of_profiles(sorted(profile_ids))
    before = {(row["absorbed_id"], row["seq"]): _merge_values(row) for row in found}
    after = {(item.merge.absorbed_id, item.seq): item for item in merged}
    values = {key: rows.merge_row(item)[2:] for key, item in after.items()}
    await transaction.merges.delete([key for key in before if values.get(key) != before[key]])
    await transaction.merges.put([item for key, item in after.items() if before.get(key) != values[key]])


def _merge_values(row: Mapping[str, Any]) -> tuple[object, ...]:
    names = ("survivor_id", "reason", "namespace", "value", "observation_id")
    return tuple(row[name] for name in names)


async def _put_refusals(transaction: Transaction, profile_ids: Iterable[UUID], state: WorkingSet) -> None:
    concerned = set(profile_ids)
    found = await transaction.refusals.find_of_profiles(sorted(concerned))
    names = ("code", "profile_id", "other_id", "namespace", "first_seq", "last_seq", "times")
    before = {tuple(row[name] for name in names) for row in found if row["profile_id"] in concerned}
    after = {*zip(*rows.refusal_columns(state.changes.refused), strict=True)}
    changed = {row[1] for row in before ^ after}
    await transaction.refusals.delete_of_profiles(sorted(changed))
    await transaction.refusals.put([item for item in state.changes.refused if item.profile_id in changed])
