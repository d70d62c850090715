"""The way from one fragment to another of the same profile, in the view `own` or `proven`.

The surroundings of both are read step by step, until a way is found: so it is one of the shortest. Only a
profile in which both are far apart makes it read much, and never more than FRAGMENTS_MAX.

Invariants: read-only.

Source: docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.identity_graph.explain import shortest_path
from oneself.core.identity_graph.fragment import Tenure
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.joins import Join, joins_among, user_in
from oneself.core.identity_graph.names import proven_claims
from oneself.core.identity_graph.rules import graph_rules
from oneself.store.tables.fragment import StoredView
from oneself.store.transaction import Tables

#: Fragments that are read for one way.
FRAGMENTS_MAX = 2_000
#: Of those who claim one identifier, how many of the oldest are read.
CLAIMANTS_MAX = 200


class JoinPath:
    """Finds the way between two fragments of one profile."""

    def __init__(
        self,
        tables: Tables,
        view: StoredView,
        head: UUID,
        config: Config,
        *,
        fragments_max: int = FRAGMENTS_MAX,
    ) -> None:
        self._tables = tables
        self._view: StoredView = view
        self._head = head
        self._guards = graph_rules(config).guards
        self._fragments_max = fragments_max
        self.graph = IdentityGraph()
        self._looked_up: set[Tenure] = set()
        self._users: set[str] = set()

    async def find(self, one: UUID, other: UUID) -> tuple[list[Join], bool]:
        """The joins on the way, and whether it is complete: False if too much would have to be read."""
        if one == other:
            return [], True
        new = await self._load({one, other})
        while new:
            # It reads the joins that people made, too.
            around = await self._neighbours(new)
            if found := shortest_path(self._joins(), one, other):
                return found, True
            if len(self.graph.fragments) > self._fragments_max:
                return [], False
            new = await self._load(around)
        return [], False

    def _joins(self) -> list[Join]:
        fragments, guards = self.graph.fragments.values(), self._guards
        return joins_among(self.graph, fragments, self._view, guards.matching, guards.priorities)

    async def _neighbours(self, ids: Iterable[UUID]) -> set[UUID]:
        """What joins may lead to from some fragments."""
        fragments = [self.graph.fragments[item] for item in ids]
        found = await self._owns({user for item in fragments if (user := user_in(item, self._view))})
        if self._view == "own":
            return found
        tenures = {claim.tenure for item in fragments for claim in proven_claims(item)} - self._looked_up
        self._looked_up |= tenures
        found |= await self._tables.explanations.find_claimants(tenures, self._head, CLAIMANTS_MAX)
        made = await self._tables.person_joins.find(item.fragment_id for item in fragments)
        self.graph.person_joins += [item for item in made if item not in self.graph.person_joins]
        return found.union(*({item.one, item.other} for item in made))

    async def _owns(self, users: set[str]) -> set[UUID]:
        """The users' own fragments: everything else of them is joined with these."""
        rows = await self._tables.fragments.find((), users - self._users) if users - self._users else []
        self._users |= users
        return {row.fragment.fragment_id for row in rows}

    async def _load(self, ids: Iterable[UUID]) -> list[UUID]:
        """Read those of some fragments that belong to the profile and are not read; returns them."""
        rows = await self._tables.fragments.find(set(ids) - self.graph.fragments.keys())
        mine = [row.fragment for row in rows if row.head_in(self._view) == self._head]
        for fragment in mine:
            self.graph.put(fragment)
        return [fragment.fragment_id for fragment in mine]
