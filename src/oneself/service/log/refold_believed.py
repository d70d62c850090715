"""Fold people again in the view `all` from what an erasure left of their log.

Invariants: one transaction, in which these people are locked. What other people hold stays theirs. The
entries that are left get the plans of now, which are applied as recorded from then on, so that the whole log
folds to exactly this state. Source: docs/concepts/trust.md, "Erasure".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import EntryKey
from oneself.core.fold.replay import erase
from oneself.core.fold.resolve_again import ResolvedAgain, resolve_again
from oneself.core.identity.identifier import Identifier
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.candidates import Candidate, is_protected
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.guards import screen_candidates
from oneself.core.resolution.plan import Merge, Plan
from oneself.core.resolution.working_set import WorkingSet
from oneself.service.log.believed_profiles import (
    apply_plan,
    delete_state,
    load_log,
    load_profiles,
    origins,
    return_devices,
)
from oneself.store import working_set
from oneself.store.change_recorder import ChangeRecorder
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


async def refold_believed(
    transaction: Transaction, erasing: Erasing, recorder: ChangeRecorder
) -> tuple[UUID, ...]:
    """Delete the entries and fold what is left; returns the profiles that are gone.

    `recorder`: gathers the changes for those who follow.
    """
    former = await transaction.profiles.find(erasing.profile_ids)
    await transaction.log.delete(erasing.entries)
    log = await load_log(transaction, erasing.profile_ids, erasing.rows)
    believed = await load_profiles(transaction, erasing.profile_ids, erasing.rows, log)
    again = resolve_again(believed.log.entries, believed.log.configs, believed.scope(erasing.identifiers))
    await transaction.log.redact(again.entries)
    await transaction.log.delete(again.dropped)
    await transaction.log.freeze_refused(sorted(erasing.profile_ids))
    state = again.state
    believed.end_as_others_took(state)
    bridges = _bridge(again, erasing)
    gone = tuple(sorted({*erasing.profile_ids, *erasing.erased_ids} - state.profiles.keys()))
    erase(state, gone, erasing.seq, erasing.detached)
    recorder.compare_believed(
        {item.profile_id: item for item in former},
        state.profiles,
        origins=origins(believed.log.entries, again.entries),
    )
    await delete_state(transaction, believed, erasing.seq)
    await transaction.idempotency_records.blank_of_profiles(sorted(erasing.profile_ids))
    await transaction.log.append(bridges)
    await working_set.save(transaction, state)
    await transaction.flush()
    await return_devices(transaction, believed, state, erasing.detached, erasing.seq)
    return gone


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
        item.profile
        for item in screen_candidates(
            candidates, nothing, None, erasing.config, are_separated=state.are_separated
        ).accepted
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
    plan = Plan(
        profile_id=survivor.profile_id,
        survivor_id=survivor.profile_id,
        merges=(Merge(other.profile_id, BRIDGE),),
    )
    return apply_plan(state, plan, erasing.config, erasing.seq + number, "erasure")


def _proven_ids(again: ResolvedAgain, erasing: Erasing) -> dict[UUID, set[UUID]]:
    """Survivor → the profiles of the view `proven` that its fragments belonged to."""
    found: dict[UUID, set[UUID]] = {}
    for fragment_id, profile_id in again.homes.items():
        survivor, row = again.state.survivor(profile_id), erasing.rows.get(fragment_id)
        if survivor is not None and row is not None:
            found.setdefault(survivor.profile_id, set()).add(row.proven_id)
    return found
