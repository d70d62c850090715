"""The identity graph of a profile: a picture of its parts and what ties them, and the same as a table.

Invariants: every node is a link, and every edge is a row of the table. The picture has a bounded number of
nodes; what is not drawn is one node that leads on.

Source: docs/decisions/0060-the-identity-graph-in-sections.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response

from oneself.console.forms import page
from oneself.console.graph_layout import NODE_HEIGHT, NODE_WIDTH, RIGHT_X, WIDTH, lay_out
from oneself.console.handlers import page_at
from oneself.console.profile_joins import join_position, next_query, part_words
from oneself.console.profile_lists import source_words
from oneself.console.profile_reading import ProfileReading, open_profile
from oneself.console.profile_search import SEE
from oneself.console.profiles import view_choices
from oneself.core.identity.identifier import TRACKER, USER_ID, Identifier
from oneself.service.context import DEFAULT_DATASET
from oneself.service.explain.section import GraphSection
from oneself.service.explain.sentences import DECIDED, EVIDENCE
from oneself.service.explain.values import (
    FIRST_JOIN,
    EvidenceName,
    ExplainedJoin,
    ExplainedPart,
    ExplainedSide,
)
from oneself.web.forms import AnyRequest

#: As many characters fit into a line of a node.
LINE_CHARS_MAX = 34
#: What is on the right: an identifier; else the reason of a join without one and since when it is.
TieKey = Identifier | tuple[str, int]


class GraphTie(msgspec.Struct, frozen=True):
    """A part and what it has: an edge of the picture and a row of the table."""

    part: ExplainedPart
    key: TieKey
    evidence: EvidenceName
    #: Empty: it ties the part to no other part of the picture.
    reason: str
    since: int
    source: str


class DrawnNode(msgspec.Struct, frozen=True):
    """A node: its kind as a class of the style sheet, two lines, all of it as a sentence, and its link."""

    kind: str
    lines: tuple[str, str]
    label: str
    url: str


class TieRow(msgspec.Struct, frozen=True):
    """An edge as a row of the table."""

    part: DrawnNode
    tied: DrawnNode
    evidence: EvidenceName
    reason: str
    since: int
    source: str

    @property
    def label(self) -> str:
        """The edge as a sentence."""
        reason = f", reason {self.reason}" if self.reason else ""
        return f"{self.part.label}, {self.tied.label}: {EVIDENCE[self.evidence]}{reason}"


@page_at("/profiles/graph", SEE)
async def profile_graph(request: AnyRequest) -> Response[Any]:
    """Draw a section of the identity graph of a profile, the strongest evidence first."""
    after = join_position(request)
    async with open_profile(request) as reading:
        section = await reading.explanations.section(
            reading.context.dataset_ref, await reading.part(), after=after
        )
    ties = _ties(section)
    further = ""
    if section.next_position is not None:
        further = reading.query.url("graph", **next_query(section.next_position))
    parts = {item.part_id: _part_node(reading, item) for item in section.parts}
    tied = {key: _tied_node(reading, key) for key in dict.fromkeys(tie.key for tie in ties)}
    rows = [
        TieRow(parts[tie.part.part_id], tied[tie.key], tie.evidence, tie.reason, tie.since, tie.source)
        for tie in ties
    ]
    more = list(_more(section, ties, further, reading))
    nodes = [*parts.values(), *(node for _, node in more)]
    edges = [(list(parts).index(tie.part.part_id), list(tied).index(tie.key)) for tie in ties]
    edges += [(len(parts) + number, list(tied).index(key)) for number, (key, _) in enumerate(more)]
    layout = lay_out(len(nodes), len(tied), edges)
    return page(
        reading.context,
        "profile_graph.html",
        reading=reading,
        tab="graph",
        choices=view_choices(reading.query, "graph"),
        layout=layout,
        width=WIDTH,
        node_width=NODE_WIDTH,
        node_height=NODE_HEIGHT,
        right_x=RIGHT_X,
        left_nodes=list(zip(nodes, layout.left, strict=True)),
        right_nodes=list(zip(tied.values(), layout.right, strict=True)),
        rows=rows,
        evidence_names=EVIDENCE,
        drawn=len(parts),
        total=section.parts_number,
        is_counted=section.is_counted,
        further=further,
        is_first=after == FIRST_JOIN,
        api=reading.api_request("/explain"),
    )


def _ties(section: GraphSection) -> list[GraphTie]:
    """What each part has, once; the strongest evidence first."""
    found = [_side_tie(join, side) for join in section.joins for side in join.sides]
    named = {part.part_id: part for part in section.parts}
    found += [
        GraphTie(named[item.part_id], item.identifier, item.evidence, "", item.since, "")
        for item in section.loose
    ]
    first: dict[tuple[UUID, TieKey], GraphTie] = {}
    for tie in found:
        first.setdefault((tie.part.part_id, tie.key), tie)
    return list(first.values())


def _side_tie(join: ExplainedJoin, side: ExplainedSide) -> GraphTie:
    key: TieKey = join.identifier if join.identifier is not None else (join.reason, join.since)
    evidence = side.evidence or join.evidence
    return GraphTie(side.part, key, evidence, join.reason, join.since, source_words(side.observation))


def _more(
    section: GraphSection, ties: Iterable[GraphTie], further: str, reading: ProfileReading
) -> Iterable[tuple[Identifier, DrawnNode]]:
    """One node for the parts that have an identifier and are not drawn, for each identifier."""
    drawn: dict[TieKey, int] = {}
    for tie in ties:
        drawn[tie.key] = drawn.get(tie.key, 0) + 1
    for identifier, number in section.sharing.items():
        left = number - drawn.get(identifier, 0)
        if left > 0:
            words = f"and {left:,} more" if section.is_counted else f"and at least {left:,} more"
            label = f"{words} with {_tied_node(reading, identifier).label}"
            yield identifier, DrawnNode("more", (words, "Show the next ones"), label, further)


def _part_node(reading: ProfileReading, part: ExplainedPart) -> DrawnNode:
    words = part_words(part)
    kind, _, rest = words.partition(", ")
    owner = f"user {part.user_id}" if part.user_id else ""
    second = owner or rest or str(part.part_id)
    label = words[0].upper() + words[1:]
    url = reading.query.url("compare", at="", **{"with": part.part_id})
    if part.part_id == reading.view.survivor.profile_id:
        label, url = f"{label} (heads the profile)", reading.query.url()
    style = "owned" if part.user_id else "part"
    return DrawnNode(style, (_line(kind[0].upper() + kind[1:]), _line(second)), label, url)


def _tied_node(reading: ProfileReading, key: TieKey) -> DrawnNode:
    """An identifier, which leads to every profile that has it, or a decision."""
    query = reading.query
    if not isinstance(key, Identifier):
        words = f"They {DECIDED.get(key[0], 'were merged')}"
        return DrawnNode("decision", (_line(words), ""), words, query.url("history", at=""))
    value = reading.visible_value_of(key)
    text = "a hidden value" if value is None else value
    namespace = "User" if key.namespace == USER_ID else key.namespace
    asked = {"q": f"{key.namespace}:{value}"}
    if query.dataset != DEFAULT_DATASET:
        asked["dataset"] = query.dataset
    url = f"{query.home}/profiles?{urlencode(asked)}"
    if value is None or key.namespace == TRACKER:
        url = query.url("identifiers")
    style = "user" if key.namespace == USER_ID else "identifier"
    return DrawnNode(style, (_line(namespace), _line(text)), f"{namespace} {text}", url)


def _line(text: str) -> str:
    return text if len(text) <= LINE_CHARS_MAX else f"{text[: LINE_CHARS_MAX - 1]}…"


ROUTES = (profile_graph,)
