"""A section of a profile's identity graph: joined parts, their identifiers, and how many parts there are.

A picture of a person shows some tens of parts, whatever the person has. The sections of a profile follow
each other as its joins do, the strongest evidence first.

Invariants: read-only. What a section costs does not depend on the size of the profile.

Source: docs/decisions/0060-the-identity-graph-in-sections.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.names import proven_claims
from oneself.service.explain.rendering import EVIDENCE_OF_LEVEL, part_of
from oneself.service.explain.values import (
    EvidenceName,
    ExplainedJoin,
    ExplainedPart,
    JoinPage,
    JoinPosition,
)
from oneself.service.profiles.parts import ProfilePart
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Tables

ReadPage = Callable[[JoinPosition, int], Awaitable[JoinPage]]
#: A section ends when its joins tie so many parts; the last ones may bring some more.
PARTS_DRAWN_MAX = 30
#: Joins that are read at once at least, and how often, when they are all among a few parts.
JOINS_AT_ONCE_MIN = 10
READS_MAX = 6
#: Identifiers that join nothing in a section.
LOOSE_MAX = 30
#: Identifiers of which a section says how many parts they tie, and what is counted of all of them.
COUNTED_IDENTIFIERS_MAX = 20
COUNTED_MAX = 10_000


class LooseIdentifier(msgspec.Struct, frozen=True):
    """An identifier of a part that ties it to no other part of the section."""

    part_id: UUID
    identifier: Identifier
    evidence: EvidenceName
    #: As a seq, which is in µs since 1970.
    since: int


class GraphSection(msgspec.Struct, frozen=True):
    """Some parts of a profile, and what ties them together."""

    #: In the order of their joins.
    parts: tuple[ExplainedPart, ...]
    joins: tuple[ExplainedJoin, ...]
    loose: tuple[LooseIdentifier, ...]
    #: How many parts of the profile an identifier ties, drawn here or not, as far as they are counted.
    sharing: Mapping[Identifier, int]
    #: How many parts the profile has; COUNTED_MAX: so many or more.
    parts_number: int
    #: None at the end.
    next_position: JoinPosition | None

    @property
    def is_counted(self) -> bool:
        """Whether every part of the profile was counted."""
        return self.parts_number < COUNTED_MAX


async def read_section(
    tables: Tables, part: ProfilePart, after: JoinPosition, read_page: ReadPage
) -> GraphSection:
    """The section of a profile that begins after a position in its joins."""
    joins, following = await _read_joins(after, read_page)
    named = {side.part.part_id: side.part for join in joins for side in join.sides}
    rows = {row.fragment.fragment_id: row for row in await tables.fragments.find(named.keys() or [part.head])}
    if not named:
        named = {part.head: _head(part, rows)}
    loose = await _loose(tables, part.view, named, rows, joins)
    sharing = {} if following is None else await _sharing(tables, part, joins)
    number = await tables.explanations.count_parts(part.view, part.head, COUNTED_MAX)
    return GraphSection(tuple(named.values()), tuple(joins), loose, sharing, number, following)


async def _read_joins(
    after: JoinPosition, read_page: ReadPage
) -> tuple[list[ExplainedJoin], JoinPosition | None]:
    joins: list[ExplainedJoin] = []
    following: JoinPosition | None = after
    for _ in range(READS_MAX):
        parts = {side.part.part_id for join in joins for side in join.sides}
        if following is None or len(parts) >= PARTS_DRAWN_MAX:
            break
        page = await read_page(following, max(PARTS_DRAWN_MAX - len(parts), JOINS_AT_ONCE_MIN))
        joins += page.joins
        following = page.next_position
    return joins, following


def _head(part: ProfilePart, rows: Mapping[UUID, FragmentRow]) -> ExplainedPart:
    row = rows.get(part.head)
    return ExplainedPart(part.head, "profile") if row is None else part_of(row.fragment, part.view)


async def _loose(
    tables: Tables,
    view: View,
    named: Mapping[UUID, ExplainedPart],
    rows: Mapping[UUID, FragmentRow],
    joins: Iterable[ExplainedJoin],
) -> tuple[LooseIdentifier, ...]:
    """What parts have beside what ties them; a browser is named with its part, and so is a user."""
    tying = {(side.part.part_id, join.identifier) for join in joins for side in join.sides}
    claims = _believed_claims(tables, named) if view == "all" else _claims(rows.values())
    found = {(item.part_id, item.identifier): item for item in await claims}
    return tuple(
        item
        for (part_id, identifier), item in found.items()
        if (part_id, identifier) not in tying
        and identifier != named[part_id].browser
        and identifier.namespace != USER_ID
    )[:LOOSE_MAX]


async def _claims(rows: Iterable[FragmentRow]) -> list[LooseIdentifier]:
    return [
        LooseIdentifier(
            row.fragment.fragment_id, claim.tenure.identifier, EVIDENCE_OF_LEVEL[claim.level], claim.since
        )
        for row in rows
        for claim in proven_claims(row.fragment)
        if claim.is_present
    ]


async def _believed_claims(tables: Tables, named: Mapping[UUID, ExplainedPart]) -> list[LooseIdentifier]:
    recorded = await tables.claims.list_of_profiles(sorted(named), 0, 4 * LOOSE_MAX)
    return [
        LooseIdentifier(
            item.claim.profile_id,
            item.claim.identifier,
            "proven" if item.claim.trust == "server" else "asserted",
            item.claim.seq,
        )
        for item in recorded
        if item.until_seq is None
    ]


async def _sharing(
    tables: Tables, part: ProfilePart, joins: Sequence[ExplainedJoin]
) -> dict[Identifier, int]:
    """How many parts each identifier of a section ties; of many identifiers, those that tie the most."""
    tied = Counter(join.identifier for join in joins if join.identifier is not None)
    most = [identifier for identifier, _ in tied.most_common(COUNTED_IDENTIFIERS_MAX)]
    explanations = tables.explanations
    if part.view == "all":
        merged = await explanations.count_merged_by(part.head, COUNTED_MAX)
        return {item: merged[item] + 1 for item in most if item in merged}
    found = {
        item: await explanations.count_of_user(item.value, part.view, COUNTED_MAX)
        for item in most
        if item.namespace == USER_ID
    }
    others = [item for item in most if item not in found]
    return found | await explanations.count_sharing(others, part.head, COUNTED_MAX // max(len(others), 1))
