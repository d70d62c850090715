"""The body of PUT on an attribute, decoded field by field (docs/wire/cds.md §7, §15).

Fields that are absent or null keep their value. Some are accepted and ignored; id and scope may only be
repeated. The order of the checks is part of the wire: which attribute, then which fields, then their types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from oneself.core.values.attribute import Attribute, CanonicalValue
from oneself.core.values.definition import (
    AttributeChange,
    check_application_allowed,
    check_scope_writable,
    find_changeable,
)
from oneself.core.values.definition_rules import excerpt, invalid
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
_KNOWN_FIELDS = (*REQUIRED_FIELDS, *_OPTIONAL_FIELDS, *_FIXED_FIELDS)
_IGNORED_FIELDS = ("org_id", "scim_dialect")


def decode_change(
    schema: Schema, scope: str, attribute_id: str, document: Mapping[str, Any]
) -> tuple[AttributeChange, dict[str, str]]:
    """The change in a body, and the names under which it lists sub-attributes (id → name).

    Raises AttributeRejected.
    """
    check_scope_writable(scope)
    _check_required(document)
    stored = find_changeable(schema, scope, attribute_id)
    given = _given(document)
    _check_fields(given, stored)
    check_application_allowed(scope, given.get("application_identifier"))
    fields = {
        name: _decode(name, given[name]) for name in (*REQUIRED_FIELDS, *_OPTIONAL_FIELDS) if name in given
    }
    return AttributeChange(**fields), _child_names(given)


def _check_required(document: Mapping[str, Any]) -> None:
    if not document:
        raise invalid("No updates provided for the attribute.")
    for name in REQUIRED_FIELDS:
        if document.get(name) in (None, ""):
            raise invalid(f"Required field '{name}' is missing or empty")


def _given(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in document.items()
        if value is not None
        and name not in _IGNORED_FIELDS
        and (name, value) != ("application_identifier", "")
    }


def _check_fields(given: Mapping[str, Any], stored: Attribute) -> None:
    fixed = {"attribute_id": stored.attribute_id, "scope": stored.scope}
    for name, value in given.items():
        if name not in _KNOWN_FIELDS:
            raise invalid(f"Unknown field '{excerpt(name)}'.")
        if name in fixed and value != fixed[name]:
            raise invalid(f"Field '{name}' cannot be changed.")


def _decode(name: str, value: Any) -> Any:
    decode: Callable[[str, Any], Any] = _DECODERS.get(name, _text)
    return decode(name, value)


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
        detail = f"Field '{name}' must be an array of objects with attribute_id and attribute_name."
        raise invalid(detail) from None


def _child_names(given: Mapping[str, Any]) -> dict[str, str]:
    listed = given.get("sub_attributes", ())
    return {child["attribute_id"]: child["attribute_name"] for child in listed if "attribute_name" in child}


_DECODERS: dict[str, Callable[[str, Any], Any]] = {
    "multi_valued": _flag,
    "canonical_values": _canonical_values,
    "sub_attributes": _sub_attributes,
}
