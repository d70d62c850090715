"""The changes that a patch names, whatever is stored, and those of an event.

A patch that is judged against a record changes only what differs (`patch`). What a fragment keeps must not
depend on what other fragments have, so here each value of the patch is a change, and each null unsets.

Invariants: the values were accepted before; what does not fit the schema is left out.

Source: docs/wire/cds.md §5.4, docs/concepts/trust.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oneself.core.values.attribute import APPLICATION_DATA, READ_WRITE, Field
from oneself.core.values.patch import apply_patch
from oneself.core.values.record import Change, Path, Record, ValueChanges, read
from oneself.core.values.reported_claims import claim_values
from oneself.core.values.schema import Schema
from oneself.core.values.validation import InvalidValue, buckets, validate
from oneself.core.values.value_types import parse_text


def explicit_changes(schema: Schema, patch: dict[str, Any]) -> ValueChanges:
    """The changes that a patch in the three scopes names."""
    found: list[Change] = []
    for path, bucket in buckets(patch):
        fields = schema.fields(*path)
        for key, value in bucket.items():
            if (field := fields.get(key)) is not None:
                found.extend(_changes(field, (*path, key), value))
    return _in_order(found)


def explicit_claims(schema: Schema, patch: dict[str, Any]) -> ValueChanges:
    """The changes that claims of an identity provider name, as text under dotted keys or as values."""
    found: list[Change] = []
    for path, value, field in claim_values(schema, patch):
        found.extend(_changes(field, path, value))
    return _in_order(found)


def fitting_changes(
    schema: Schema, stored: Record, path: Path, value: Any, *, creating: bool
) -> tuple[Change, ...]:
    """The changes that one value of an event makes to a record; none if it does not fit.

    `path`: scope and key. A value that is stored already is written again.
    """
    field = schema.field_at(path)
    if field is None or value is None:
        return ()
    converted = parse_text(field.attribute.value_type, value) if type(value) is str else value
    patch = {path[0]: {path[1]: converted}}
    try:
        found = apply_patch(schema, stored, patch, creating=creating, authority="application")
    except InvalidValue:
        return ()
    return found.items or (Change(path, read(stored.values, path)),)


def _in_order(changes: list[Change]) -> ValueChanges:
    """By path, because the log does not keep the order of keys."""
    return ValueChanges(tuple(sorted(changes, key=lambda change: change.path)))


def _changes(field: Field, path: Path, value: Any) -> Iterator[Change]:
    if value is None:
        yield Change(path, None)
    elif field.nests and type(value) is dict:
        for key, member in value.items():
            if (child := field.children.get(key)) is not None:
                yield from _changes(child, (*path, key), member)
        yield from _replaced(field, path, value)
    else:
        try:
            yield Change(path, validate(field, value, path))
        except InvalidValue:
            return


def _replaced(field: Field, path: Path, value: dict[str, Any]) -> Iterator[Change]:
    """In application data an object replaces the stored one, as far as the writer may change its members."""
    if path[0] == APPLICATION_DATA:
        for key, child in field.children.items():
            if key not in value and child.attribute.mutability == READ_WRITE:
                yield Change((*path, key), None)
