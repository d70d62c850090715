"""Patches: computes the changes of a write, or rejects it.

Traits and identity attributes are merged deeply. In application data each first-level key replaces the stored
value. Replacing removes only members that the writer sees and may change: write-only, protected and hidden
members stay.

Invariants: only changed values are validated and checked for mutability. Repeating a stored value, or its
visible part, is never a change.

Source: docs/wire/cds.md §5.1, §5.4 (merging, null), §8 (checks, mutability).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, Literal

from msgspec import Struct

from oneself.core.values.attribute import (
    APPLICATION_DATA,
    IDENTITY_ATTRIBUTES,
    IMMUTABLE,
    READ_ONLY,
    READ_WRITE,
    WRITE_ONCE,
    Field,
)
from oneself.core.values.record import Change, Path, Record, ValueChanges, leaves, read
from oneself.core.values.schema import Schema
from oneself.core.values.validation import (
    IMMUTABLE_PROBLEM,
    READ_ONLY_PROBLEM,
    UNDEFINED,
    WRITE_ONCE_PROBLEM,
    InvalidValue,
    buckets,
    element_path,
    is_valid,
    rejection_of,
    validate,
)
from oneself.core.values.value_types import TypeMismatch, canonical_key, check_size, is_empty, same
from oneself.core.values.visibility import redact_elements

#: The writer. A rebuild has the authority of the log: its writes were allowed when they were recorded.
Authority = Literal["application", "identity_server", "log"]


class _WritePolicy(Struct, frozen=True):
    """The permissions of a writer."""

    #: The profile, or the element of a list, is being created.
    creating: bool
    #: The writer owns the identity attributes, so it may change read-only ones.
    owns_identity: bool
    #: Mutability was checked when the values were recorded.
    repeats: bool = False


def apply_patch(
    schema: Schema, stored: Record, patch: dict[str, Any], *, creating: bool, authority: Authority
) -> ValueChanges:
    """The changes that a patch in the three scopes makes to a record; None unsets.

    A rebuild writes with the authority of the log. Raises InvalidValue for the first value that is undefined,
    invalid, or must not be changed.
    """
    policy = _WritePolicy(creating, authority == "identity_server", authority == "log")
    return ValueChanges(tuple(_changes(schema, stored, patch, policy)))


def writes_once(schema: Schema, patch: dict[str, Any]) -> bool:
    """Whether what is stored may forbid a change that a patch makes."""
    return any(
        field.attribute.mutability == WRITE_ONCE or field.guarded
        for path, bucket in buckets(patch)
        for key in bucket
        if (field := schema.fields(*path).get(key)) is not None
    )


def is_written_once(schema: Schema, record: Record, path: Path, seq: int) -> bool:
    """Whether an earlier observation set what is written once at a path, or around it.

    `seq`: of the observation that writes there.
    """
    for depth in range(2, len(path) + 1):
        field = schema.field_at(path[:depth])
        if field is None or field.attribute.mutability != WRITE_ONCE:
            continue
        present = read(record.values, path[:depth])
        if not is_empty(present) and is_valid(field, present):
            sources = (record.provenance.get(leaf, ()) for leaf in leaves(present, ".".join(path[:depth])))
            return not any(source.seq == seq for found in sources for source in found)
    return False


def _changes(schema: Schema, stored: Record, patch: dict[str, Any], policy: _WritePolicy) -> Iterator[Change]:
    for path, bucket in buckets(patch, strict=policy.creating):
        fields = schema.fields(*path)
        present = read(stored.values, path) or {}
        for key, value in bucket.items():
            field = fields.get(key)
            if field is None:
                raise _undefined(schema, path, key)
            yield from _diff(field, (*path, key), present.get(key), value, policy)


def _undefined(schema: Schema, path: Path, key: str) -> InvalidValue:
    above = schema.complex_above(f"{path[0]}.{key}", *path[1:])
    if above is not None:
        return rejection_of((*path, key), f"'{above.attribute_name}' is complex, send it as an object")
    return rejection_of(
        (*path, key) if path[0] == APPLICATION_DATA else (*path, f"{path[0]}.{key}"), UNDEFINED
    )


def _diff(field: Field, path: Path, old: Any, new: Any, policy: _WritePolicy) -> Iterator[Change]:
    if new is None:
        if old is not None:
            _check_unset(field, path, old, policy)
            yield Change(path, None)
    elif field.nests and type(new) is dict:
        yield from _diff_members(field, path, old, new, policy)
    elif not same(old, new):
        yield from _set(field, path, old, new, policy)


def _set(field: Field, path: Path, old: Any, new: Any, policy: _WritePolicy) -> Iterator[Change]:
    problem = _forbidden(field, path, old, policy)
    try:
        value = validate(field, new, path)
        check_size(value)
    except (InvalidValue, TypeMismatch) as mismatch:
        if problem is not None or isinstance(mismatch, TypeMismatch):
            raise rejection_of(path, problem or mismatch.problem) from None
        raise
    if field.holds_objects:
        value = _elements(field, path, old, value, policy)
    if same(old, value):
        return
    if problem is not None:
        raise rejection_of(path, problem)
    yield Change(path, value)


def _diff_members(
    field: Field, path: Path, old: Any, new: dict[str, Any], policy: _WritePolicy
) -> Iterator[Change]:
    changes = list(_member_changes(field, path, old if type(old) is dict else {}, new, policy))
    if changes:
        _check_allowed(field, path, old, policy)
    yield from changes


def _member_changes(
    field: Field, path: Path, old: dict[str, Any], new: dict[str, Any], policy: _WritePolicy
) -> Iterator[Change]:
    for key, value in new.items():
        child = field.children.get(key)
        if child is None:
            raise rejection_of((*path, key), UNDEFINED)
        yield from _diff(child, (*path, key), old.get(key), value, policy)
    if path[0] == APPLICATION_DATA:
        for key, value in old.items():
            if key not in new:
                yield from _unset(field.children.get(key), (*path, key), value, policy)


def _unset(field: Field | None, path: Path, old: Any, policy: _WritePolicy) -> Iterator[Change]:
    """Unsets a member that a replacing object does not name, if the writer sees it and may change it."""
    if field is None or field.attribute.mutability != READ_WRITE or not is_valid(field, old):
        return
    if field.nests:
        yield from _diff_members(field, path, old, {}, policy)
    else:
        yield Change(path, None)


def _check_unset(field: Field, path: Path, old: Any, policy: _WritePolicy) -> None:
    """Unsetting an object unsets its members, so each of them must allow it."""
    _check_allowed(field, path, old, policy)
    if field.guarded and field.nests and type(old) is dict:
        for key, child in field.children.items():
            if old.get(key) is not None:
                _check_unset(child, (*path, key), old[key], policy)


def _check_allowed(field: Field, path: Path, old: Any, policy: _WritePolicy) -> None:
    problem = _forbidden(field, path, old, policy)
    if problem is not None:
        raise rejection_of(path, problem)


def _forbidden(field: Field, path: Path, old: Any, policy: _WritePolicy) -> str | None:
    """The problem if the attribute's mutability forbids a change of the stored value, else None.

    A stored value that the current schema makes invalid never blocks a write: it is treated as not set
    (docs/wire/cds.md §8).
    """
    if policy.repeats:
        return None
    mutability = field.attribute.mutability
    if mutability == READ_ONLY and not (policy.owns_identity and path[0] == IDENTITY_ATTRIBUTES):
        return READ_ONLY_PROBLEM
    if mutability == IMMUTABLE and not policy.creating:
        return IMMUTABLE_PROBLEM
    if mutability == WRITE_ONCE and not is_empty(old) and is_valid(field, old):
        return WRITE_ONCE_PROBLEM
    return None


def _elements(
    field: Field, path: Path, old: Any, new: list[dict[str, Any]], policy: _WritePolicy
) -> list[Any]:
    """The new objects of a list, each matched with the stored one that it repeats or replaces.

    A new object that equals the visible part of a stored one keeps its write-only members. Any other is
    compared with the stored object at its index, unless that one is repeated elsewhere. Without a stored
    object to compare with, it is being created.
    """
    visible = redact_elements(field, old) or []
    waiting: dict[Hashable, list[int]] = {}
    for at, element in enumerate(visible):
        waiting.setdefault(canonical_key(element), []).append(at)
    repeats = [found.pop(0) if (found := waiting.get(canonical_key(element))) else None for element in new]
    free = set(range(len(visible))) - set(repeats)
    for at, repeated in enumerate(repeats):
        if repeated is None and field.guarded:
            _check_members(field, element_path(path, at), old[at] if at in free else None, new[at], policy)
    return [new[at] if repeated is None else old[repeated] for at, repeated in enumerate(repeats)]


def _check_members(field: Field, path: Path, old: Any, new: dict[str, Any], policy: _WritePolicy) -> None:
    present = old if type(old) is dict else {}
    inner = policy if type(old) is dict else _WritePolicy(True, policy.owns_identity, policy.repeats)
    for key, child in field.children.items():
        before, after = present.get(key), new.get(key)
        if same(before, after):
            continue
        _check_allowed(child, (*path, key), before, inner)
        if child.nests and child.guarded:
            _check_members(child, (*path, key), before, after or {}, inner)
