"""The rules a definition has to pass before it becomes part of a schema, in the order the wire asks them.

Answers questions about definitions only; whether an application exists is asked of the identity server by
the service, and stored values never stand in the way of a change (wire/cds §8).

Source: wire/cds §7 (codes, quoted words, order), seeds/profile-attributes (fields, types, words).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from oneself.core.values.attribute import (
    APPLICATION_DATA,
    IDENTITY_ATTRIBUTES,
    MUTABILITIES,
    NAME_PARTS_MAX,
    NAME_PARTS_MIN,
    READ_WRITE,
    SCOPES,
    VALUE_TYPES,
    Attribute,
    is_one_level_below,
)
from oneself.core.values.schema import Schema
from oneself.core.values.value_types import TypeMismatch, validate_string

NAME_LENGTH_MAX = 255
ID_LENGTH_MAX = 255
# A list longer than this is a table of its own, and every write would carry it along.
CANONICAL_VALUES_MAX = 1_000
DISPLAY_NAME_BYTES_MAX = 50
# The two that the wire knows; `core.merge.STRATEGIES` has more, for attributes that arrive as events.
DEFINABLE_STRATEGIES = ("overwrite", "combine")

INVALID_PAYLOAD, INVALID_ATTRIBUTE, NAME_TAKEN = "CDS-13001", "CDS-13002", "CDS-13003"
NOT_FOUND, INVALID_APPLICATION, NOT_SUPPORTED = "CDS-13004", "CDS-13005", "CDS-13006"
LISTED_BY_PARENT = "CDS-15104"

_DISPLAY_NAME = re.compile(r"[A-Za-z0-9._+ -]*")


class InvalidAttribute(Exception):
    """A definition is refused: the wire's code, a sentence, and the error shape ("A" or "B", wire/cds §4).

    `not_allowed` marks the deletions that are no verb of their resource (405 on the wire).
    """

    def __init__(self, code: str, description: str, shape: str = "A", *, not_allowed: bool = False) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.shape = shape
        self.not_allowed = not_allowed


def define(
    schema: Schema, scope: str, drafts: Sequence[Attribute], *, child_names: Sequence[Mapping[str, str]] = ()
) -> list[Attribute]:
    """The drafts with their defaults, ready to be added; InvalidAttribute for the first broken rule.

    Drafts carry their attribute ids. `child_names` holds, draft by draft, the names under which the caller
    listed the sub-attributes (attribute id → name); without it only the ids are compared. A draft may list
    sub-attributes of the same request.
    """
    _check_request(scope, drafts)
    named = [with_defaults(draft) for draft in drafts]
    known = schema.with_(named)
    for position, draft in enumerate(named):
        names = child_names[position] if position < len(child_names) else {}
        check_attribute(known, scope, draft, names)
        _check_id_free(schema, draft, named[:position])
        check_name_free(schema, draft, named[:position])
    return named


def undefine(schema: Schema, scope: str | None = None, attribute_id: str | None = None) -> tuple[str, ...]:
    """The ids a deletion drops: of one attribute, of a scope, or (no scope) of all but the identity scope."""
    if scope is None:
        return tuple(each.attribute_id for each in schema.attributes if each.scope != IDENTITY_ATTRIBUTES)
    _check_scope(scope)
    attribute = schema.get(attribute_id) if attribute_id is not None else None
    if IDENTITY_ATTRIBUTES in (scope, attribute and attribute.scope):
        raise InvalidAttribute(
            INVALID_ATTRIBUTE, "Identity attributes follow the identity server.", "B", not_allowed=True
        )
    if attribute_id is None:
        return tuple(each.attribute_id for each in schema.in_scope(scope))
    return _droppable(schema, attribute) if attribute is not None and attribute.scope == scope else ()


def check_scope_writable(scope: str) -> None:
    """Identity attributes come from the identity server alone; any other word is no scope."""
    if scope == IDENTITY_ATTRIBUTES:
        raise InvalidAttribute(NOT_SUPPORTED, "Identity attributes follow the identity server.", "B")
    _check_scope(scope)


def check_attribute(known: Schema, scope: str, attribute: Attribute, child_names: Mapping[str, str]) -> None:
    """All rules on one definition; `known` must hold its sub-attributes."""
    _check_name(scope, attribute)
    if scope == APPLICATION_DATA and not attribute.application_identifier:
        raise InvalidAttribute(
            INVALID_APPLICATION, "Application identifier is required for application_data."
        )
    _check_word("value_type", attribute.value_type, VALUE_TYPES)
    _check_sub_attributes(known, attribute, child_names)
    _check_word("mutability", attribute.mutability, MUTABILITIES)
    _check_word("merge_strategy", attribute.merge_strategy, DEFINABLE_STRATEGIES)
    if attribute.merge_strategy == "combine" and not attribute.multi_valued:
        raise invalid("Merge strategy combine needs multi_valued: true.")
    _check_display_name(attribute)
    _check_canonical_values(attribute)


def _check_request(scope: str, drafts: Sequence[Attribute]) -> None:
    check_scope_writable(scope)
    if scope != APPLICATION_DATA and any(draft.application_identifier for draft in drafts):
        raise InvalidAttribute(
            INVALID_PAYLOAD, f"application_identifier is not allowed in the scope {scope}.", "B"
        )
    if not drafts:
        raise InvalidAttribute(INVALID_PAYLOAD, "At least one attribute is required.", "B")


def _check_scope(scope: str) -> None:
    if scope not in SCOPES:
        raise InvalidAttribute(INVALID_PAYLOAD, f"Invalid scope: {shown(scope)}.", "B")


def with_defaults(draft: Attribute) -> Attribute:
    """The draft with what it leaves empty filled in (wire/cds §7)."""
    return replace(
        draft,
        mutability=draft.mutability or READ_WRITE,
        display_name=draft.display_name or draft.attribute_name.rpartition(".")[2],
        application_identifier=draft.application_identifier or None,
    )


def _check_name(scope: str, attribute: Attribute) -> None:
    name = attribute.attribute_name
    parts = name.split(".")
    if len(parts) < NAME_PARTS_MIN or not all(map(str.strip, parts)):
        raise invalid("Attribute name must be in the format <scope>.<name>.")
    if len(parts) > NAME_PARTS_MAX:
        raise invalid("Attribute exceeds the maximum depth of 4.")
    if parts[0] not in SCOPES:
        raise invalid(f"Invalid scope: {shown(parts[0])}. Must be one of {', '.join(SCOPES)}.")
    if parts[0] != scope:
        raise invalid(f"Attribute '{shown(name)}' does not match the scope '{scope}'.")
    if len(name) > NAME_LENGTH_MAX or not name.isprintable():
        raise invalid(f"Attribute name must be printable and at most {NAME_LENGTH_MAX} characters long.")


def _check_word(field: str, word: str, allowed: Sequence[str]) -> None:
    if word not in allowed:
        raise invalid(f"Invalid {field}: '{shown(word)}'. Must be one of {', '.join(allowed)}.")


def _check_sub_attributes(known: Schema, parent: Attribute, names: Mapping[str, str]) -> None:
    if parent.value_type != "complex":
        if parent.sub_attributes:
            raise invalid("sub_attributes are for value_type complex only.")
        return
    if not parent.sub_attributes:
        raise InvalidAttribute(INVALID_PAYLOAD, "sub_attributes are required for value_type complex.")
    for child_id in parent.sub_attributes:
        _check_sub_attribute(parent, known.get(child_id), child_id, names.get(child_id))


def _check_sub_attribute(parent: Attribute, child: Attribute | None, child_id: str, name: str | None) -> None:
    listed = name if name is not None else child.attribute_name if child is not None else None
    if listed is not None and not is_one_level_below(listed, parent.attribute_name):
        raise invalid(
            f"Invalid sub-attribute '{shown(listed)}'. "
            f"It must be exactly one level deeper than '{parent.attribute_name}'."
        )
    if child is None:
        raise invalid(f"Sub-attribute with id '{shown(child_id)}' does not exist.")
    if child.attribute_name != listed:
        raise invalid(f"Sub-attribute with id '{shown(child_id)}' is not named '{shown(listed or '')}'.")
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
    except TypeMismatch as misfit:
        raise invalid(f"Invalid {field}: {misfit.problem}.") from None


def _check_id_free(schema: Schema, attribute: Attribute, beside: Sequence[Attribute]) -> None:
    attribute_id = attribute.attribute_id
    if len(attribute_id) > ID_LENGTH_MAX or not attribute_id.isprintable():
        raise invalid(f"attribute_id must be printable and at most {ID_LENGTH_MAX} characters long.")
    if schema.get(attribute_id) is not None or any(other.attribute_id == attribute_id for other in beside):
        raise InvalidAttribute(NAME_TAKEN, f"Attribute id '{shown(attribute_id)}' already exists.")


def check_name_free(schema: Schema, attribute: Attribute, beside: Sequence[Attribute]) -> None:
    """Names are unique, for application data per application."""
    place = (attribute.attribute_name, attribute.application_identifier)
    holder = schema.find(*place)
    if (holder is not None and holder.attribute_id != attribute.attribute_id) or any(
        (other.attribute_name, other.application_identifier) == place for other in beside
    ):
        where = f" for application '{place[1]}'" if attribute.scope == APPLICATION_DATA else ""
        raise InvalidAttribute(NAME_TAKEN, f"Attribute '{place[0]}' already exists{where}.")


def _droppable(schema: Schema, attribute: Attribute) -> tuple[str, ...]:
    parents = schema.parents(attribute.attribute_id)
    if parents:
        message = f"'{attribute.attribute_name}' is a sub-attribute of '{parents[0].attribute_name}'."
        raise InvalidAttribute(LISTED_BY_PARENT, message)
    return (attribute.attribute_id,)


def invalid(description: str) -> InvalidAttribute:
    """The refusal of most broken rules: CDS-13002 in shape A."""
    return InvalidAttribute(INVALID_ATTRIBUTE, description)


def shown(word: str) -> str:
    """Foreign text, short and encodable, for a sentence."""
    return word[:100].encode("utf-8", "replace").decode()
