"""Verify: fold the whole log again and compare the outcome with the live state.

Invariants: one read-only transaction that sees one instant, scratch tables that vanish with their
connection, the same fold and the same statements as the write path. Writers go on meanwhile; nothing that
they see is locked or changed. Source: docs/concepts/log-and-fold.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import MANUAL_MERGE, MANUAL_SPLIT, LogEntry
from oneself.core.fold.replay import Touched, replay, touches
from oneself.core.resolution.footprint import footprint_of
from oneself.core.resolution.working_set import WorkingSet
from oneself.service.log.graph_fold import fold_entry, gather_graph
from oneself.store import identity_graph, working_set
from oneself.store.loaded_graph import LoadedGraph
from oneself.store.shadow import Difference, Shadow, open_shadow
from oneself.store.tables.fragment import FragmentEntry
from oneself.store.tables.log import BEGINNING
from oneself.store.transaction import Transaction

if TYPE_CHECKING:
    from oneself.store.database import Database

#: The kinds of entries that are folded last among those that are folded together.
_FOLDED_LAST = ("configure", MANUAL_SPLIT, MANUAL_MERGE)

Progress = Callable[[int, int], None]


class VerifyReport(msgspec.Struct, frozen=True):
    """What a verification found."""

    #: Entries of the log that were folded.
    entries: int
    profiles: int
    difference: Difference | None


async def verify(database: "Database", progress: Progress) -> VerifyReport:
    """Fold every dataset's log in scratch tables and compare. Calls `progress(done, total)` as it goes.

    Raises replay.Diverged if an entry that was once accepted is rejected now.
    """
    async with open_shadow(database) as shadow, shadow.snapshot():
        return await _verify(shadow, progress)


async def _verify(shadow: Shadow, progress: Progress) -> VerifyReport:
    sizes = await shadow.find_sizes()
    total = sum(sizes.values())
    done = 0
    for dataset_id in sizes:
        done = await fold_dataset(shadow.dataset(dataset_id), lambda n: progress(n, total), done)
    await shadow.begin_comparison()
    return VerifyReport(done, await shadow.count_profiles(), await shadow.find_difference())


async def fold_dataset(transaction: Transaction, progress: Callable[[int], None], done: int) -> int:
    """Fold a dataset's log into the tables of a transaction; returns `done` plus the entries folded."""
    config, configs = Config(), await transaction.log.find_configurations()
    position = BEGINNING
    while entries := await transaction.log.list_after(position):
        config = await _fold_chunk(transaction, entries, config, configs)
        position = entries[-1].seq, entries[-1].observation_id
        done += len(entries)
        progress(done)
    if config.version:
        await transaction.config.put(config)
    return done


async def _fold_chunk(
    transaction: Transaction, entries: list[LogEntry], config: Config, configs: Mapping[int, Config]
) -> Config:
    """Fold entries together up to each change of what the next ones touch, or may join."""
    for run in runs(entries):
        touched = [touches(entry, config, configs) for entry in run]
        config = await fold_run(transaction, run, touched, config, transaction.fragments.copy_entries)
    return config


def runs(entries: list[LogEntry]) -> Iterator[list[LogEntry]]:
    """The entries in stretches that are folded together."""
    start = 0
    for end, entry in enumerate(entries, 1):
        if entry.kind in _FOLDED_LAST or end == len(entries):
            yield entries[start:end]
            start = end


async def fold_run(
    transaction: Transaction,
    entries: Sequence[LogEntry],
    touched: Sequence[Touched],
    config: Config,
    put_entries: Callable[[Sequence[FragmentEntry]], Awaitable[None]],
) -> Config:
    """Fold entries together; returns the configuration that applies to the next one.

    `touched`: what each of them may touch. `put_entries`: records which fragments they belong to.
    """
    named = [
        (t.observation, t.evidence) for t in touched if t.observation is not None and t.evidence is not None
    ]
    detached = frozenset(device for t in touched for device in t.detached)
    footprint = footprint_of(
        named,
        config,
        profile_ids=frozenset[UUID]().union(*(t.profile_ids for t in touched)),
        before_seq=entries[0].seq if entries else 0,
        detached=detached,
    )
    state, _ = await working_set.gather(transaction, footprint)
    if (await transaction.read_clock()).has_separations:
        await working_set.add_separations(transaction, state)
    graph = await gather_graph(transaction, touched, config, state.known_ids)
    # Work for the processor: other requests go on meanwhile.
    config = await asyncio.to_thread(
        _fold_entries, state, graph, list(zip(entries, touched, strict=True)), config
    )
    await working_set.save(transaction, state)
    await put_entries(graph.entries)
    await identity_graph.save(transaction, graph)
    return config


def _fold_entries(
    state: WorkingSet, graph: LoadedGraph, entries: Sequence[tuple[LogEntry, Touched]], config: Config
) -> Config:
    for entry, named_by in entries:
        found = named_by
        if named_by.observation is not None and named_by.evidence is not None:
            known = graph.with_known(named_by.observation, named_by.evidence)
            found = msgspec.structs.replace(named_by, evidence=known)
        before, config = config, replay(state, entry, config, found)
        fold_entry(graph, entry, found, before, state.unified_ids)
    return config
