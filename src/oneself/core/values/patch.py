"""What a write changes, or why it is refused. Only what the request changes is judged.

An application may write what its attributes' mutability allows; repeating what is stored, or what can be
seen of it, is never a change. Traits and identity attributes are merged deeply; in application data each
first-level key replaces the stored one, where replacing takes away only what the writer can see and may
change: members that are write-only, protected or hidden stay.

Source: wire/cds §5.1, §5.4 (merging, null), §8 (checks, wording, mutability), seeds/profile-attributes.
"""

from __future__ import annotations

from collections.abc import Hashable
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
from oneself.core.values.record import Change, Path, Record, ValueChanges, read
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

#: By whose right values are written; the log repeats what was allowed when it was written.
Authority = Literal["application", "identity_server", "log"]


class _PatchWriter(Struct, frozen=True):
    """Who writes: at the creation of the profile or of a list's element; with the identity server's word."""

    creating: bool
    owns_identity: bool
    repeats: bool = False


def apply_patch(
    schema: Schema, stored: Record, patch: dict[str, Any], *, creating: bool, authority: Authority
) -> ValueChanges:
    """The changes that a patch in the three scopes makes to a record. None unsets.

    Raises InvalidValue for the first value that is undefined, does not fit, or may not be changed. A
    rebuild writes with the authority of the log: mutability was judged when the values were recorded.
    """
    writer = _PatchWriter(creating, authority == "identity_server", authority == "log")
    changes: list[Change] = []
    for path, bucket in buckets(patch, strict=creating):
        fields = schema.fields(*path)
        held = read(stored.values, path) or {}
        for key, value in bucket.items():
            field = fields.get(key)
            if field is None:
                raise _undefined(schema, path, key)
            _change(changes, field, (*path, key), held.get(key), value, writer)
    return ValueChanges(tuple(changes))


def _undefined(schema: Schema, path: Path, key: str) -> InvalidValue:
    above = schema.complex_above(f"{path[0]}.{key}", *path[1:])
    if above is not None:
        return rejection_of((*path, key), f"'{above.attribute_name}' is complex, send it as an object")
    return rejection_of(
        (*path, key) if path[0] == APPLICATION_DATA else (*path, f"{path[0]}.{key}"), UNDEFINED
    )


def _change(
    changes: list[Change], field: Field, path: Path, old: Any, new: Any, writer: _PatchWriter
) -> None:
    if new is None:
        if old is not None:
            _check_unset(field, path, old, writer)
            changes.append(Change(path, None))
    elif field.nests and type(new) is dict:
        _change_members(changes, field, path, old, new, writer)
    elif not same(old, new):
        _set(changes, field, path, old, new, writer)


def _set(changes: list[Change], field: Field, path: Path, old: Any, new: Any, writer: _PatchWriter) -> None:
    problem = _forbidden(field, path, old, writer)
    try:
        value = validate(field, new, path)
        check_size(value)
    except (InvalidValue, TypeMismatch) as misfit:
        if problem is not None or isinstance(misfit, TypeMismatch):
            raise rejection_of(path, problem or misfit.problem) from None
        raise
    if field.holds_objects:
        value = _elements(field, path, old, value, writer)
    if same(old, value):
        return
    if problem is not None:
        raise rejection_of(path, problem)
    changes.append(Change(path, value))


def _change_members(
    changes: list[Change], field: Field, path: Path, old: Any, new: dict[str, Any], writer: _PatchWriter
) -> None:
    held = old if type(old) is dict else {}
    before = len(changes)
    for key, value in new.items():
        child = field.children.get(key)
        if child is None:
            raise rejection_of((*path, key), UNDEFINED)
        _change(changes, child, (*path, key), held.get(key), value, writer)
    if path[0] == APPLICATION_DATA:
        for key, value in held.items():
            if key not in new:
                _drop(changes, field.children.get(key), (*path, key), value, writer)
    if len(changes) > before:
        _check_allowed(field, path, old, writer)


def _drop(changes: list[Change], field: Field | None, path: Path, old: Any, writer: _PatchWriter) -> None:
    """Takes away a member that a replacing object does not name, if the writer sees it and may change it."""
    if field is None or field.attribute.mutability != READ_WRITE or not is_valid(field, old):
        return
    if field.nests:
        _change_members(changes, field, path, old, {}, writer)
    else:
        changes.append(Change(path, None))


def _check_unset(field: Field, path: Path, old: Any, writer: _PatchWriter) -> None:
    """Unsetting an object unsets its members, so each of them must allow it."""
    _check_allowed(field, path, old, writer)
    if field.guarded and field.nests and type(old) is dict:
        for key, child in field.children.items():
            if old.get(key) is not None:
                _check_unset(child, (*path, key), old[key], writer)


def _check_allowed(field: Field, path: Path, old: Any, writer: _PatchWriter) -> None:
    problem = _forbidden(field, path, old, writer)
    if problem is not None:
        raise rejection_of(path, problem)


def _forbidden(field: Field, path: Path, old: Any, writer: _PatchWriter) -> str | None:
    """Why the attribute's mutability forbids a change of what is stored, None if it does not.

    A stored value that no longer fits never blocks a write (wire/cds §8), so it does not count as set.
    """
    if writer.repeats:
        return None
    mutability = field.attribute.mutability
    if mutability == READ_ONLY and not (writer.owns_identity and path[0] == IDENTITY_ATTRIBUTES):
        return READ_ONLY_PROBLEM
    if mutability == IMMUTABLE and not writer.creating:
        return IMMUTABLE_PROBLEM
    if mutability == WRITE_ONCE and not is_empty(old) and is_valid(field, old):
        return WRITE_ONCE_PROBLEM
    return None


def _elements(
    field: Field, path: Path, old: Any, new: list[dict[str, Any]], writer: _PatchWriter
) -> list[Any]:
    """The new objects of a list, each matched with the stored one that it repeats or stands in for.

    One that reads like a stored one is that one, with its write-only members. Any other is compared with
    the stored one in its place, unless that is repeated elsewhere; without one it is being created.
    """
    shown = redact_elements(field, old) or []
    waiting: dict[Hashable, list[int]] = {}
    for at, element in enumerate(shown):
        waiting.setdefault(canonical_key(element), []).append(at)
    repeats = [places.pop(0) if (places := waiting.get(canonical_key(each))) else None for each in new]
    free = set(range(len(shown))) - set(repeats)
    for at, repeated in enumerate(repeats):
        if repeated is None and field.guarded:
            _check_members(field, element_path(path, at), old[at] if at in free else None, new[at], writer)
    return [new[at] if place is None else old[place] for at, place in enumerate(repeats)]


def _check_members(field: Field, path: Path, old: Any, new: dict[str, Any], writer: _PatchWriter) -> None:
    held = old if type(old) is dict else {}
    judge = writer if type(old) is dict else _PatchWriter(True, writer.owns_identity, writer.repeats)
    for key, child in field.children.items():
        before, after = held.get(key), new.get(key)
        if same(before, after):
            continue
        _check_allowed(child, (*path, key), before, judge)
        if child.nests and child.guarded:
            _check_members(child, (*path, key), before, after or {}, judge)
