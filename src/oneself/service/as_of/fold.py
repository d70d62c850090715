"""Fold the surroundings of a profile up to an instant, and part from it what is no part of it today.

Invariants: the functions of the write path, on the scratch tables of one connection.

Source: docs/decisions/0047-as-of.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from itertools import groupby
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import Bridge, Erased, LogEntry, ManualSplit
from oneself.core.fold.replay import touches
from oneself.core.identity_graph.joins import View
from oneself.service.as_of.surroundings import Surroundings, copied_entries
from oneself.service.log.graph_part import GraphPart
from oneself.service.log.refold import fold_part
from oneself.service.log.verify import fold_run, runs
from oneself.store import identity_graph
from oneself.store.as_of import ScratchLog
from oneself.store.tables.log import ENTRIES_PER_CHUNK
from oneself.store.transaction import Transaction


async def fold_surroundings(
    scratch: ScratchLog, found: Surroundings, view: View, configs: Mapping[int, Config]
) -> None:
    """Fold the copied entries. Needs `show_folded`. `configs`: by version, up to the instant."""
    transaction = scratch.transaction
    if view != "all":
        await scratch.put_believed()
    entries = [entry async for entry in copied_entries(scratch)]
    for version, of_version in groupby(entries, key=lambda entry: entry.config_version):
        for run in runs(list(of_version)):
            for start in range(0, len(run), ENTRIES_PER_CHUNK):
                chunk, config = run[start : start + ENTRIES_PER_CHUNK], configs[version]
                if view == "all":
                    await _fold_believed(transaction, found.part, chunk, config, configs)
                else:
                    await fold_part(transaction, found.part, chunk, config, configs)


async def _fold_believed(
    transaction: Transaction,
    part: GraphPart,
    entries: list[LogEntry],
    config: Config,
    configs: Mapping[int, Config],
) -> None:
    touched = [part.concerned(touches(entry, config, configs)) for entry in entries]
    await fold_run(transaction, entries, touched, config, transaction.log.put_fragments)


async def bridge(transaction: Transaction, bridges: Collection[Bridge], config: Config, seq: int) -> None:
    """Join the neighbours of what was erased since, as it had joined them at the instant.

    `seq`: later than everything that is folded.
    """
    if bridges:
        ends = {end for item in bridges for end in (item.one, item.other)}
        graph = await identity_graph.gather_decided(transaction, ends, config)
        graph.bridge(bridges, seq)
        await identity_graph.save(transaction, graph)


def bridges_until(erasures: Collection[LogEntry], until: int) -> list[Bridge]:
    """The joins that stood at an instant through what was erased after it."""
    later = (msgspec.convert(entry.content, Erased) for entry in erasures if entry.seq > until)
    return [item for erased in later for item in erased.bridges if item.since <= until]


async def part_from(
    transaction: Transaction, kept: set[UUID], left: set[UUID], config: Config, seq: int
) -> None:
    """Part fragments as a person would, in the views `own` and `proven`. `seq`: as of `bridge`."""
    split = ManualSplit(
        interface="as_of",
        view="proven",
        fragment_ids=(*sorted(kept), *sorted(left)),
        sides=(*(0 for _ in kept), *(1 for _ in left)),
    )
    graph = await identity_graph.gather_decided(transaction, kept | left, config)
    graph.split(split, uuid.uuid4(), seq)
    await identity_graph.save(transaction, graph)
