"""Fold log entries into the identity graph: the whole log, or what an erasure left of a part of it.

Invariants: the same fold as in the write path. Source: docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import LogEntry, ManualSplit, config_of
from oneself.core.fold.replay import Touched
from oneself.core.identity_graph.footprint import graph_footprint
from oneself.core.identity_graph.observe import Observed
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.evidence import extract_evidence
from oneself.store import identity_graph
from oneself.store.loaded_graph import LoadedGraph
from oneself.store.tables.log import ChangingEntry
from oneself.store.transaction import Transaction


async def gather_graph(
    transaction: Transaction, touched: Sequence[Touched], config: Config, reindexed: Collection[UUID]
) -> LoadedGraph:
    """What entries may touch of the identity graph. `reindexed`: profiles that a job may reindex."""
    rules = graph_rules(config)
    footprint = graph_footprint(
        [
            (t.observation, t.evidence)
            for t in touched
            if t.observation is not None and t.evidence is not None
        ],
        config,
        rules,
        [device for t in touched for device in t.detached],
        _joined(touched),
        [t.verification for t in touched if t.verification is not None],
    )
    graph = await identity_graph.gather(transaction, footprint, rules, reindexed)
    if decided := {item for t in touched if t.decided is not None for item in t.decided.fragment_ids}:
        await identity_graph.add_decisions(transaction, graph, decided)
    return graph


def observed_then(entry: ChangingEntry, configs: Mapping[int, Config]) -> Observed:
    """What an entry says by itself, by the configuration of its time. `configs`: by version."""
    config = config_of(entry, configs)
    evidence = extract_evidence(entry.observation, config)
    return Observed(entry.observation, evidence, entry.seq, config, graph_rules(config))


def fold_entry(
    graph: LoadedGraph,
    entry: LogEntry,
    touched: Touched,
    config: Config,
    unified_ids: Callable[[UUID], Collection[UUID]],
) -> None:
    """Fold an entry. `config`: by which it was recorded. `unified_ids`: profile → those one with it then."""
    graph.detach(touched.detached, entry.seq)
    graph.bridge(touched.bridges, entry.seq)
    graph.review(touched.reviewed, entry.seq)
    if isinstance(touched.decided, ManualSplit):
        graph.split(touched.decided, entry.observation_id, entry.seq)
    elif touched.decided is not None:
        graph.merge(touched.decided, entry.seq)
    if touched.verification is not None:
        graph.record(touched.verification, config, entry.seq)
    observation, evidence = touched.observation, touched.evidence
    if observation is not None and evidence is not None and entry.profile_id is not None:
        read_by = touched.read_by or config
        observed = Observed(
            observation, evidence, entry.seq, read_by, graph.rules, is_redacted=entry.content_redacted
        )
        graph.observe(observed, entry.profile_id, unified_ids)


def _joined(touched: Sequence[Touched]) -> set[UUID]:
    """The fragments that erasures join, those that people decided about, and whose joins are judged again."""
    bridged = {end for t in touched for bridge in t.bridges for end in (bridge.one, bridge.other)}
    decided = (t.decided.fragment_ids for t in touched if t.decided is not None)
    return bridged.union(*(t.reviewed for t in touched), *decided)
