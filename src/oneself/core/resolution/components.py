"""Connected components of a graph, by union-find. The write path uses them on a batch.

Invariants: pure; it knows hashable names only, not profiles.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable


def connected_components(groups: Iterable[tuple[Hashable, ...]]) -> dict[Hashable, list[Hashable]]:
    """The connected components: one name of each → all its names. The names of a group are connected."""
    parent: dict[Hashable, Hashable] = {}

    def root(name: Hashable) -> Hashable:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for names in groups:
        for name in names:
            parent.setdefault(name, name)
            parent[root(name)] = root(names[0])
    components: dict[Hashable, list[Hashable]] = {}
    for name in parent:
        components.setdefault(root(name), []).append(name)
    return components
