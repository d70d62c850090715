"""What the writes of one fragment amount to by themselves.

Invariants: pure; it comes to the same as writing them one after the other.

Source: docs/concepts/trust.md, "Fragments".
"""

from collections.abc import Iterable

from oneself.core.identity_graph.fragment import Write
from oneself.core.identity_graph.replay import ReplayRules, put
from oneself.core.values.record import EMPTY, Path, Provenance, Record, Values


def record_of(writes: Iterable[Write], rules: ReplayRules) -> Record:
    """What writes of one fragment amount to, asserted identities included."""
    items = tuple(writes)
    if not rules.writes_once and _are_apart([item.path for item in items]):
        return _record_of_apart(items)
    record = EMPTY
    for item in items:
        record = put(record, item, rules)
    return record


def _are_apart(paths: list[Path]) -> bool:
    """Whether no two paths are equal, and none leads through another one."""
    known = set(paths)
    return len(known) == len(paths) and not any(
        path[:depth] in known for path in paths for depth in range(1, len(path))
    )


def _record_of_apart(writes: Iterable[Write]) -> Record:
    """What writes amount to of which none replaces another one, as most do."""
    values: Values = {}
    provenance: Provenance = {}
    for item in writes:
        if item.value is not None:
            *above, key = item.path
            target = values
            for name in above:
                target = target.setdefault(name, {})
            target[key] = item.value
            provenance[".".join(item.path)] = (item.source,)
    return Record(values, provenance)
