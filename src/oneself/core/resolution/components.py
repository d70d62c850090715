"""Connected components of a graph, by union-find. The write path uses them on a batch.

Invariants: pure; it knows hashable names only, not profiles.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def root(parents: dict[Name, Name], name: Name) -> Name:
    """The name that stands for the set of a name, in a forest of disjoint sets. Halves the path to it."""
    while parents[name] != name:
        parents[name] = parents[parents[name]]
        name = parents[name]
    return name


def connected_components(groups: Iterable[tuple[Hashable, ...]]) -> dict[Hashable, list[Hashable]]:
    """The connected components: one name of each → all its names. The names of a group are connected."""
    parents: dict[Hashable, Hashable] = {}
    for names in groups:
        for name in names:
            parents.setdefault(name, name)
            parents[root(parents, name)] = root(parents, names[0])
    components: dict[Hashable, list[Hashable]] = {}
    for name in parents:
        components.setdefault(root(parents, name), []).append(name)
    return components


def are_apart(ones: Collection[int], others: Collection[int]) -> bool:
    """Whether what is on these sides of one separation is kept apart by it."""
    return bool(ones) and bool(others) and len({*ones, *others}) > 1
