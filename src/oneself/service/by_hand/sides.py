"""Choose the sides of a split: what stays, and what goes.

Source: docs/decisions/0042-splits-and-merges-by-hand.md.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from oneself.core.fold.reconcile import believed_graph
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.parting import Side, by_source, of_absorbed, of_browser, ordered
from oneself.core.identity_graph.partition import partition
from oneself.core.identity_graph.rules import graph_rules
from oneself.errors import InvalidInput
from oneself.service.by_hand.asked import (
    FRAGMENTS_NAMED_MAX,
    SplitAbsorbed,
    SplitAsked,
    SplitBrowser,
    SplitFragments,
    SplitIdentifier,
    SplitSources,
    via,
)
from oneself.service.by_hand.members import Members
from oneself.service.log.believed_profiles import find_unified_ids, load_log
from oneself.service.profiles.ids import identifier_in
from oneself.service.profiles.profiles import ProfileView
from oneself.store.identity_graph import read_decisions
from oneself.store.transaction import Transaction


async def choose_sides(
    transaction: Transaction, members: Members, found: ProfileView, asked: SplitAsked
) -> list[Side]:
    """The sides of a split, what stays with the profile first. Raises InvalidInput."""
    if isinstance(asked, SplitFragments):
        sides = _two(members, _named(members, asked.fragment_ids), "fragments")
    elif isinstance(asked, SplitBrowser):
        sides = _two(members, await _of_browser(transaction, members, asked.name), "browser")
    elif isinstance(asked, SplitAbsorbed):
        sides = _two(members, await _absorbed(transaction, members, found, asked.profile_id), "profile_id")
    elif isinstance(asked, SplitIdentifier):
        sides = await _without(transaction, members, asked.text)
    else:
        sides = by_source(members.fragments)
    chosen = ordered(sides, members.first)
    if len(chosen) < 2:
        raise InvalidInput(_FIELD[type(asked)], "Nothing would be parted: this is one piece.")
    return chosen


#: What is asked for → its name in requests.
_FIELD = {
    SplitFragments: "fragments",
    SplitAbsorbed: "profile_id",
    SplitBrowser: "browser",
    SplitIdentifier: "identifier",
    SplitSources: "all",
}


def _two(members: Members, part: Side, field: str) -> list[Side]:
    if not part:
        raise InvalidInput(field, f"In this view, the profile has no part that this {field} names.")
    return [members.fragment_ids - part, part]


def _named(members: Members, fragment_ids: Collection[UUID]) -> Side:
    if len(fragment_ids) > FRAGMENTS_NAMED_MAX:
        raise InvalidInput("fragments", f"Name at most {FRAGMENTS_NAMED_MAX} fragments.")
    others = sorted(map(str, set(fragment_ids) - members.fragment_ids))
    if others:
        raise InvalidInput("fragments", f"{others[0]} is no fragment of this profile in this view.")
    return frozenset(fragment_ids)


async def _of_browser(transaction: Transaction, members: Members, name: str) -> Side:
    """What one browser said. An anonymous id names the browsers with trackers that it came with."""
    found = of_browser(members.fragments, name)
    if found:
        return found
    browsers = {item.fragment_id for item in members.fragments if item.browser is not None}
    return frozenset(await transaction.log.find_naming_fragments(browsers, name))


async def _absorbed(transaction: Transaction, members: Members, found: ProfileView, profile_id: UUID) -> Side:
    part = next((item for item in found.absorbed if item.profile_id == profile_id), None)
    if part is None:
        raise InvalidInput("profile_id", "This profile has absorbed no profile with this id, in this view.")
    if members.view == "all":
        return await _believed_part(transaction, members, profile_id)
    graph, config = await _graph(transaction, members), await transaction.config.find()
    joined = partition(graph, members.fragments, members.view, graph_rules(config).guards)
    return of_absorbed(joined.components[profile_id], profile_id, part.seq)


async def _believed_part(transaction: Transaction, members: Members, profile_id: UUID) -> Side:
    """What began as a profile of the view `all`, or came to it before it was absorbed."""
    unified = await find_unified_ids(transaction, [members.survivor_id])
    merges = await transaction.merges.find_of_profiles(sorted(unified))
    into: dict[UUID, UUID] = {item["absorbed_id"]: item["survivor_id"] for item in merges}
    part = {profile_id}
    while more := {item for item, survivor in into.items() if survivor in part} - part:
        part |= more
    return frozenset(await transaction.fragments.find_believed(part)) & members.fragment_ids


async def _without(transaction: Transaction, members: Members, text: str) -> list[Side]:
    """What is left of a profile if an identifier joins nobody."""
    config = await transaction.config.find()
    identifier = via(text, identifier_in(text, config))
    graph, guards = await _graph(transaction, members), graph_rules(config).guards
    found = partition(graph, members.fragments, members.view, guards, without=identifier)
    return list({item.members for item in found.components.values()})


async def _graph(transaction: Transaction, members: Members) -> IdentityGraph:
    """The graph of the fragments of a profile."""
    reach = members.reach
    if members.view == "all":
        log = await load_log(transaction, reach.profile_ids, reach.rows)
        return believed_graph(reach.fragments, reach.joins, reach.separations, log)
    graph = IdentityGraph()
    for fragment in members.fragments:
        graph.put(fragment)
    await read_decisions(transaction, graph)
    return graph
