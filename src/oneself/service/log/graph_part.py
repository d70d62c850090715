"""A part of the identity graph that nothing ties to the rest.

The part is everything that browsers, users and proven identifiers tie together, directly or not. Nothing
outside of it depends on it, so that its entries of the log fold to what the whole log folds to there.

Invariants: read in one transaction. Source: docs/concepts/trust.md, "Erasure".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import Bridge, EntryKey, LogEntry, verification_of
from oneself.core.fold.replay import Touched
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.bridges import bridges
from oneself.core.identity_graph.graph import IdentityGraph, PersonJoin, Separation
from oneself.core.identity_graph.joins import joins_among
from oneself.core.identity_graph.observe import verified_identifiers
from oneself.core.identity_graph.partition import partition
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.profiles.verification import ClaimVerification
from oneself.errors import Contended
from oneself.store.loaded_graph import proven_identifiers_of, users_of
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Tables, Transaction


class PartTooLarge(Exception):
    """A part has more fragments than were asked for. `fragments`: how many were found, at least."""

    def __init__(self, fragments: int) -> None:
        super().__init__(f"A part of the identity graph has {fragments} fragments at least.")
        self.fragments = fragments


class GraphPart(msgspec.Struct, frozen=True):
    """A part of the identity graph that nothing ties to the rest."""

    rows: dict[UUID, FragmentRow]
    #: The fresh trackers among its devices that have no fragment of their own.
    fresh: frozenset[Identifier] = frozenset()
    entries: frozenset[EntryKey] = frozenset()
    #: The joins of its fragments that hang on no identifier.
    joins: tuple[PersonJoin, ...] = ()
    #: What keeps its fragments apart.
    separations: Mapping[UUID, Separation] = {}
    #: What its users verified in another dataset.
    verifications: Mapping[EntryKey, LogEntry] = {}
    #: What these verified claims identify their users by.
    verified: frozenset[Identifier] = frozenset()
    #: Users who gave up their accounts, and some of its fragments with them.
    former: frozenset[str] = frozenset()

    def verifications_of(self, user_id: str) -> list[EntryKey]:
        """The log entries for what a user verified in another dataset."""
        return [key for key, entry in self.verifications.items() if verification_of(entry).user_id == user_id]

    @property
    def verified_users(self) -> set[str]:
        """Who verified something in another dataset."""
        return {verification_of(entry).user_id for entry in self.verifications.values()}

    @property
    def devices(self) -> set[Identifier]:
        """Its trackers and anonymous ids."""
        known = (row.fragment.browser for row in self.rows.values())
        return {device for device in known if device is not None} | self.fresh

    @property
    def users(self) -> set[str]:
        """Its users."""
        known = {user for row in self.rows.values() for user in users_of(row.fragment)}
        return known | self.verified_users | self.former

    @property
    def identifiers(self) -> set[Identifier]:
        """Every identifier that a fragment of it ever had a claim on, or that one of its users verified."""
        claimed = {claim.tenure.identifier for row in self.rows.values() for claim in row.fragment.claims}
        return claimed | self.verified

    @property
    def proven(self) -> set[Identifier]:
        """Those that a server or a provider said, or that were verified: only these change hands."""
        named = {item for row in self.rows.values() for item in proven_identifiers_of(row.fragment)}
        return named | self.verified

    @property
    def extent(self) -> tuple[object, ...]:
        """What belongs to it."""
        return self.rows.keys(), self.fresh, self.verifications.keys()

    def bridges_over(self, fragment_ids: Collection[UUID], config: Config) -> tuple[Bridge, ...]:
        """The joins of the view `proven` that pass to the neighbours of some of its fragments."""
        graph, guards = IdentityGraph(), graph_rules(config).guards
        fragments = [graph.put(row.fragment) for row in self.rows.values()]
        graph.person_joins, graph.separations = list(self.joins), dict(self.separations)
        joins = joins_among(graph, fragments, "proven", guards.matching, guards.priorities)
        found = bridges(fragment_ids, partition(graph, fragments, "proven", guards), joins)
        return tuple(Bridge(item.one, item.other, item.since) for item in found)

    def concerned(self, touched: Touched) -> Touched:
        """What an erasure, a review, a person or a job did to this part; of other entries everything."""
        observation = touched.observation
        if observation is not None and observation.fragment_ids is not None:
            indexed = tuple(item for item in observation.fragment_ids if item in self.rows)
            observation = msgspec.structs.replace(observation, fragment_ids=indexed)
            return msgspec.structs.replace(touched, observation=observation)
        if touched.decided is not None:
            return msgspec.structs.replace(touched, decided=touched.decided.of_fragments(self.rows.keys()))
        if not touched.detached and not touched.bridges and not touched.reviewed:
            return touched
        return msgspec.structs.replace(
            touched,
            detached=tuple(device for device in touched.detached if device in self.devices),
            bridges=tuple(item for item in touched.bridges if {item.one, item.other} <= self.rows.keys()),
            reviewed=touched.reviewed & self.rows.keys(),
        )


async def find_part(
    transaction: Transaction, seeds: set[UUID], users: frozenset[str] = frozenset()
) -> GraphPart:
    """The part that fragments belong to, and what users verified, with its names locked.

    Raises Contended if it grew before they were.
    """
    part = await find_tied(transaction, seeds, users)
    names = {*part.devices, *part.identifiers, *(Identifier(USER_ID, user) for user in part.users)}
    await transaction.lock_identifiers(names)
    again = await find_tied(transaction, seeds, users)
    if again.extent != part.extent:
        raise Contended("A browser was added while a person was being erased.")
    entries = await transaction.fragments.find_entries(again.rows)
    return msgspec.structs.replace(again, entries=frozenset(entries))


async def find_tied(
    tables: Tables, seeds: Collection[UUID], users: Collection[str], *, fragments_max: int | None = None
) -> GraphPart:
    """The fragments that are tied to others, directly or not, the fresh trackers that lead to them, and what
    their users verified in another dataset.

    Raises PartTooLarge if there are more than `fragments_max`.
    """
    fragments = tables.fragments
    rows: dict[UUID, FragmentRow] = {}
    fresh = frozenset[Identifier]()
    joins: dict[PersonJoin, None] = {}
    verified = _Verified(tables)
    former: set[str] = set()
    frontier, asked = set(seeds), set(users)
    while frontier or asked:
        if fragments_max is not None and len(rows) + len(frontier) > fragments_max:
            raise PartTooLarge(len(rows) + len(frontier))
        found = {row.fragment.fragment_id: row for row in await fragments.find(frontier)}
        rows |= found
        fresh |= await tables.browsers.find_replacing(GraphPart(found).devices)
        part = GraphPart(found, fresh)
        browsers = await tables.browsers.find(part.devices)
        proven = {item for row in found.values() for item in proven_identifiers_of(row.fragment)}
        given_up = await tables.log.find_given_up(found)
        former |= given_up.keys()
        asked |= part.users | given_up.keys()
        asked |= await verified.add(asked, {item.value for item in proven})
        frontier = {item for browser in browsers.values() for item in browser.every}
        frontier |= await fragments.find_of_users(asked)
        frontier |= await fragments.find_proven_claimants(proven | verified.identifiers)
        frontier |= await tables.separations.find_parted_from(found)
        joins |= dict.fromkeys(await tables.person_joins.find(found))
        frontier = frontier.union(*((join.one, join.other) for join in joins), *given_up.values())
        frontier -= rows.keys()
        asked = set()
    return GraphPart(
        rows,
        fresh,
        joins=tuple(joins),
        separations=await tables.separations.find(rows),
        verifications=verified.entries,
        verified=verified.identifiers,
        former=frozenset(former),
    )


class _Verified:
    """What users verified in another dataset, found step by step."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.entries: dict[EntryKey, LogEntry] = {}
        self.identifiers = frozenset[Identifier]()

    async def add(self, users: set[str], values: set[str]) -> set[str]:
        """Add what users verified, and who else verified one of these values, directly or not; returns whom.

        Adds what their claims identify them by, by any configuration that there was.
        """
        found: set[str] = set()
        added: list[ClaimVerification] = []
        while users or values:
            entries = await self._tables.log.find_verifications(users, values)
            new = {key: entry for key, entry in entries.items() if key not in self.entries}
            self.entries |= new
            verified = [verification_of(entry) for entry in new.values()]
            users, values = {item.user_id for item in verified}, {item.value for item in verified}
            found |= users
            added += verified
        configs = await self._tables.log.find_configurations() if added else {}
        self.identifiers |= {
            identifier
            for config in configs.values()
            for item in added
            for identifier in verified_identifiers(item, config)
        }
        return found
