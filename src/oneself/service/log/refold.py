"""Fold a part of the identity graph again from what an erasure left of the log.

Invariants: one transaction, in which the names of the part are locked. Source: docs/concepts/trust.md,
"Erasure".
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Mapping
from functools import partial
from itertools import groupby
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import LogEntry
from oneself.core.fold.replay import Touched, touches
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.kinds import policy_of
from oneself.service.log.graph_fold import fold_entry, gather_graph
from oneself.service.log.graph_part import GraphPart, find_part
from oneself.store import identity_graph
from oneself.store.change_recorder import ERASURE, ChangeRecorder, read_graph
from oneself.store.loaded_graph import LoadedGraph
from oneself.store.transaction import Transaction


async def forget_verified(transaction: Transaction, user_id: str) -> None:
    """Remove what a user verified in another dataset from the log, and fold what depended on it again.

    Needs the lock of the configuration, so that nothing is recorded meanwhile.
    """
    part = await find_part(transaction, set(), frozenset({user_id}))
    if gone := part.verifications_of(user_id):
        await transaction.log.delete(gone)
        recorder = ChangeRecorder({}, uuid.uuid4(), parted_by=ERASURE)
        await refold(transaction, part, recorder)
        await recorder.put(transaction)
        await transaction.verification_queue.put_compared(part.verified_users - {user_id})


async def refold(transaction: Transaction, part: GraphPart, recorder: ChangeRecorder) -> None:
    """Replace a part by what the log entries that are left of it fold to, erasures among them.

    `recorder`: gathers the changes for those who follow.
    """
    before = await read_graph(transaction, part.rows)
    recorder.note_graph(before, await read_graph(transaction, await fold_again(transaction, part)))


async def fold_again(transaction: Transaction, part: GraphPart) -> set[UUID]:
    """The same; returns the fragments that the part had and those that it has now."""
    believed = {row.believed_id for row in part.rows.values()}
    believed |= await transaction.log.find_profiles(part.entries)
    await _delete(transaction, part)
    configs = await transaction.log.find_configurations()
    entries = await transaction.log.find_of_fragments(
        part.entries.union(part.verifications), believed, part.rows
    )
    entries += await transaction.log.find_erasures_of(part.rows, part.devices)
    entries += await transaction.log.find_reviews_of(part.rows)
    entries += await transaction.log.find_decisions_of(part.rows)
    entries.sort(key=lambda entry: (entry.seq, entry.observation_id))
    fragment_ids = set(part.rows)
    for version, run in groupby(entries, key=lambda entry: entry.config_version):
        fragment_ids |= await fold_part(transaction, part, list(run), configs[version], configs)
    return fragment_ids


async def _delete(transaction: Transaction, part: GraphPart) -> None:
    await transaction.view_profiles.delete({key for row in part.rows.values() for key in row.view_keys})
    await transaction.browsers.delete(part.devices)
    await transaction.verified_claims.delete_of_users(part.users, part.proven)
    await transaction.person_joins.delete_of_fragments(part.rows)
    await transaction.separations.delete_of_fragments(part.rows)
    await transaction.fragments.delete(part.rows)


async def fold_part(
    transaction: Transaction,
    part: GraphPart,
    entries: list[LogEntry],
    config: Config,
    configs: Mapping[int, Config],
) -> set[UUID]:
    """Fold entries of one configuration; returns the fragments that begin.

    `configs`: by version, those that may admit more of an entry.
    """
    touched = [part.concerned(touches(entry, config, configs)) for entry in entries]
    unified = await _find_unified(transaction, touched)
    reindexed = {profile.profile_id for found in unified.values() for profile in found}
    graph = await gather_graph(transaction, touched, config, reindexed)
    # Work for the processor: other requests go on meanwhile.
    await asyncio.to_thread(_fold_entries, graph, list(zip(entries, touched, strict=True)), config, unified)
    await transaction.log.put_fragments(graph.entries)
    await identity_graph.save(transaction, graph)
    return graph.graph.fragments.keys() - graph.rows.keys()


def _fold_entries(
    graph: LoadedGraph,
    entries: list[tuple[LogEntry, Touched]],
    config: Config,
    unified: Mapping[UUID, Collection[Profile]],
) -> None:
    def unified_ids(profile_id: UUID, seq: int) -> set[UUID]:
        return {item.profile_id for item in unified[profile_id] if not item.is_absorbed or item.seq <= seq}

    for entry, found in entries:
        fold_entry(graph, entry, found, config, partial(unified_ids, seq=entry.seq))


async def _find_unified(transaction: Transaction, touched: list[Touched]) -> dict[UUID, list[Profile]]:
    """Profile that is reindexed → those that are one with it."""
    addressed = {
        observation.profile_id
        for item in touched
        if (observation := item.observation) is not None and policy_of(observation).reads_stored_values
    }
    return {item: await transaction.profiles.find_unified(item) for item in addressed if item is not None}
