"""The values of a profile and where each came from, as one value that is copied, never changed.

`values` are plain JSON by scope; `provenance` names the sources of every leaf by its dotted path:
`traits.plan`, `traits.address.city`, `application_data.<app>.score`. A list is one leaf, whatever it holds.
There is no value without a source, no source without a value, and no empty object.

Source: DESIGN §5 (provenance).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

Values = dict[str, Any]
Path = tuple[str, ...]


class ValueSource(Struct, frozen=True, omit_defaults=True):
    """An observation that said a value: committed at `seq`, happened `at` (both µs since 1970). `trust`: of
    its evidence, "server" or "browser" (DESIGN §8). `since`: the seq of the observation that first brought
    the value, if this one repeated it."""

    seq: int
    observation_id: str
    at: int
    interface: str = field(name="face")
    application: str | None = None
    trust: str = "server"
    since: int | None = None

    @property
    def first_seq(self) -> int:
        """When the value was first recorded."""
        return self.seq if self.since is None else self.since


Provenance = dict[str, tuple[ValueSource, ...]]


class Record(Struct, frozen=True):
    """What is known, and from where."""

    values: Values
    provenance: Provenance


EMPTY = Record({}, {})


class Change(Struct, frozen=True):
    """One value set, or unset when it is None. The path runs scope, application where there is one, keys."""

    path: Path
    value: Any


class ValueChanges(Struct, frozen=True):
    """What a write changes, in the order of the write; falsy when it changes nothing."""

    items: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.items)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.items)


def write(record: Record, changes: ValueChanges, source: ValueSource) -> Record:
    """The record with the changes in it, each value with `source` as its only source. A value that stands
    there already stays as old as it is."""
    if not changes.items:
        return record
    values, provenance = record.values, dict(record.provenance)
    for change in changes.items:
        leaf = ".".join(change.path)
        is_repeated = leaf in provenance and read(values, change.path) == change.value
        sources = as_old_as(provenance[leaf], (source,)) if is_repeated else (source,)
        _forget(values, provenance, change.path)
        if change.value is None:
            values = without(values, change.path)
        else:
            values = put(values, change.path, change.value)
            provenance[leaf] = sources
    return Record(values, provenance)


def as_old_as(first: tuple[ValueSource, ...], sources: tuple[ValueSource, ...]) -> tuple[ValueSource, ...]:
    """The sources of a value that others brought `first`."""
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
    """A copy with the value at the path; whatever stands in the way and is no object makes room."""
    key, *rest = path
    if rest:
        inside = values.get(key)
        value = put(inside if type(inside) is dict else {}, tuple(rest), value)
    return {**values, key: value}


def without(values: Values, path: Path) -> Values:
    """A copy without the value at the path, nor the objects that this leaves empty."""
    key, *rest = path
    inside = values.get(key)
    left = without(inside, tuple(rest)) if rest and type(inside) is dict else None
    if rest and type(inside) is not dict:
        return values
    return {**values, key: left} if left else {name: item for name, item in values.items() if name != key}


def leaves(value: Any, path: str) -> Iterator[str]:
    """The dotted paths of the leaves of a value that stands at `path`."""
    if type(value) is dict and value:
        for key, member in value.items():
            yield from leaves(member, f"{path}.{key}")
    else:
        yield path


def _forget(values: Values, provenance: Provenance, path: Path) -> None:
    """Drops the sources of what a change at the path replaces: the value there, or a leaf on its way."""
    target: Any = values
    for depth, key in enumerate(path, 1):
        target = target.get(key)
        if type(target) is not dict or depth == len(path):
            break
    for leaf in leaves(target, ".".join(path[:depth])):
        provenance.pop(leaf, None)
