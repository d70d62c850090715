"""The joins that hold a profile of the view `own` or `proven` together, page by page.

    of the user      every fragment of the user, with the user's own one
    verified         what servers said of fragments and the user has verified
    shared           what servers said of two fragments; what people decided

Each kind is read in chunks by an index, so that a page costs the same for any size of profile. Within a kind,
the oldest joins of each chunk come first: of a profile with fewer fragments than a chunk, the oldest of all.

Invariants: read-only. Every join listed is a reason by itself; together they tie every fragment of the
profile to the others.

Source: docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.explain import (
    joins_with_older,
    joins_with_verified,
    verified_tenures,
)
from oneself.core.identity_graph.fragment import Fragment, Tenure
from oneself.core.identity_graph.joins import CLAIMANTS_PAIRED_MAX, Join, person_join, user_join
from oneself.core.identity_graph.names import proven_claims
from oneself.core.identity_graph.rules import graph_rules
from oneself.service.explain.rendering import explain_joins
from oneself.service.explain.values import JoinPage, JoinPosition
from oneself.store.tables.fragment import FragmentRow, StoredView
from oneself.store.transaction import Tables

#: Fragments or claims that one step looks at; some milliseconds.
CHUNK = 100
#: Steps of one page. A page that is short may have a next one.
CHUNKS_MAX = 10
_BEFORE_ALL = UUID(int=0)
_OF_USER, _VERIFIED, _SHARED = range(3)


class _Chunk(msgspec.Struct, frozen=True):
    """Some joins of one kind, the oldest first, and where the next ones begin."""

    joins: Sequence[Join]
    following: JoinPosition | None


class ProfileJoins:
    """Reads the joins of one profile."""

    def __init__(
        self,
        tables: Tables,
        view: StoredView,
        head: UUID,
        user_id: str | None,
        config: Config,
        *,
        chunk: int = CHUNK,
    ) -> None:
        self._tables = tables
        self._view = view
        self._head = head
        self._user_id = user_id
        self._config = config
        self._chunk = chunk
        guards = graph_rules(config).guards
        self._matching, self._priorities = guards.matching, guards.priorities
        self._fragments: dict[UUID, Fragment] = {}

    async def page(self, position: JoinPosition, limit: int) -> JoinPage:
        """Up to `limit` joins from a position on."""
        joins: list[Join] = []
        following: JoinPosition | None = position
        for _ in range(CHUNKS_MAX):
            if following is None:
                break
            begun = following
            chunk = await self._read(begun)
            left, room = chunk.joins[begun.skipped :], limit - len(joins)
            joins += left[:room]
            if len(left) > room:
                following = msgspec.structs.replace(begun, skipped=begun.skipped + room)
                break
            following = chunk.following
        found = await explain_joins(self._tables, joins, self._fragments, self._view, self._config)
        return JoinPage(tuple(found), following)

    async def _read(self, position: JoinPosition) -> _Chunk:
        match position.kind:
            case 0:
                return await self._of_user(position)
            case 1:
                return await self._verified(position)
            case _:
                return await self._shared(position)

    def _after(self, kind: int) -> JoinPosition | None:
        """The position after the last join of a kind."""
        if kind == _SHARED or self._view == "own":
            return None
        return JoinPosition(kind + 1, -1, _BEFORE_ALL)

    async def _of_user(self, position: JoinPosition) -> _Chunk:
        if self._user_id is None:
            return _Chunk((), self._after(_OF_USER))
        hub = await self._hub(self._user_id)
        found = await self._tables.explanations.list_of_user(
            self._user_id, self._view, position.part_id, self._chunk
        )
        members = self._put(found)
        joins = [user_join(hub, item, self._user_id, self._view) for item in members if item is not hub]
        following = self._after(_OF_USER)
        if len(found) == self._chunk:
            following = JoinPosition(_OF_USER, -1, found[-1].fragment.fragment_id)
        return _Chunk(_ordered(joins), following)

    async def _hub(self, user_id: str) -> Fragment:
        """The fragment that all others of a user are joined with: their own, else the first one."""
        rows = await self._tables.fragments.find((), [user_id])
        if not rows:
            rows = await self._tables.explanations.list_of_user(user_id, self._view, _BEFORE_ALL, 1)
        (hub,) = self._put(rows)
        return hub

    async def _verified(self, position: JoinPosition) -> _Chunk:
        rows = [] if self._user_id is None else await self._tables.fragments.find((), [self._user_id])
        tenures = [(own, item) for own in self._put(rows) for item in verified_tenures(own)]
        found = await self._tables.explanations.list_claimants(
            [item for _, item in tenures], (position.since, position.part_id), self._chunk
        )
        members = await self._load({item.fragment_id for item in found})
        joins = [
            join
            for claim in found
            if (member := members.get(claim.fragment_id)) is not None
            for own, tenure in tenures
            if tenure == claim.tenure
            for join in joins_with_verified(own, member, self._matching, self._priorities)
            if join.via == tenure.identifier
        ]
        following = self._after(_VERIFIED)
        if len(found) >= self._chunk:
            following = JoinPosition(_VERIFIED, *found[-1].position)
        return _Chunk(_ordered(joins), following)

    async def _shared(self, position: JoinPosition) -> _Chunk:
        rows = await self._tables.explanations.list_members(self._head, position.part_id, self._chunk + 1)
        if self._head > position.part_id:
            rows += await self._tables.fragments.find([self._head])
        rows = sorted(rows, key=lambda row: row.fragment.fragment_id)
        members = self._put(rows[: self._chunk])
        tenures = {claim.tenure for item in members for claim in proven_claims(item)}
        claimants = await self._claimants(tenures)
        joins = [
            join
            for item in members
            for join in joins_with_older(item, claimants, self._matching, self._priorities)
        ]
        joins += await self._decided(members)
        following = self._after(_SHARED)
        if len(rows) > self._chunk:
            following = JoinPosition(_SHARED, -1, members[-1].fragment_id)
        return _Chunk(_ordered(joins), following)

    async def _claimants(self, tenures: set[Tenure]) -> Mapping[Tenure, list[Fragment]]:
        """Identifier → the fragments of the profile among its oldest claimants.

        Of very many claimants, joins count with the oldest ones alone (`core/identity_graph/joins.py`).
        """
        explanations = self._tables.explanations
        ids = await explanations.find_claimants(tenures, self._head, CLAIMANTS_PAIRED_MAX)
        found: dict[Tenure, list[Fragment]] = {}
        for fragment in (await self._load(ids)).values():
            for tenure in {claim.tenure for claim in proven_claims(fragment)} & tenures:
                found.setdefault(tenure, []).append(fragment)
        return found

    async def _decided(self, members: Iterable[Fragment]) -> list[Join]:
        """The joins by people, and those that erasures left, whose first fragment is one of these."""
        ids = {item.fragment_id for item in members}
        made = [item for item in await self._tables.person_joins.find(ids) if item.one in ids]
        ends = await self._load({item.other for item in made})
        return [
            person_join(item) for item in made if item.other in ends and item.level > EvidenceLevel.ASSERTED
        ]

    async def _load(self, ids: Iterable[UUID]) -> dict[UUID, Fragment]:
        """Those of some fragments that belong to the profile."""
        asked = set(ids)
        rows = await self._tables.fragments.find(asked - self._fragments.keys())
        self._put(row for row in rows if row.head_in(self._view) == self._head)
        return {item: self._fragments[item] for item in asked if item in self._fragments}

    def _put(self, rows: Iterable[FragmentRow]) -> list[Fragment]:
        """The fragments of rows; each is one object, however often it is read."""
        return [self._fragments.setdefault(row.fragment.fragment_id, row.fragment) for row in rows]


def _ordered(joins: Iterable[Join]) -> list[Join]:
    """Each join once, in the order in which they count."""
    found: dict[tuple[UUID, UUID, Identifier | None, str], Join] = {}
    for join in sorted(joins, key=lambda item: item.precedence):
        found.setdefault((join.one, join.other, join.via, join.reason), join)
    return list(found.values())
