"""Unions: parts that a view stores become one, and nobody looks at their other fragments.

Joins that come last in order are steps of the replay: one stored part absorbs another, whatever the number of
fragments (docs/concepts/trust.md, "Views").

Invariants: pure. The result is that of a replay of all fragments.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

import msgspec

from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.joins import Join, View
from oneself.core.identity_graph.replay import (
    ActiveBefore,
    Item,
    Part,
    ReplayRules,
    StoredPart,
    replay_stored,
)
from oneself.core.resolution.components import root
from oneself.core.values.record import Path, leaves, read, without


def unite(
    parts: Sequence[StoredPart | Fragment],
    joins: Iterable[Join],
    items: Iterable[tuple[Fragment, Item]],
    view: View,
    rules: ReplayRules,
    active_before: ActiveBefore,
) -> Part | None:
    """What stored parts and single fragments become; None: the joins do not tie all of them.

    `joins`: newer than all stored parts. Of joins of the same two parts the oldest counts. `items`: all that
    the single fragments have, and what was written to the stored parts since.
    """
    tied = _tree(joins, [_members_of(part) for part in parts])
    return None if tied is None else replay_stored(parts, items, tied, view, rules, active_before)


def without_hidden(part: Part, own: Iterable[Path]) -> Part:
    """A stored part, without what identity attributes in a user's own fragment hide of it.

    `own`: the paths of these attributes.
    """
    values, provenance = part.record.values, part.record.provenance
    for path in own:
        stem = ".".join(path)
        if (hidden := read(values, path)) is not None:
            gone = {*leaves(hidden, stem), stem}
            values = without(values, path)
            provenance = {leaf: sources for leaf, sources in provenance.items() if leaf not in gone}
    if values is part.record.values:
        return part
    record = msgspec.structs.replace(part.record, values=values, provenance=provenance)
    return msgspec.structs.replace(part, record=record)


def _members_of(part: StoredPart | Fragment) -> Collection[UUID]:
    return (part.fragment_id,) if isinstance(part, Fragment) else part.members


def _tree(joins: Iterable[Join], parts: Iterable[Collection[UUID]]) -> tuple[Join, ...] | None:
    """The oldest joins that make one of all parts; None: none do."""
    first_of = {member: next(iter(part)) for part in parts for member in part}
    parents = {first: first for first in first_of.values()}
    tied = []
    for join in sorted(joins, key=lambda item: item.age):
        one, other = (root(parents, first_of[item]) for item in (join.one, join.other))
        if one != other:
            parents[other] = one
            tied.append(join)
    return tuple(tied) if len(tied) == len(parents) - 1 else None
