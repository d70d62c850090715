"""How a PUT changes one definition: decoded JSON read field by field, then judged by `core.definition`.

A field that is absent or null keeps its value, except that a new value type takes with it what it leaves
without meaning. Id and scope never change; a sub-attribute stays below the attribute that lists it.

Source: wire/cds §7 (PUT by id), §15 (known keys only, 409 for a taken name).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from oneself.core.values.attribute import APPLICATION_DATA, Attribute, CanonicalValue, is_one_level_below
from oneself.core.values.definition import (
    INVALID_ATTRIBUTE,
    INVALID_PAYLOAD,
    NOT_FOUND,
    InvalidAttribute,
    check_attribute,
    check_name_free,
    check_scope_writable,
    invalid,
    shown,
    with_defaults,
)
from oneself.core.values.schema import Schema

REQUIRED_FIELDS = ("attribute_name", "value_type", "merge_strategy", "mutability")

_OPTIONAL_FIELDS = (
    "display_name",
    "multi_valued",
    "application_identifier",
    "canonical_values",
    "sub_attributes",
)
_FIXED_FIELDS = ("attribute_id", "scope")
_IGNORED_FIELDS = ("org_id", "scim_dialect")


def redefine(schema: Schema, scope: str, attribute_id: str, changes: Mapping[str, Any]) -> Attribute:
    """The attribute after a PUT of decoded JSON `changes`; fields it does not name keep their value."""
    check_scope_writable(scope)
    if not changes:
        raise InvalidAttribute(INVALID_ATTRIBUTE, "No updates provided for the attribute.")
    _check_required(changes)
    stored = _stored(schema, attribute_id)
    changed, names = _apply(stored, scope, changes)
    check_attribute(schema.with_([changed]), scope, changed, names)
    check_name_free(schema, changed, ())
    _check_parents(schema, changed)
    return changed


def _check_required(changes: Mapping[str, Any]) -> None:
    for name in REQUIRED_FIELDS:
        if changes.get(name) in (None, ""):
            raise invalid(f"Required field '{name}' is missing or empty")


def _stored(schema: Schema, attribute_id: str) -> Attribute:
    attribute = schema.get(attribute_id)
    if attribute is None:
        raise InvalidAttribute(NOT_FOUND, f"Attribute with id '{shown(attribute_id)}' does not exist.")
    check_scope_writable(attribute.scope)
    return attribute


def _apply(stored: Attribute, scope: str, changes: Mapping[str, Any]) -> tuple[Attribute, dict[str, str]]:
    """The changed attribute, and the names under which sub-attributes were listed."""
    given = {
        name: value
        for name, value in changes.items()
        if value is not None
        and name not in _IGNORED_FIELDS
        and (name, value) != ("application_identifier", "")
    }
    _check_fixed(given, {"attribute_id": stored.attribute_id, "scope": stored.scope})
    if stored.scope != scope:
        raise invalid(f"Attribute '{stored.attribute_name}' does not match the scope '{scope}'.")
    if scope != APPLICATION_DATA and given.get("application_identifier"):
        raise InvalidAttribute(
            INVALID_PAYLOAD, f"application_identifier is not allowed in the scope {scope}.", "B"
        )
    fields, names = _decode(given)
    return with_defaults(replace(stored, **{**_leftovers(stored, fields), **fields})), names


def _check_fixed(given: Mapping[str, Any], fixed: Mapping[str, str]) -> None:
    known = (*REQUIRED_FIELDS, *_OPTIONAL_FIELDS, *_FIXED_FIELDS)
    for name, value in given.items():
        if name not in known:
            raise invalid(f"Unknown field '{shown(name)}'.")
        if name in fixed and value != fixed[name]:
            raise invalid(f"Field '{name}' cannot be changed.")


def _leftovers(stored: Attribute, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a new name or value type leaves without meaning goes, unless the request speaks of it."""
    gone: dict[str, Any] = {}
    if stored.display_name == stored.attribute_name.rpartition(".")[2]:
        gone["display_name"] = ""
    if fields["value_type"] != "complex" and "sub_attributes" not in fields:
        gone["sub_attributes"] = ()
    if fields["value_type"] != "string" and "canonical_values" not in fields:
        gone["canonical_values"] = ()
    return gone


def _decode(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name in (*REQUIRED_FIELDS, *_OPTIONAL_FIELDS):
        if name in given:
            decode: Callable[[str, Any], Any] = _DECODERS.get(name, _text)
            fields[name] = decode(name, given[name])
    if "sub_attributes" in fields:
        listed = given["sub_attributes"]
        names = {each["attribute_id"]: each["attribute_name"] for each in listed if "attribute_name" in each}
    return fields, names


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(f"Field '{name}' must be a string.")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid(f"Field '{name}' must be a boolean.")
    return value


def _canonical_values(name: str, value: Any) -> tuple[CanonicalValue, ...]:
    try:
        return msgspec.convert(value, tuple[CanonicalValue, ...])
    except msgspec.ValidationError:
        raise invalid(f"Field '{name}' must be an array of objects with value and label.") from None


def _sub_attributes(name: str, value: Any) -> tuple[str, ...]:
    try:
        listed = msgspec.convert(value, tuple[dict[str, str], ...])
        return tuple(child["attribute_id"] for child in listed)
    except (msgspec.ValidationError, KeyError):
        message = f"Field '{name}' must be an array of objects with attribute_id and attribute_name."
        raise invalid(message) from None


_DECODERS: dict[str, Callable[[str, Any], Any]] = {
    "multi_valued": _flag,
    "canonical_values": _canonical_values,
    "sub_attributes": _sub_attributes,
}


def _check_parents(schema: Schema, changed: Attribute) -> None:
    for parent in schema.parents(changed.attribute_id):
        if not (
            is_one_level_below(changed.attribute_name, parent.attribute_name)
            and changed.application_identifier == parent.application_identifier
        ):
            raise invalid(
                f"'{parent.attribute_name}' lists this attribute, which must stay exactly one level deeper "
                "than it, in the same application."
            )
