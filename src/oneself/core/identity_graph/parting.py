"""Which fragments of a profile a split takes out of it.

A side is a set of fragments. The first side is what stays with the fragment that heads the profile.

Invariants: pure.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0042-splits-and-merges-by-hand.md.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from oneself.core.identity.identifier import ANONYMOUS_ID, Identifier, tracker_digest
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.joins import Join
from oneself.core.identity_graph.partition import Component
from oneself.core.resolution.components import root

Side = frozenset[UUID]


def by_source(fragments: Iterable[Fragment]) -> list[Side]:
    """What each user owns or was reported for; of the rest, what each browser and each server record said."""
    found: dict[object, set[UUID]] = {}
    for item in fragments:
        source = item.user_id or item.browser or item.fragment_id
        found.setdefault(source, set()).add(item.fragment_id)
    return [frozenset(side) for side in found.values()]


def of_browser(fragments: Iterable[Fragment], name: str) -> Side:
    """The fragments of a browser. `name`: its anonymous id or tracker, or the digest of its tracker."""
    return frozenset(
        item.fragment_id for item in fragments if item.browser is not None and name in _names(item.browser)
    )


def _names(browser: Identifier) -> tuple[str, ...]:
    if browser.namespace == ANONYMOUS_ID:
        return (browser.value,)
    return browser.value, tracker_digest(browser.value)


def of_absorbed(component: Component, head: UUID, absorbed_at: int) -> Side:
    """What a profile was that a component absorbed, with all that has come to it since.

    `head`: the fragment that headed it. `absorbed_at`: the seq of the join that merged it.
    """
    parents = {item: item for item in component.members}
    joins = list(component.joins)
    ending = next(
        (number for number, join in enumerate(joins) if _ends(join, head, absorbed_at, parents)), None
    )
    parents = {item: item for item in component.members}
    for number, join in enumerate(joins):
        if number != ending:
            parents[root(parents, join.one)] = root(parents, join.other)
    return frozenset(item for item in component.members if root(parents, item) == root(parents, head))


def _ends(join: Join, head: UUID, absorbed_at: int, parents: dict[UUID, UUID]) -> bool:
    """Whether a join ends the profile of a fragment; else the two parts are united in `parents`."""
    sides = {root(parents, join.one), root(parents, join.other)}
    if join.since >= absorbed_at and root(parents, head) in sides:
        return True
    parents[root(parents, join.one)] = root(parents, join.other)
    return False


def ordered(sides: Iterable[Collection[UUID]], first: UUID) -> list[Side]:
    """The sides in a fixed order, that of a fragment first; empty ones are left out."""
    kept = [frozenset(side) for side in sides if side]
    return sorted(kept, key=lambda side: (first not in side, min(side)))
