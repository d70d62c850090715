"""The claims that an identity server reports about a user, as changes of a record.

Claims arrive as text, under the last part of their URI. A dotted key names a nested value. Text is parsed as
the attribute's type. A single value of a multi-valued attribute becomes a list of one.

Invariants: an invalid value is skipped and reported; it never blocks the other values.

Source: docs/wire/cds.md §12.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from oneself.core.values.attribute import IDENTITY_ATTRIBUTES, TRAITS, Field
from oneself.core.values.patch import apply_patch
from oneself.core.values.record import Change, Path, Record, ValueChanges
from oneself.core.values.schema import Schema
from oneself.core.values.validation import UNDEFINED, InvalidValue
from oneself.core.values.value_types import parse_text


class RejectedClaimValue(Struct, frozen=True):
    """A reported value that was skipped."""

    #: The dotted path, with the scope.
    path: str
    #: Why it is invalid.
    problem: str


def accept_valid(
    schema: Schema, stored: Record, patch: dict[str, Any], *, creating: bool = False
) -> tuple[ValueChanges, tuple[RejectedClaimValue, ...]]:
    """The changes for the valid values of a patch, and the values that were skipped.

    `creating`: whether the profile is being created. Application data in the patch is ignored.
    """
    changes: list[Change] = []
    skipped: list[RejectedClaimValue] = []
    for path, value, field in _claims(schema, patch):
        try:
            changes.extend(_check(schema, stored, path, value, creating) if field else _refuse(path))
        except InvalidValue as invalid:
            skipped.append(RejectedClaimValue(".".join(path), invalid.problem))
    return ValueChanges(tuple(changes)), tuple(skipped)


def claim_values(schema: Schema, patch: dict[str, Any]) -> Iterator[tuple[Path, Any, Field]]:
    """Each reported value of a defined attribute as (path, value, field)."""
    for path, value, field in _claims(schema, patch):
        if field is not None:
            yield path, value, field


def _claims(schema: Schema, patch: dict[str, Any]) -> Iterator[tuple[Path, Any, Field | None]]:
    for scope in (IDENTITY_ATTRIBUTES, TRAITS):
        section = patch.get(scope)
        fields = schema.fields(scope)
        for name, value in section.items() if type(section) is dict else ():
            keys = (name,) if name in fields else tuple(name.split("."))
            yield from _leaves(fields, (scope,), keys, value)


def _leaves(
    fields: Mapping[str, Field], path: Path, keys: Path, value: Any
) -> Iterator[tuple[Path, Any, Field | None]]:
    """One (path, value, field) for each attribute that a claim sets, including members of objects.

    The field is None if the attribute is not defined.
    """
    field, here, rest = fields.get(keys[0]), (*path, keys[0]), keys[1:]
    if field is None or (rest and not field.nests):
        yield (*here, *rest), value, None
    elif rest:
        yield from _leaves(field.children, here, rest, value)
    elif field.nests and type(value) is dict:
        for key, member in value.items():
            yield from _leaves(field.children, here, (key,), member)
    else:
        yield here, _converted(field, value), field


def _converted(field: Field, value: Any) -> Any:
    if field.attribute.multi_valued and value is not None and type(value) is not list:
        value = [value]
    if type(value) is list:
        return [_converted_one(field, element) for element in value]
    return _converted_one(field, value)


def _converted_one(field: Field, value: Any) -> Any:
    return parse_text(field.attribute.value_type, value) if type(value) is str else value


def _check(schema: Schema, stored: Record, path: Path, value: Any, creating: bool) -> ValueChanges:
    patch = value
    for key in reversed(path):
        patch = {key: patch}
    return apply_patch(schema, stored, patch, creating=creating, authority="identity_server")


def _refuse(path: Path) -> ValueChanges:
    raise InvalidValue(path[0], ".".join(path), UNDEFINED)
