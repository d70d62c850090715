"""Fold a part of the identity graph again from what an erasure left of the log.

The part is everything that browsers, users and proven identifiers tie together, directly or not. Nothing
outside of it depends on it, so that the outcome is what the whole log folds to.

Invariants: one transaction, in which the names of the part are locked. Source: docs/concepts/trust.md,
"Erasure".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from itertools import groupby
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import Bridge, EntryKey, LogEntry
from oneself.core.fold.replay import Touched, touches
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.bridges import bridges
from oneself.core.identity_graph.footprint import graph_footprint
from oneself.core.identity_graph.graph import IdentityGraph, PersonJoin
from oneself.core.identity_graph.joins import joins_among
from oneself.core.identity_graph.observe import Observed
from oneself.core.identity_graph.partition import partition
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.kinds import policy_of
from oneself.errors import Contended
from oneself.store import identity_graph
from oneself.store.loaded_graph import LoadedGraph, proven_identifiers_of, users_of
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Transaction


class GraphPart(msgspec.Struct, frozen=True):
    """A part of the identity graph that nothing ties to the rest."""

    rows: dict[UUID, FragmentRow]
    #: The fresh trackers among its devices that have no fragment of their own.
    fresh: frozenset[Identifier] = frozenset()
    entries: frozenset[EntryKey] = frozenset()
    #: The joins of its fragments that hang on no identifier.
    joins: tuple[PersonJoin, ...] = ()

    @property
    def devices(self) -> set[Identifier]:
        """Its trackers and anonymous ids."""
        known = (row.fragment.browser for row in self.rows.values())
        return {device for device in known if device is not None} | self.fresh

    @property
    def users(self) -> set[str]:
        """Its users."""
        return {user for row in self.rows.values() for user in users_of(row.fragment)}

    @property
    def identifiers(self) -> set[Identifier]:
        """Every identifier that a fragment of it ever had a claim on."""
        return {claim.tenure.identifier for row in self.rows.values() for claim in row.fragment.claims}

    def bridges_over(self, fragment_ids: Collection[UUID], config: Config) -> tuple[Bridge, ...]:
        """The joins of the view `proven` that pass to the neighbours of some of its fragments."""
        graph, guards = IdentityGraph(), graph_rules(config).guards
        fragments = [graph.put(row.fragment) for row in self.rows.values()]
        graph.person_joins = list(self.joins)
        joins = joins_among(graph, fragments, "proven", guards.matching, guards.priorities)
        found = bridges(fragment_ids, partition(graph, fragments, "proven", guards), joins)
        return tuple(Bridge(item.one, item.other, item.since) for item in found)

    def concerned(self, touched: Touched) -> Touched:
        """What an erasure did to fragments and browsers of this part; of other entries everything."""
        if not touched.detached and not touched.bridges:
            return touched
        return msgspec.structs.replace(
            touched,
            detached=tuple(device for device in touched.detached if device in self.devices),
            bridges=tuple(item for item in touched.bridges if {item.one, item.other} <= self.rows.keys()),
        )


async def find_part(transaction: Transaction, seeds: set[UUID]) -> GraphPart:
    """The part that fragments belong to, with its names locked.

    Raises Contended if it grew before they were.
    """
    part = await _around(transaction, seeds)
    names = {*part.devices, *part.identifiers, *(Identifier(USER_ID, user) for user in part.users)}
    await transaction.lock_identifiers(names)
    again = await _around(transaction, seeds)
    if (again.rows.keys(), again.fresh) != (part.rows.keys(), part.fresh):
        raise Contended("A browser was added while a person was being erased.")
    entries = await transaction.fragments.find_entries(again.rows)
    return msgspec.structs.replace(again, entries=frozenset(entries))


async def refold(transaction: Transaction, part: GraphPart) -> None:
    """Replace a part by what the log entries that are left of it fold to, erasures among them."""
    believed = {row.believed_id for row in part.rows.values()}
    believed |= await transaction.log.find_profiles(part.entries)
    await _delete(transaction, part)
    configs = await transaction.log.find_configurations()
    entries = await transaction.log.find_of_fragments(part.entries, believed)
    entries += await transaction.log.find_erasures_of(part.rows, part.devices)
    entries.sort(key=lambda entry: (entry.seq, entry.observation_id))
    for version, run in groupby(entries, key=lambda entry: entry.config_version):
        await _fold(transaction, part, list(run), configs[version])


async def _around(transaction: Transaction, seeds: set[UUID]) -> GraphPart:
    """The fragments that are tied to others, directly or not, and the fresh trackers that lead to them."""
    fragments = transaction.fragments
    found: dict[UUID, FragmentRow] = {}
    fresh = frozenset[Identifier]()
    joins: dict[PersonJoin, None] = {}
    frontier = seeds
    while frontier:
        rows = {row.fragment.fragment_id: row for row in await fragments.find(frontier)}
        found |= rows
        fresh |= await transaction.browsers.find_replacing(GraphPart(rows).devices)
        part = GraphPart(rows, fresh)
        browsers = await transaction.browsers.find(part.devices)
        frontier = {item for browser in browsers.values() for item in browser.every}
        frontier |= await fragments.find_of_users(part.users)
        proven = (proven_identifiers_of(row.fragment) for row in rows.values())
        frontier |= await fragments.find_proven_claimants({item for named in proven for item in named})
        joins |= dict.fromkeys(await transaction.person_joins.find(rows))
        frontier = frontier.union(*((join.one, join.other) for join in joins)) - found.keys()
    return GraphPart(found, fresh, joins=tuple(joins))


async def _delete(transaction: Transaction, part: GraphPart) -> None:
    await transaction.view_profiles.delete({key for row in part.rows.values() for key in row.view_keys})
    await transaction.browsers.delete(part.devices)
    await transaction.verified_claims.delete_of_users(part.users, part.identifiers)
    await transaction.person_joins.delete_of_fragments(part.rows)
    await transaction.fragments.delete(part.rows)


async def _fold(transaction: Transaction, part: GraphPart, entries: list[LogEntry], config: Config) -> None:
    touched = [part.concerned(touches(entry, config)) for entry in entries]
    unified = await _find_unified(transaction, touched)
    graph = await _gather(transaction, touched, config, unified)

    def unified_ids(profile_id: UUID, seq: int) -> set[UUID]:
        return {item.profile_id for item in unified[profile_id] if not item.is_absorbed or item.seq <= seq}

    for entry, found in zip(entries, touched, strict=True):
        graph.detach(found.detached, entry.seq)
        graph.bridge(found.bridges, entry.seq)
        observation, evidence = found.observation, found.evidence
        if observation is not None and evidence is not None and entry.profile_id is not None:
            observed = Observed(
                observation, evidence, entry.seq, config, graph.rules, is_redacted=entry.content_redacted
            )
            graph.observe(observed, entry.profile_id, partial(unified_ids, seq=entry.seq))
    await identity_graph.save(transaction, graph)


async def _find_unified(transaction: Transaction, touched: list[Touched]) -> dict[UUID, list[Profile]]:
    """Profile that is reindexed → those that are one with it."""
    addressed = {
        observation.profile_id
        for item in touched
        if (observation := item.observation) is not None and policy_of(observation).reads_stored_values
    }
    return {item: await transaction.profiles.find_unified(item) for item in addressed if item is not None}


async def _gather(
    transaction: Transaction,
    touched: list[Touched],
    config: Config,
    unified: Mapping[UUID, list[Profile]],
) -> LoadedGraph:
    named = [
        (item.observation, item.evidence)
        for item in touched
        if item.observation is not None and item.evidence is not None
    ]
    detached = [device for item in touched for device in item.detached]
    joined = {end for item in touched for bridge in item.bridges for end in (bridge.one, bridge.other)}
    rules = graph_rules(config)
    reindexed = {profile.profile_id for found in unified.values() for profile in found}
    footprint = graph_footprint(named, config, rules, detached, joined)
    return await identity_graph.gather(transaction, footprint, rules, reindexed)
