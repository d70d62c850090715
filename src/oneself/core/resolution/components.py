"""Connected components."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


def connected_components(named: Iterable[tuple[Hashable, ...]]) -> dict[Hashable, list[Hashable]]:
    """The names that hang together because somebody names both, each group under one of them."""
    parent: dict[Hashable, Hashable] = {}

    def root(name: Hashable) -> Hashable:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for names in named:
        for name in names:
            parent.setdefault(name, name)
            parent[root(name)] = root(names[0])
    groups: dict[Hashable, list[Hashable]] = {}
    for name in parent:
        groups.setdefault(root(name), []).append(name)
    return groups
