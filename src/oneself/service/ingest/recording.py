"""Observations that are recorded within a transaction that does more.

Source: docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneself.core.identity_graph.footprint import graph_footprint
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.evidence import extract_evidence
from oneself.core.resolution.footprint import footprint_of
from oneself.core.resolution.observation import Observation
from oneself.errors import Contended
from oneself.service.ingest.batch_decision import BatchDecision
from oneself.service.ingest.submission import Resolution, Submission
from oneself.store import identity_graph, working_set
from oneself.store.transaction import Transaction


async def record(transaction: Transaction, observations: Sequence[Observation]) -> int:
    """Record observations that happen now; returns the seq of the last one, 0 if none was accepted.

    Raises Contended.
    """
    config = await transaction.config.find()
    evidence = [extract_evidence(observation, config) for observation in observations]
    named, rules = list(zip(observations, evidence, strict=True)), graph_rules(config)
    footprint = footprint_of(named, config, keys=frozenset(), try_token_fast_path=False)
    await transaction.lock_identifiers(footprint.identifiers, footprint.keys)
    state, records = await working_set.gather(transaction, footprint)
    graph = await identity_graph.gather(transaction, graph_footprint(named, config, rules), rules)
    clock = graph.clock or await transaction.read_clock()
    if clock.config_version != config.version:
        raise Contended("The configuration has changed.")
    if clock.has_separations:
        await working_set.add_separations(transaction, state)
    decision = BatchDecision(state, graph, records, config, clock.now, {}, {})
    for observation, found in named:
        decision.decide(Submission(observation), found)
    await decision.save(transaction)
    return max((item.seq for item in decision.outcomes if isinstance(item, Resolution)), default=0)
