"""Why two profiles of the view `own` or `proven` are not one.

Invariants: read-only. Of each profile at most FRAGMENTS_MAX fragments are looked at, those asked for among
them. What was only asserted is no reason here.

Source: docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.identity_graph.explain import ApartCause, why_apart
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.rules import graph_rules
from oneself.service.explain.rendering import part_of
from oneself.service.explain.values import ExplainedCause
from oneself.service.explain.values_apart import unused_values
from oneself.service.profiles.parts import ProfilePart
from oneself.store.identity_graph import read_decisions
from oneself.store.tables.fragment import StoredView
from oneself.store.transaction import Tables

#: Fragments of one profile.
FRAGMENTS_MAX = 200
CAUSES_MAX = 20


async def causes_apart(
    tables: Tables, view: StoredView, one: ProfilePart, other: ProfilePart, config: Config
) -> tuple[ExplainedCause, ...]:
    """Why two profiles are not one, the strongest reason first; never empty."""
    members = await tables.fragments.find_some_members(view, {one.head, other.head}, FRAGMENTS_MAX)
    sides = [{part.part_id, *members[part.head]} for part in (one, other)]
    graph = await load_graph(tables, sides[0] | sides[1])
    causes = why_apart(graph, sides[0], sides[1], view, graph_rules(config).guards)
    found = explained_causes(graph, causes, view)
    values = [part.profile.survivor.record.values for part in (one, other)]
    if view == "proven":
        found += unused_values(values[0], values[1], config)
    return tuple(found[:CAUSES_MAX]) or (ExplainedCause("nothing_in_common"),)


async def load_graph(tables: Tables, ids: Collection[UUID]) -> IdentityGraph:
    """Some fragments, with what people and erasures decided of them."""
    graph = IdentityGraph()
    for row in await tables.fragments.find(ids):
        graph.put(row.fragment)
    await read_decisions(tables, graph)
    return graph


def explained_causes(graph: IdentityGraph, causes: Iterable[ApartCause], view: View) -> list[ExplainedCause]:
    """What the identity graph says, as an explanation shows it."""
    return [_explained(graph, item, view) for item in causes]


def _explained(graph: IdentityGraph, cause: ApartCause, view: View) -> ExplainedCause:
    parts = None
    if cause.one is not None and cause.other is not None:
        parts = part_of(graph.fragments[cause.one], view), part_of(graph.fragments[cause.other], view)
    return ExplainedCause(cause.code, cause.identifier, cause.namespace, parts, cause.since)
