"""The rules for one attribute definition: names, types, sub-attributes, canonical values, uniqueness.

Invariants: this module does not know complete requests (`definition`), nor which applications exist (the
service asks the identity provider), nor stored values (they never block a change of the schema).

Source: docs/wire/cds.md §7 (rules and their order).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from oneself.core.values.attribute import (
    APPLICATION_DATA,
    MUTABILITIES,
    NAME_PARTS_MAX,
    NAME_PARTS_MIN,
    SCOPES,
    VALUE_TYPES,
    Attribute,
    is_one_level_below,
)
from oneself.core.values.schema import Schema, full_name
from oneself.core.values.value_types import TypeMismatch, validate_string

NAME_LENGTH_MAX = 255
ID_LENGTH_MAX = 255
#: Bounded, because every read of the configuration loads the list.
CANONICAL_VALUES_MAX = 1_000
DISPLAY_NAME_BYTES_MAX = 50
#: The strategies that a definition may choose; `merge.STRATEGIES` has more, for attributes that events bring.
DEFINABLE_STRATEGIES = ("overwrite", "combine")

#: Why a definition is rejected. The first group is about the request as a whole.
AttributeReason = Literal[
    "unknown_scope",
    "scope_not_writable",
    "scope_not_deletable",
    "no_attributes",
    "application_not_allowed",
    "application_required",
    "unknown_application",
    "unknown_attribute",
    "duplicate_id",
    "duplicate_name",
    "sub_attributes_required",
    "listed_by_parent",
    "bound_to_identity_type",
    "needed_by_identity_type",
    "invalid_attribute",
]

_DISPLAY_NAME = re.compile(r"[A-Za-z0-9._+ -]*")


class AttributeRejected(Exception):
    """A definition is rejected. `reason`: the broken rule; `detail`: one sentence for the sender."""

    def __init__(self, reason: AttributeReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def check_attribute(known: Schema, scope: str, attribute: Attribute, child_names: Mapping[str, str]) -> None:
    """Raises AttributeRejected if a definition breaks a rule. `known` must contain its sub-attributes."""
    _check_name(scope, attribute)
    if scope == APPLICATION_DATA and not attribute.application_identifier:
        raise AttributeRejected(
            "application_required", "Application identifier is required for application_data."
        )
    _check_word("value_type", attribute.value_type, VALUE_TYPES)
    _check_sub_attributes(known, attribute, child_names)
    _check_word("mutability", attribute.mutability, MUTABILITIES)
    _check_word("merge_strategy", attribute.merge_strategy, DEFINABLE_STRATEGIES)
    if attribute.merge_strategy == "combine" and not attribute.multi_valued:
        raise invalid("Merge strategy combine needs multi_valued: true.")
    _check_display_name(attribute)
    _check_canonical_values(attribute)


def _check_name(scope: str, attribute: Attribute) -> None:
    name = attribute.attribute_name
    parts = name.split(".")
    if len(parts) < NAME_PARTS_MIN or not all(map(str.strip, parts)):
        raise invalid("Attribute name must be in the format <scope>.<name>.")
    if len(parts) > NAME_PARTS_MAX:
        raise invalid("Attribute exceeds the maximum depth of 4.")
    if parts[0] not in SCOPES:
        raise invalid(f"Invalid scope: {excerpt(parts[0])}. Must be one of {', '.join(SCOPES)}.")
    if parts[0] != scope:
        raise invalid(f"Attribute '{excerpt(name)}' does not match the scope '{scope}'.")
    if len(name) > NAME_LENGTH_MAX or not name.isprintable():
        raise invalid(f"Attribute name must be printable and at most {NAME_LENGTH_MAX} characters long.")


def _check_word(field: str, word: str, allowed: Sequence[str]) -> None:
    if word not in allowed:
        raise invalid(f"Invalid {field}: '{excerpt(word)}'. Must be one of {', '.join(allowed)}.")


def _check_sub_attributes(known: Schema, parent: Attribute, names: Mapping[str, str]) -> None:
    if parent.value_type != "complex":
        if parent.sub_attributes:
            raise invalid("sub_attributes are for value_type complex only.")
        return
    if not parent.sub_attributes:
        raise AttributeRejected(
            "sub_attributes_required", "sub_attributes are required for value_type complex."
        )
    for child_id in parent.sub_attributes:
        _check_sub_attribute(parent, known.get(child_id), child_id, names.get(child_id))


def _check_sub_attribute(parent: Attribute, child: Attribute | None, child_id: str, name: str | None) -> None:
    listed = name if name is not None else child.attribute_name if child is not None else None
    if listed is not None and not is_one_level_below(listed, parent.attribute_name):
        raise invalid(
            f"Invalid sub-attribute '{excerpt(listed)}'. "
            f"It must be exactly one level deeper than '{parent.attribute_name}'."
        )
    if child is None:
        raise invalid(f"Sub-attribute with id '{excerpt(child_id)}' does not exist.")
    if child.attribute_name != listed:
        raise invalid(f"Sub-attribute with id '{excerpt(child_id)}' is not named '{excerpt(listed or '')}'.")
    if child.application_identifier != parent.application_identifier:
        raise invalid(f"Sub-attribute '{listed}' must have the application identifier of its parent.")


def _check_display_name(attribute: Attribute) -> None:
    name = attribute.display_name
    if name == attribute.attribute_name.rpartition(".")[2]:
        return
    if len(name.encode("utf-8", "replace")) > DISPLAY_NAME_BYTES_MAX or not _DISPLAY_NAME.fullmatch(name):
        raise invalid(
            f"display_name: at most {DISPLAY_NAME_BYTES_MAX} of the characters A-Z a-z 0-9 . - _ + and blank."
        )


def _check_canonical_values(attribute: Attribute) -> None:
    if attribute.canonical_values and attribute.value_type != "string":
        raise invalid("canonical_values are for value_type string only.")
    if len(attribute.canonical_values) > CANONICAL_VALUES_MAX:
        raise invalid(f"More than {CANONICAL_VALUES_MAX} canonical_values.")
    for canonical in attribute.canonical_values:
        _check_text("canonical_values", canonical.value)
        _check_text("canonical_values", canonical.label or "")


def _check_text(field: str, text: str) -> None:
    try:
        validate_string(text)
    except TypeMismatch as mismatch:
        raise invalid(f"Invalid {field}: {mismatch.problem}.") from None


def check_id_free(schema: Schema, attribute: Attribute, beside: Sequence[Attribute]) -> None:
    attribute_id = attribute.attribute_id
    if len(attribute_id) > ID_LENGTH_MAX or not attribute_id.isprintable():
        raise invalid(f"attribute_id must be printable and at most {ID_LENGTH_MAX} characters long.")
    if schema.get(attribute_id) is not None or any(other.attribute_id == attribute_id for other in beside):
        raise AttributeRejected("duplicate_id", f"Attribute id '{excerpt(attribute_id)}' already exists.")


def check_name_free(schema: Schema, attribute: Attribute, beside: Sequence[Attribute]) -> None:
    """Names are unique, for application data per application."""
    key = (attribute.attribute_name, attribute.application_identifier)
    holder = schema.find(*key)
    if (holder is not None and holder.attribute_id != attribute.attribute_id) or any(
        (other.attribute_name, other.application_identifier) == key for other in beside
    ):
        where = f" for application '{key[1]}'" if attribute.scope == APPLICATION_DATA else ""
        raise AttributeRejected("duplicate_name", f"Attribute '{key[0]}' already exists{where}.")
    check_case_free(schema.with_(beside), attribute)


def check_case_free(schema: Schema, attribute: Attribute) -> None:
    """Raises AttributeRejected if a name differs only in case from another one. A stored name stays usable.

    Writers do not agree on the case of a name, so that two such attributes divide the values of one.
    """
    stored = schema.get(attribute.attribute_id)
    if stored is not None and full_name(stored) == full_name(attribute):
        return
    found = schema.find_alike(*full_name(attribute))
    others = [alike for alike in found if alike.attribute_id != attribute.attribute_id]
    if others:
        sentence = (
            f"Attribute '{attribute.attribute_name}' differs only in case from "
            f"'{others[0].attribute_name}', which already exists."
        )
        raise AttributeRejected("duplicate_name", sentence)


def invalid(description: str) -> AttributeRejected:
    """The rejection with the reason `invalid_attribute`."""
    return AttributeRejected("invalid_attribute", description)


def excerpt(word: str) -> str:
    """The sender's text, shortened and made encodable, for use in a message."""
    return word[:100].encode("utf-8", "replace").decode()
