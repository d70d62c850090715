"""The profiles that fragments belong to, as they are in a transaction."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import ManualMerge, ManualSplit
from oneself.core.identity_graph.joins import View
from oneself.service.by_hand.asked import DecidedProfile
from oneself.service.history.timeline import list_identifiers
from oneself.service.log.believed_profiles import find_unified_ids
from oneself.service.profiles.profiles import ProfileView, believed_view
from oneself.store.transaction import Transaction
from oneself.store.view_reader import read_view

#: How many identifiers of each profile are listed; a profile's own resource lists all.
IDENTIFIERS_MAX = 100
#: How many profiles are described; a split names all fragments.
PROFILES_MAX = 100


async def read_outcome(
    transaction: Transaction, decision: ManualSplit | ManualMerge, config: Config
) -> tuple[DecidedProfile, ...]:
    """The profiles that the fragments of a decision belong to now, in its view, in the order of its sides."""
    profiles: dict[UUID, set[UUID]] = {}
    for fragment_id, survivor_id in (await _survivors(transaction, decision)).items():
        profiles.setdefault(survivor_id, set()).add(fragment_id)
    found = []
    for survivor_id in list(profiles)[:PROFILES_MAX]:
        view = await _read(transaction, survivor_id, decision.view, config)
        assert view is not None
        fragments = await _members(transaction, survivor_id, decision.view)
        found.append(
            DecidedProfile(
                view,
                tuple(sorted(fragments)),
                tuple(await list_identifiers(transaction, view, 0, IDENTIFIERS_MAX)),
                await transaction.events.count_of_fragments(fragments),
            )
        )
    return tuple(found)


async def _survivors(transaction: Transaction, decision: ManualSplit | ManualMerge) -> dict[UUID, UUID]:
    """Fragment → the survivor of its profile, in the order of the decision."""
    fragments = transaction.fragments
    if decision.view != "all":
        heads = await fragments.find_heads_of(decision.view, decision.fragment_ids)
        return {item: heads[item] for item in decision.fragment_ids if item in heads}
    believed = await fragments.find_believed_of(decision.fragment_ids)
    known = {item.profile_id: item for item in await transaction.profiles.find(set(believed.values()))}
    return {
        item: known[believed[item]].survivor_id or believed[item]
        for item in decision.fragment_ids
        if believed.get(item) in known
    }


async def _read(
    transaction: Transaction, survivor_id: UUID, view: View, config: Config
) -> ProfileView | None:
    if view == "all":
        return believed_view(await transaction.profiles.find_unified(survivor_id), survivor_id, config)
    found = await read_view(transaction, view, survivor_id, config)
    return (
        None if found is None else ProfileView(found.survivor, found.survivor, found.absorbed, config, view)
    )


async def _members(transaction: Transaction, survivor_id: UUID, view: View) -> Collection[UUID]:
    fragments = transaction.fragments
    if view == "all":
        return await fragments.find_believed(await find_unified_ids(transaction, [survivor_id]))
    return await fragments.find_member_ids(view, survivor_id)
