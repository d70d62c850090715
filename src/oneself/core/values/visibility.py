"""Which of a profile's stored values are visible, and which are hidden because the schema changed.

The unit of hiding is the value of one attribute. A sub-attribute that is write-only, undefined or invalid is
left out of its object. A list of scalars is visible as a unit or not at all.

Invariants: hiding a value does not change what is stored. This module does not know who reads (`disclosure`).

Source: docs/wire/cds.md §8 (writeOnly, invalid values), §15.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from oneself.core.values.attribute import WRITE_ONLY, Field
from oneself.core.values.record import Path, Values, put
from oneself.core.values.schema import Schema
from oneself.core.values.validation import UNDEFINED, InvalidValue, buckets, element_path, validate
from oneself.core.values.value_types import TYPE_MISMATCH


def visible_values(schema: Schema, values: Values) -> Values:
    """The values that answers, filters and matching may use, by scope, without empty objects."""
    seen: Values = {}
    for path, bucket in buckets(values):
        visible = redact_members(schema.fields(*path), bucket)
        if visible:
            seen = put(seen, path, visible)
    return seen


def invalid_values(schema: Schema, values: Values) -> list[tuple[str, str]]:
    """The stored values that are hidden because the schema changed: (dotted path, problem)."""
    found: list[tuple[str, str]] = []
    for path, bucket in buckets(values):
        fields = schema.fields(*path)
        for key, value in bucket.items():
            found.extend(_problems(fields.get(key), value, (*path, key)))
    return found


def redact_members(fields: Mapping[str, Field], members: dict[str, Any]) -> dict[str, Any]:
    """The visible members of an object or a section."""
    visible = {}
    for key, value in members.items():
        field = fields.get(key)
        if field is not None and (part := redact_field(field, value)) is not None:
            visible[key] = part
    return visible


def redact_field(field: Field, value: Any) -> Any:
    """The visible part of a value; None if it is hidden."""
    if field.attribute.mutability == WRITE_ONLY:
        return None
    if field.nests:
        return (redact_members(field.children, value) or None) if type(value) is dict else None
    if field.holds_objects:
        return redact_elements(field, value)
    try:
        return validate(field, value, (field.attribute.scope,))
    except InvalidValue:
        return None


def redact_elements(field: Field, value: Any) -> list[dict[str, Any]] | None:
    """The visible part of each object in a list, one for each stored object; None for an invalid list."""
    if type(value) is not list or any(type(element) is not dict for element in value):
        return None
    return [redact_members(field.children, element) for element in value]


def _problems(field: Field | None, value: Any, path: Path) -> Iterator[tuple[str, str]]:
    if field is None:
        yield ".".join(path), UNDEFINED
    elif field.nests and type(value) is dict:
        yield from _member_problems(field, value, path)
    elif field.holds_objects and redact_elements(field, value) is not None:
        for at, element in enumerate(value):
            yield from _member_problems(field, element, element_path(path, at))
    else:
        yield from _leaf_problem(field, value, path)


def _member_problems(field: Field, members: dict[str, Any], path: Path) -> Iterator[tuple[str, str]]:
    for key, member in members.items():
        yield from _problems(field.children.get(key), member, (*path, key))


def _leaf_problem(field: Field, value: Any, path: Path) -> Iterator[tuple[str, str]]:
    if field.attribute.value_type == "complex":
        yield ".".join(path), TYPE_MISMATCH
        return
    try:
        validate(field, value, path)
    except InvalidValue as invalid:
        yield ".".join(path), invalid.problem
