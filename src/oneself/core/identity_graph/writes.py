"""Writes of one fragment: which of them are kept.

Invariants: pure. What the writes of a fragment amount to is for `replay`.

Source: docs/concepts/trust.md, "Fragments".
"""

from collections.abc import Iterable

import msgspec

from oneself.core.identity_graph.fragment import Write
from oneself.core.values.record import as_old_as


def with_write(writes: tuple[Write, ...], item: Write) -> tuple[Write, ...]:
    """The writes with a new one, without those at its place and below that have no effect any more.

    A removal that happened after the new value was said stays: in a view it removes what others said. A
    proven identity stays beside an asserted one: the views `own` and `proven` do not show the asserted one.
    """
    depth = len(item.path)
    kept = (
        o
        for o in writes
        if o.path[:depth] != item.path
        or o.source.at > item.source.at
        or (item.is_asserted_identity and not o.is_asserted_identity)
    )
    return (*kept, item)


def as_repeated(writes: Iterable[Write], item: Write) -> Write:
    """The write; one that repeats what its fragment says is as old as the first one."""
    repeated = next((o for o in writes if o.path == item.path and o.value == item.value), None)
    if repeated is None or repeated.is_asserted_identity != item.is_asserted_identity:
        return item
    source = as_old_as((repeated.source,), (item.source,))[0]
    return msgspec.structs.replace(item, source=source)


def takes_effect_proven(writes: Iterable[Write], item: Write) -> bool:
    """Whether only an asserted identity goes before a write, so that the views `own` and `proven` show it."""
    beside = [o for o in writes if o.path == item.path and o.value is not None]
    return any(o.is_asserted_identity for o in beside) and not any(
        item.is_asserted_identity or (not o.is_asserted_identity and o.source.at > item.source.at)
        for o in beside
    )
