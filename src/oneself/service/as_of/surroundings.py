"""Everything in the log that a profile may depend on, now or at any instant before.

    own, proven   the part of the identity graph that browsers, users and proven identifiers tie together
    all           that, and the profiles that ever held, or named, an identifier of one of its profiles

Nothing outside of it has a say in what its entries fold to. What was only asserted adds nothing to the
surroundings in the narrower views: so a stranger cannot make anybody's too large.

Invariants: read-only. At most `limit` fragments and profiles, and `limit` entries, are looked at.

Source: docs/decisions/0047-as-of.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import LogEntry, config_of, observation_of
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, USER_ID, Identifier
from oneself.core.identity.normalise import display_value
from oneself.core.identity_graph.joins import View
from oneself.core.resolution.evidence import extract_evidence
from oneself.errors import Conflict
from oneself.service.log.believed_profiles import find_unified_ids
from oneself.service.log.graph_part import GraphPart, PartTooLarge, find_tied
from oneself.service.profiles.ids import CANDIDATES_MAX, id_range, identifier_in, profile_id_in
from oneself.store.as_of import ScratchLog
from oneself.store.tables.log import BEGINNING
from oneself.store.transaction import Tables


class TooLargeAsOf(Conflict):
    """What a profile depends on is too large to be folded for one answer."""

    default_code = "too_large"
    default_message = "Too large."

    def __init__(self, found: int, limit: int) -> None:
        super().__init__(
            f"What this profile depended on has at least {found} parts or log entries; at most {limit} are "
            "read. Leave out `at`, or read the history of the profile."
        )


class Seeds(msgspec.Struct, frozen=True):
    """What an id may mean, or may have meant."""

    fragment_ids: frozenset[UUID] = frozenset()
    profile_ids: frozenset[UUID] = frozenset()
    users: frozenset[str] = frozenset()

    def __or__(self, other: Seeds) -> Seeds:
        return Seeds(
            self.fragment_ids | other.fragment_ids,
            self.profile_ids | other.profile_ids,
            self.users | other.users,
        )


class Surroundings(msgspec.Struct, frozen=True):
    """What the entries of a profile are folded with."""

    part: GraphPart
    #: The profiles of the view `all`; none in a narrower view.
    profile_ids: frozenset[UUID] = frozenset()


async def find_seeds(tables: Tables, text: str, configs: Iterable[Config]) -> Seeds:
    """What an id may mean by one of some configurations."""
    if (profile_id := profile_id_in(text)) is not None:
        return Seeds(frozenset({profile_id}), frozenset({profile_id}))
    called = display_value(text)
    if not called or "\x00" in called:
        return Seeds()
    found = await _find_called(tables, called)
    named = {identifier_in(text, config) for config in configs} | {Identifier(ANONYMOUS_ID, called)}
    for identifier in named:
        if identifier is not None:
            found |= await _find_named(tables, identifier)
    return found


async def _find_called(tables: Tables, called: str) -> Seeds:
    """Who is or was called so."""
    first, last = id_range(called)
    begun = None if first is None or last is None else await tables.fragments.find_between(first, last)
    meant = await tables.profiles.find_of_anonymous_id(called, id_range(called), CANDIDATES_MAX)
    profile_ids = {item.profile_id for item in meant}
    if (known := await tables.profiles.find_called(called, id_range(called))) is not None:
        profile_ids.add(known)
    fragment_ids = profile_ids if begun is None else {*profile_ids, begun.fragment.fragment_id}
    return Seeds(frozenset(fragment_ids), frozenset(profile_ids))


async def _find_named(tables: Tables, identifier: Identifier) -> Seeds:
    """Who has or had an identifier."""
    if identifier.namespace == USER_ID:
        fragment_ids = await tables.fragments.find_of_users([identifier.value])
        fragment_ids |= await tables.log.find_disowned(identifier.value)
        return Seeds(frozenset(fragment_ids), users=frozenset({identifier.value}))
    if not identifier.is_device:
        claimants = await tables.fragments.find_proven_claimants([identifier])
        held = await tables.claims.find_last_holder(identifier, 0)
        return Seeds(frozenset(claimants), frozenset() if held is None else frozenset({held}))
    browsers = await tables.browsers.find([identifier])
    fragment_ids = {item for browser in browsers.values() for item in (*browser.every, *browser.present)}
    claims = await tables.claims.find_history([identifier])
    profile_ids = {item.claim.profile_id for item in claims[:1] + claims[-1:]}
    return Seeds(frozenset(fragment_ids | profile_ids), frozenset(profile_ids))


async def find_surroundings(
    scratch: ScratchLog, seeds: Seeds, view: View, configs: Mapping[int, Config], limit: int
) -> Surroundings:
    """What seeds depend on in a view, with its entries copied. Raises TooLargeAsOf."""
    tables = scratch.transaction
    try:
        if view == "all":
            found = await _find_believed(scratch, seeds, configs, limit)
        else:
            # A profile of `all` means the words that began it, not all that was asserted of it since.
            begun = [await tables.fragments.find_begun(item) for item in seeds.profile_ids]
            known = seeds.fragment_ids.union(item for item in begun if item is not None)
            found = Surroundings(await find_tied(tables, known, seeds.users, fragments_max=limit))
            await _copy(scratch, found, limit)
    except PartTooLarge as error:
        raise TooLargeAsOf(error.fragments, limit) from error
    await _copy_others(scratch, found)
    if (copied := await scratch.count_copied()) > limit:
        raise TooLargeAsOf(copied, limit)
    return found


async def _copy(scratch: ScratchLog, found: Surroundings, limit: int) -> None:
    """Copy what fragments and profiles have in the log."""
    asked = found.part.rows.keys(), found.profile_ids
    counted = await scratch.count_entries(*asked, limit + 1)
    if counted > limit:
        raise TooLargeAsOf(counted, limit)
    await scratch.copy_entries(*asked)


async def _find_believed(
    scratch: ScratchLog, seeds: Seeds, configs: Mapping[int, Config], limit: int
) -> Surroundings:
    """The surroundings in the view `all`, found step by step."""
    tables = scratch.transaction
    fragment_ids, profile_ids = set(seeds.fragment_ids), set(seeds.profile_ids)
    looked_up: set[Identifier] = set()
    while True:
        fragment_ids |= await tables.fragments.find_believed(profile_ids)
        part = await find_tied(tables, fragment_ids, seeds.users, fragments_max=limit)
        profile_ids |= {row.believed_id for row in part.rows.values()} | part.rows.keys()
        found = Surroundings(part, await find_unified_ids(tables, profile_ids))
        size = len(part.rows) + len(found.profile_ids)
        if size > limit:
            raise TooLargeAsOf(size, limit)
        await _copy(scratch, found, limit)
        named = await _find_identifiers(scratch, found, configs) - looked_up
        looked_up |= named
        holders = await tables.claims.find_history(named)
        attached = await scratch.find_profiles() | {item.claim.profile_id for item in holders}
        known = part.rows.keys() | await tables.fragments.find_claimants(named)
        if attached <= found.profile_ids and known == part.rows.keys():
            return found
        fragment_ids, profile_ids = set(known), set(found.profile_ids) | attached


async def _find_identifiers(
    scratch: ScratchLog, found: Surroundings, configs: Mapping[int, Config]
) -> set[Identifier]:
    """Every identifier that profiles ever held, and that their entries name."""
    claims = await scratch.transaction.claims.find_of_profiles(found.profile_ids)
    await scratch.show_folded()
    entries = [entry async for entry in copied_entries(scratch)]
    await scratch.show_live()
    # Work for the processor: other requests go on meanwhile.
    named = await asyncio.to_thread(_named_in, entries, configs)
    return {claim.identifier for claim in claims} | named


def _named_in(entries: Iterable[LogEntry], configs: Mapping[int, Config]) -> set[Identifier]:
    return {
        identifier
        for entry in entries
        if entry.profile_id is not None
        for identifier in extract_evidence(observation_of(entry), config_of(entry, configs)).identifiers
    }


async def copied_entries(scratch: ScratchLog) -> AsyncIterator[LogEntry]:
    """The copied entries in order. Needs `show_folded`."""
    position = BEGINNING
    while page := await scratch.transaction.log.list_after(position):
        for entry in page:
            yield entry
        position = page[-1].seq, page[-1].observation_id


async def _copy_others(scratch: ScratchLog, found: Surroundings) -> None:
    """Copy what belongs to no fragment: reindexing, reviews, decisions, erasures, verifications."""
    part, log = found.part, scratch.transaction.log
    profile_ids = await scratch.find_profiles() | {row.believed_id for row in part.rows.values()}
    entries = await log.find_of_fragments(part.verifications, profile_ids, part.rows)
    entries += await log.find_erasures_of(part.rows, part.devices | await _devices_of(scratch, found))
    entries += await log.find_reviews_of(part.rows)
    entries += await log.find_decisions_of(part.rows)
    await scratch.copy_named((entry.seq, entry.observation_id) for entry in entries)


async def _devices_of(scratch: ScratchLog, found: Surroundings) -> set[Identifier]:
    """The browsers that profiles of the view `all` ever had."""
    claims = await scratch.transaction.claims.find_of_profiles(found.profile_ids)
    return {item.identifier for item in claims if item.identifier.namespace in (ANONYMOUS_ID, TRACKER)}
