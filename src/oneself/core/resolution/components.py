"""Connected components of a graph, by union-find: which of many names hang together.

Knows hashable names only, nothing of profiles. Used by the write path on a batch and by whole-dataset
resolution.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable


def connected_components(groups: Iterable[tuple[Hashable, ...]]) -> dict[Hashable, list[Hashable]]:
    """The components that groups of connected names form, each under one of its names."""
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
