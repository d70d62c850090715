"""Joins of the identity graph as an explanation shows them: the parts, and who said what when.

Invariants: one statement finds all observations of a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.explain import Support, SupportedJoin, with_support
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.joins import Join, JoinStrength, View, user_in
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.observation import event_id_of
from oneself.service.explain.values import (
    EvidenceName,
    ExplainedJoin,
    ExplainedPart,
    ExplainedSide,
    SourceObservation,
)
from oneself.store.tables.explanation import NotedObservation
from oneself.store.transaction import Tables

EVIDENCE_OF_STRENGTH: dict[JoinStrength, EvidenceName] = {
    JoinStrength.SAME_USER: "same_user",
    JoinStrength.VERIFIED: "verified",
    JoinStrength.PROVEN: "proven",
    JoinStrength.ASSERTED: "asserted",
}
EVIDENCE_OF_LEVEL: dict[EvidenceLevel, EvidenceName] = {
    EvidenceLevel.VERIFIED: "verified",
    EvidenceLevel.PROVEN: "proven",
    EvidenceLevel.ASSERTED: "asserted",
}


async def explain_joins(
    tables: Tables, joins: Sequence[Join], fragments: Mapping[UUID, Fragment], view: View, config: Config
) -> list[ExplainedJoin]:
    """Joins of fragments, as an explanation shows them."""
    supported = [with_support(join, fragments, view) for join in joins]
    noted = await tables.explanations.find_observations(
        side.since for item in supported for side in item.sides
    )
    reasons = graph_rules(config).reasons
    return [_explained(item, fragments, noted, view, reasons) for item in supported]


def part_of(fragment: Fragment, view: View) -> ExplainedPart:
    """What a fragment is."""
    return ExplainedPart(fragment.fragment_id, fragment.origin, fragment.browser, user_in(fragment, view))


def observation_about(noted: Sequence[NotedObservation], part_id: UUID) -> SourceObservation | None:
    """The observation at a place of the log that is about a part; None: it was erased.

    What a server ties to a browser belongs to another fragment.
    """
    found = next((item for item in noted if item.fragment_id == part_id), next(iter(noted), None))
    if found is None:
        return None
    return SourceObservation(
        event_id_of(found.observation_id),
        found.kind,
        found.name,
        found.interface,
        found.application,
        found.at,
    )


def _explained(
    item: SupportedJoin,
    fragments: Mapping[UUID, Fragment],
    noted: Mapping[int, Sequence[NotedObservation]],
    view: View,
    reasons: Mapping[str, str],
) -> ExplainedJoin:
    join = item.join
    one, other = (
        _side(fragments[part_id], support, noted, view)
        for part_id, support in zip((join.one, join.other), item.sides, strict=True)
    )
    return ExplainedJoin(
        reason=reasons.get(join.reason, join.reason),
        evidence=EVIDENCE_OF_STRENGTH[join.strength],
        since=join.since,
        identifier=join.via,
        sides=(one, other),
    )


def _side(
    fragment: Fragment, support: Support, noted: Mapping[int, Sequence[NotedObservation]], view: View
) -> ExplainedSide:
    observation = observation_about(noted.get(support.since, ()), fragment.fragment_id)
    evidence = None if support.level is None else EVIDENCE_OF_LEVEL[support.level]
    return ExplainedSide(part_of(fragment, view), observation, evidence)
