"""What a reconciliation or a decision about people touches in the view `all`.

Invariants: found again after it was locked. Fragments that are known and have not changed are not read again:
what is known was read before the transaction wrote any of it.

Source: docs/decisions/0027-the-view-all-is-reconciled.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.reconcile import BelievedLog, ExpectedPartition, expect
from oneself.core.identity.identifier import ANONYMOUS_ID, USER_ID, Identifier
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.graph import PersonJoin, Separation
from oneself.core.identity_graph.rules import graph_rules
from oneself.errors import OneselfError
from oneself.service.log.believed_profiles import find_unified_ids
from oneself.store.loaded_graph import users_of
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Transaction


class TooLarge(OneselfError):
    """So much is believed to be of one person that it is not reconciled."""


class Affected(msgspec.Struct, frozen=True):
    """What a reconciliation touches."""

    #: Their profiles in the view `all`, the absorbed ones included.
    profile_ids: frozenset[UUID]
    rows: Mapping[UUID, FragmentRow]
    #: Of their fragments, those that hang on no identifier.
    joins: tuple[PersonJoin, ...]
    #: What people keep apart of them.
    separations: Mapping[UUID, Separation]
    #: Pairs of a fragment and the survivor that an entry of it is attached to.
    attached: frozenset[tuple[UUID, UUID]]
    #: Everything by which an observation may lead to them.
    names: frozenset[Identifier]

    @property
    def fragments(self) -> list[Fragment]:
        return [row.fragment for row in self.rows.values()]

    @property
    def is_simple(self) -> bool:
        """Whether no anonymous id may tie one of their fragments to a tracker."""
        browsers = (item.browser for item in self.fragments if not item.claims)
        return all(item is None or item.namespace != ANONYMOUS_ID for item in browsers)

    @property
    def locked(self) -> tuple[object, ...]:
        """What a reconciliation locks before it reads them once more."""
        return self.profile_ids, self.rows.keys(), self.names

    async def lock(self, transaction: Transaction, locked: Collection[Affected]) -> None:
        """Lock everything by which an observation may lead to them, and their profiles.

        `locked`: what is locked already.
        """
        await transaction.lock_identifiers(self.names.difference(*(other.names for other in locked)))
        await transaction.profiles.lock_survivors(self.profile_ids)

    def is_covered_by(self, locked: Collection[Affected]) -> bool:
        """Whether nobody else can change any of it, because all of that is locked."""
        profile_ids = self.profile_ids.difference(*(other.profile_ids for other in locked))
        return not (profile_ids or self.names.difference(*(other.names for other in locked)))

    async def find_expected(self, log: BelievedLog, config: Config) -> ExpectedPartition:
        """Who is one person among them. Other requests go on meanwhile."""
        known = self.fragments, self.joins, self.separations
        return await asyncio.to_thread(expect, *known, log, graph_rules(config))

    def differing(self, expected: ExpectedPartition) -> set[UUID]:
        """The believed survivors whose fragments are others than expected."""
        return expected.find_differing(self.attached)


async def find_reach(
    transaction: Transaction,
    seeds: set[UUID],
    fragments_max: int,
    entries_max: int,
    known: Mapping[UUID, FragmentRow],
) -> Affected:
    """The profiles that fragments and their neighbours belong to, with all fragments of these.

    `known`: fragments that were read before. Raises TooLarge.
    """
    fragments, log = transaction.fragments, transaction.log
    if len(seeds) > fragments_max:
        raise TooLarge(f"A person has more than {fragments_max} fragments.")
    rows = await _read(transaction, seeds, known)
    found = await _find_neighbours(transaction, rows)
    while True:
        if len(found) > fragments_max:
            raise TooLarge(f"A person has more than {fragments_max} fragments.")
        profile_ids = await find_unified_ids(transaction, await log.find_profiles_of_fragments(found))
        if await log.count_of_profiles(profile_ids, entries_max + 1) > entries_max:
            raise TooLarge(f"A person has more than {entries_max} observations.")
        attached = await log.find_attached(profile_ids)
        reached = {item for item, _ in attached} | found | await fragments.find_believed(profile_ids)
        if reached == found:
            break
        found = reached
    rows |= await _read(transaction, found - rows.keys(), known)
    survivors = await transaction.profiles.find_survivors(profile_ids)
    claims = await transaction.claims.find_of_profiles(profile_ids)
    return Affected(
        profile_ids,
        rows,
        tuple(await transaction.person_joins.find(rows)),
        await transaction.separations.find(rows),
        frozenset((item, survivors.get(profile_id, profile_id)) for item, profile_id in attached),
        _names(rows, (claim.identifier for claim in claims)),
    )


def _names(rows: Mapping[UUID, FragmentRow], claimed: Iterable[Identifier]) -> frozenset[Identifier]:
    """Everything by which an observation may lead to fragments. `claimed`: what their profiles ever did."""
    fragments = [row.fragment for row in rows.values()]
    named = {claim.tenure.identifier for item in fragments for claim in item.claims}
    devices = {item.browser for item in fragments if item.browser is not None}
    users = {Identifier(USER_ID, user) for item in fragments for user in users_of(item)}
    return frozenset({*claimed, *named, *devices, *users})


async def _read(
    transaction: Transaction, fragment_ids: Collection[UUID], known: Mapping[UUID, FragmentRow]
) -> dict[UUID, FragmentRow]:
    """Fragments; of those that are known, only what has changed is read."""
    versions = await transaction.fragments.find_versions([item for item in fragment_ids if item in known])
    rows = {item: known[item] for item, version in versions.items() if known[item].read_version == version}
    left = [item for item in fragment_ids if item not in rows]
    return rows | {row.fragment.fragment_id: row for row in await transaction.fragments.find(left)}


async def _find_neighbours(transaction: Transaction, rows: Mapping[UUID, FragmentRow]) -> set[UUID]:
    """Fragments, those of their users, and some of those that hold what they hold."""
    known = [row.fragment for row in rows.values()]
    held = {claim.tenure.identifier for item in known for claim in item.claims}
    users = {user for item in known for user in users_of(item)}
    neighbours = await transaction.fragments.find_claimants(held)
    neighbours |= await transaction.fragments.find_of_users(users)
    return neighbours.union(rows)
