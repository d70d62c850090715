"""Fold a part of the identity graph again from what an erasure left of the log.

The part is everything that browsers, users and proven identifiers tie together, directly or not. Nothing
outside of it depends on it, so that the outcome is what the whole log folds to.

Invariants: one transaction, in which the names of the part are locked. Source: docs/concepts/trust.md,
"Erasure".
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import EntryKey, LogEntry, observation_of
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.footprint import graph_footprint
from oneself.core.identity_graph.observe import Observed
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.evidence import extract_evidence
from oneself.core.resolution.kinds import policy_of
from oneself.errors import Contended
from oneself.store import identity_graph
from oneself.store.loaded_graph import proven_identifiers_of, users_of
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Transaction


class GraphPart(msgspec.Struct, frozen=True):
    """A part of the identity graph that nothing ties to the rest."""

    rows: dict[UUID, FragmentRow]
    #: The fresh trackers among its devices that have no fragment of their own.
    fresh: frozenset[Identifier] = frozenset()
    entries: frozenset[EntryKey] = frozenset()

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


async def find_part(transaction: Transaction, seeds: set[UUID]) -> GraphPart:
    """The part that fragments belong to, with its names locked.

    Raises Contended if it grew before they were.
    """
    rows, fresh = await _around(transaction, seeds)
    part = GraphPart(rows, fresh)
    names = {*part.devices, *part.identifiers, *(Identifier(USER_ID, user) for user in part.users)}
    await transaction.lock_identifiers(names)
    again = await _around(transaction, seeds)
    if (again[0].keys(), again[1]) != (rows.keys(), fresh):
        raise Contended("A browser was added while a person was being erased.")
    return GraphPart(rows, fresh, frozenset(await transaction.fragments.find_entries(rows)))


async def refold(
    transaction: Transaction, part: GraphPart, detached: frozenset[Identifier], seq: int
) -> None:
    """Replace a part by what the log entries that are left of it fold to.

    `detached`: browsers that begin anew at `seq`.
    """
    believed = {row.believed_id for row in part.rows.values()}
    believed |= await transaction.log.find_profiles(part.entries)
    await _delete(transaction, part)
    configs = await transaction.log.find_configurations()
    entries = await transaction.log.find_of_fragments(part.entries, believed)
    for version, run in groupby(entries, key=lambda entry: entry.config_version):
        await _fold(transaction, list(run), configs[version])
    if detached:
        await _detach(transaction, detached, configs[max(configs)], seq)


async def _detach(transaction: Transaction, devices: frozenset[Identifier], config: Config, seq: int) -> None:
    rules = graph_rules(config)
    graph = await identity_graph.gather(transaction, graph_footprint([], config, rules, devices), rules)
    graph.detach(devices, seq)
    await identity_graph.save(transaction, graph)


async def _around(
    transaction: Transaction, seeds: set[UUID]
) -> tuple[dict[UUID, FragmentRow], frozenset[Identifier]]:
    """The fragments that are tied to others, directly or not, and the fresh trackers that lead to them."""
    fragments = transaction.fragments
    found: dict[UUID, FragmentRow] = {}
    fresh = frozenset[Identifier]()
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
        frontier -= found.keys()
    return found, fresh


async def _delete(transaction: Transaction, part: GraphPart) -> None:
    await transaction.view_profiles.delete({key for row in part.rows.values() for key in row.view_keys})
    await transaction.browsers.delete(part.devices)
    await transaction.verified_claims.delete_of_users(part.users, part.identifiers)
    await transaction.fragments.delete(part.rows)


async def _fold(transaction: Transaction, entries: list[LogEntry], config: Config) -> None:
    observations = [observation_of(entry) for entry in entries]
    named = [(observation, extract_evidence(observation, config)) for observation in observations]
    rules = graph_rules(config)
    addressed = [
        item.profile_id
        for item in observations
        if policy_of(item).reads_stored_values and item.profile_id is not None
    ]
    unified = {item: await transaction.profiles.find_unified(item) for item in addressed}
    reindexed = {profile.profile_id for found in unified.values() for profile in found}
    graph = await identity_graph.gather(transaction, graph_footprint(named, config, rules), rules, reindexed)

    def unified_ids(profile_id: UUID, seq: int) -> set[UUID]:
        return {item.profile_id for item in unified[profile_id] if not item.is_absorbed or item.seq <= seq}

    for entry, (observation, evidence) in zip(entries, named, strict=True):
        assert entry.profile_id is not None
        observed = Observed(
            observation, evidence, entry.seq, config, rules, is_redacted=entry.content_redacted
        )
        graph.observe(observed, entry.profile_id, partial(unified_ids, seq=entry.seq))
    await identity_graph.save(transaction, graph)
