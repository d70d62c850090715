"""The values of a profile and their provenance, as one immutable value.

`values` are plain JSON by scope. `provenance` maps the dotted path of each leaf to its sources:
`traits.plan`, `traits.address.city`, `application_data.<app>.score`. A list is one leaf.

Invariants: every leaf has a source, every source belongs to a leaf, and there are no empty objects. A change
returns a copy.

Source: docs/concepts/merging.md, "Provenance".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

Values = dict[str, Any]
Path = tuple[str, ...]


class ValueSource(Struct, frozen=True, omit_defaults=True):
    """An observation that set a value."""

    #: Its place in the log.
    seq: int
    observation_id: str
    #: When it occurred, in µs since 1970.
    at: int
    interface: str = field(name="face")
    application: str | None = None
    #: The trust of its evidence: "server" or "browser" (docs/concepts/trust.md).
    trust: str = "server"
    #: The seq of the observation that first set the value, if this one repeated it.
    since: int | None = None

    @property
    def first_seq(self) -> int:
        """The seq of the observation that first set the value."""
        return self.seq if self.since is None else self.since


Provenance = dict[str, tuple[ValueSource, ...]]


class Record(Struct, frozen=True):
    """The values of a profile, and their provenance."""

    values: Values
    provenance: Provenance


EMPTY = Record({}, {})


class Change(Struct, frozen=True):
    """Sets one value, or unsets it."""

    #: Scope, application for application data, keys.
    path: Path
    #: The new value; None unsets.
    value: Any


class ValueChanges(Struct, frozen=True):
    """The changes of a write, in its order; falsy if there are none."""

    items: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.items)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.items)


def write(record: Record, changes: ValueChanges, source: ValueSource, *, keeps_age: bool = True) -> Record:
    """The record with the changes applied. Each changed value has `source` as its only source.

    `keeps_age`: repeating a stored value keeps the seq that first set it.
    """
    if not changes.items:
        return record
    values, provenance = record.values, dict(record.provenance)
    for change in changes.items:
        leaf = ".".join(change.path)
        is_repeated = keeps_age and leaf in provenance and read(values, change.path) == change.value
        sources = as_old_as(provenance[leaf], (source,)) if is_repeated else (source,)
        _forget(values, provenance, change.path)
        if change.value is None:
            values = without(values, change.path)
        else:
            values = put(values, change.path, change.value)
            provenance[leaf] = sources
    return Record(values, provenance)


def repeat(record: Record, path: Path, value: Any, source: ValueSource) -> Record | None:
    """The record with another source of a text, which is as old as before; None: it does not hold the text.

    It comes to the same as `write`, but the values are the same object.
    """
    leaf = ".".join(path)
    present = record.provenance.get(leaf)
    if present is None or type(value) is not str or read(record.values, path) != value:
        return None
    return Record(record.values, {**record.provenance, leaf: as_old_as(present, (source,))})


def as_old_as(first: tuple[ValueSource, ...], sources: tuple[ValueSource, ...]) -> tuple[ValueSource, ...]:
    """The sources, as repetitions of the sources `first`: each keeps the earliest seq that set the value."""
    since = min((source.first_seq for source in first), default=None)
    if since is None:
        return sources
    return tuple(replace(item, since=since) if since < item.first_seq else item for item in sources)


def read(values: Values, path: Path) -> Any:
    """The value at a path, or None."""
    target: Any = values
    for key in path:
        if type(target) is not dict:
            return None
        target = target.get(key)
    return target


def put(values: Values, path: Path, value: Any) -> Values:
    """A copy with the value at the path. A value on the path that is not an object is replaced by one."""
    key, *rest = path
    if rest:
        inside = values.get(key)
        value = put(inside if type(inside) is dict else {}, tuple(rest), value)
    return {**values, key: value}


def without(values: Values, path: Path) -> Values:
    """A copy without the value at the path, and without the objects that become empty."""
    key, *rest = path
    inside = values.get(key)
    left = without(inside, tuple(rest)) if rest and type(inside) is dict else None
    if rest and type(inside) is not dict:
        return values
    return {**values, key: left} if left else {name: item for name, item in values.items() if name != key}


def leaves(value: Any, path: str) -> Iterator[str]:
    """The dotted paths of the leaves of the value at `path`."""
    if type(value) is dict and value:
        for key, member in value.items():
            yield from leaves(member, f"{path}.{key}")
    else:
        yield path


def _forget(values: Values, provenance: Provenance, path: Path) -> None:
    """Drops the sources of the value that a change replaces: the value at the path, or a leaf above it."""
    target: Any = values
    for depth, key in enumerate(path, 1):
        target = target.get(key)
        if type(target) is not dict or depth == len(path):
            break
    for leaf in leaves(target, ".".join(path[:depth])):
        provenance.pop(leaf, None)
