"""The rules a definition has to pass before it becomes part of a schema, in the order the wire asks them.

Answers questions about definitions only; whether an application exists is asked of the identity server by
the service, and stored values never stand in the way of a change (wire/cds §8).

Source: wire/cds §7 (codes, quoted words, order), seeds/profile-attributes (fields, types, words).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from .attribute import (
    APPLICATION_DATA,
    IDENTITY_ATTRIBUTES,
    MUTABILITIES,
    READ_WRITE,
    SCOPES,
    VALUE_TYPES,
    Attribute,
    CanonicalValue,
)
from .typed import Misfit, fit_string

if TYPE_CHECKING:
    from .schema import Schema

PARTS_MIN, PARTS_MAX = 2, 5
NAME_LENGTH_MAX = 255
# A list longer than this is a table of its own, and every write would carry it along.
CANONICAL_VALUES_MAX = 1_000
DISPLAY_NAME_BYTES_MAX = 50
# The two that the wire knows; `core.merge.STRATEGIES` has more, for attributes that arrive as events.
DEFINABLE_STRATEGIES = ("overwrite", "combine")
REQUIRED_FIELDS = ("attribute_name", "value_type", "merge_strategy", "mutability")

INVALID_PAYLOAD, INVALID_ATTRIBUTE, NAME_TAKEN = "CDS-13001", "CDS-13002", "CDS-13003"
NOT_FOUND, INVALID_APPLICATION, NOT_SUPPORTED = "CDS-13004", "CDS-13005", "CDS-13006"
LISTED_BY_PARENT = "CDS-15104"

_DISPLAY_NAME = re.compile(r"[A-Za-z0-9._+ -]*")
_OPTIONAL_FIELDS = (
    "display_name",
    "multi_valued",
    "application_identifier",
    "canonical_values",
    "sub_attributes",
)
_FIXED_FIELDS = ("attribute_id", "scope")
_IGNORED_FIELDS = ("org_id", "scim_dialect")


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
    named = [_with_defaults(draft) for draft in drafts]
    known = schema.with_(named)
    for position, draft in enumerate(named):
        names = child_names[position] if position < len(child_names) else {}
        check_attribute(known, scope, draft, names)
        _check_id_free(schema, draft, named[:position])
        _check_name_free(schema, draft, named[:position])
    return named


def redefine(schema: Schema, scope: str, attribute_id: str, changes: Mapping[str, Any]) -> Attribute:
    """The attribute after a PUT of decoded JSON `changes`; fields it does not name keep their value."""
    check_scope_writable(scope)
    if not changes:
        raise InvalidAttribute(INVALID_ATTRIBUTE, "No updates provided for the attribute.")
    _check_required(changes)
    stored = _stored(schema, attribute_id)
    changed, names = _apply(stored, scope, changes)
    check_attribute(schema.with_([changed]), scope, changed, names)
    _check_name_free(schema, changed, ())
    _check_parents(schema, changed)
    return changed


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
    return () if attribute is None else _droppable(schema, attribute)


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
        raise _invalid("Merge strategy combine needs multi_valued: true.")
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
        raise InvalidAttribute(INVALID_PAYLOAD, f"Invalid scope: {_shown(scope)}.", "B")


def _with_defaults(draft: Attribute) -> Attribute:
    return replace(
        draft,
        mutability=draft.mutability or READ_WRITE,
        display_name=draft.display_name or draft.attribute_name.rpartition(".")[2],
        application_identifier=draft.application_identifier or None,
    )


def _check_name(scope: str, attribute: Attribute) -> None:
    name = attribute.attribute_name
    parts = name.split(".")
    if len(parts) < PARTS_MIN or not all(map(str.strip, parts)):
        raise _invalid("Attribute name must be in the format <scope>.<name>.")
    if len(parts) > PARTS_MAX:
        raise _invalid("Attribute exceeds the maximum depth of 4.")
    if parts[0] not in SCOPES:
        raise _invalid(f"Invalid scope: {_shown(parts[0])}. Must be one of {', '.join(SCOPES)}.")
    if parts[0] != scope:
        raise _invalid(f"Attribute '{_shown(name)}' does not match the scope '{scope}'.")
    if len(name) > NAME_LENGTH_MAX or not name.isprintable():
        raise _invalid(f"Attribute name must be printable and at most {NAME_LENGTH_MAX} characters long.")


def _check_word(field: str, word: str, allowed: Sequence[str]) -> None:
    if word not in allowed:
        raise _invalid(f"Invalid {field}: '{_shown(word)}'. Must be one of {', '.join(allowed)}.")


def _check_sub_attributes(known: Schema, parent: Attribute, names: Mapping[str, str]) -> None:
    if parent.value_type != "complex":
        if parent.sub_attributes:
            raise _invalid("sub_attributes are for value_type complex only.")
        return
    if not parent.sub_attributes:
        raise InvalidAttribute(INVALID_PAYLOAD, "sub_attributes are required for value_type complex.")
    for child_id in parent.sub_attributes:
        _check_sub_attribute(parent, known.get(child_id), child_id, names.get(child_id))


def _check_sub_attribute(parent: Attribute, child: Attribute | None, child_id: str, name: str | None) -> None:
    listed = name if name is not None else child.attribute_name if child is not None else None
    if listed is not None and not _is_one_level_below(listed, parent.attribute_name):
        raise _invalid(
            f"Invalid sub-attribute '{_shown(listed)}'. "
            f"It must be exactly one level deeper than '{parent.attribute_name}'."
        )
    if child is None:
        raise _invalid(f"Sub-attribute with id '{_shown(child_id)}' does not exist.")
    if child.attribute_name != listed:
        raise _invalid(f"Sub-attribute with id '{_shown(child_id)}' is not named '{_shown(listed or '')}'.")
    if child.application_identifier != parent.application_identifier:
        raise _invalid(f"Sub-attribute '{listed}' must have the application identifier of its parent.")


def _check_display_name(attribute: Attribute) -> None:
    name = attribute.display_name
    if name == attribute.attribute_name.rpartition(".")[2]:
        return
    if len(name.encode("utf-8", "replace")) > DISPLAY_NAME_BYTES_MAX or not _DISPLAY_NAME.fullmatch(name):
        raise _invalid(
            f"display_name: at most {DISPLAY_NAME_BYTES_MAX} of the characters A-Z a-z 0-9 . - _ + and blank."
        )


def _check_canonical_values(attribute: Attribute) -> None:
    if attribute.canonical_values and attribute.value_type != "string":
        raise _invalid("canonical_values are for value_type string only.")
    if len(attribute.canonical_values) > CANONICAL_VALUES_MAX:
        raise _invalid(f"More than {CANONICAL_VALUES_MAX} canonical_values.")
    for canonical in attribute.canonical_values:
        _check_text("canonical_values", canonical.value)
        _check_text("canonical_values", canonical.label or "")


def _check_text(field: str, text: str) -> None:
    try:
        fit_string(text)
    except Misfit as misfit:
        raise _invalid(f"Invalid {field}: {misfit.problem}.") from None


def _check_id_free(schema: Schema, attribute: Attribute, beside: Sequence[Attribute]) -> None:
    attribute_id = attribute.attribute_id
    if schema.get(attribute_id) is not None or any(other.attribute_id == attribute_id for other in beside):
        raise InvalidAttribute(NAME_TAKEN, f"Attribute id '{_shown(attribute_id)}' already exists.")


def _check_name_free(schema: Schema, attribute: Attribute, beside: Sequence[Attribute]) -> None:
    """Names are unique, for application data per application."""
    place = (attribute.attribute_name, attribute.application_identifier)
    holder = schema.find(*place)
    if (holder is not None and holder.attribute_id != attribute.attribute_id) or any(
        (other.attribute_name, other.application_identifier) == place for other in beside
    ):
        where = f" for application '{place[1]}'" if attribute.scope == APPLICATION_DATA else ""
        raise InvalidAttribute(NAME_TAKEN, f"Attribute '{place[0]}' already exists{where}.")


def _check_required(changes: Mapping[str, Any]) -> None:
    for name in REQUIRED_FIELDS:
        if changes.get(name) in (None, ""):
            raise _invalid(f"Required field '{name}' is missing or empty")


def _stored(schema: Schema, attribute_id: str) -> Attribute:
    attribute = schema.get(attribute_id)
    if attribute is None:
        raise InvalidAttribute(NOT_FOUND, f"Attribute with id '{_shown(attribute_id)}' does not exist.")
    check_scope_writable(attribute.scope)
    return attribute


def _apply(stored: Attribute, scope: str, changes: Mapping[str, Any]) -> tuple[Attribute, dict[str, str]]:
    """The changed attribute, and the names under which sub-attributes were listed."""
    given = {
        name: value for name, value in changes.items() if value is not None and name not in _IGNORED_FIELDS
    }
    _check_fixed(given, {"attribute_id": stored.attribute_id, "scope": stored.scope})
    if stored.scope != scope:
        raise _invalid(f"Attribute '{stored.attribute_name}' does not match the scope '{scope}'.")
    if scope != APPLICATION_DATA and given.get("application_identifier"):
        raise InvalidAttribute(
            INVALID_PAYLOAD, f"application_identifier is not allowed in the scope {scope}.", "B"
        )
    fields, names = _decode(given)
    return _with_defaults(replace(stored, **_leftovers(fields), **fields)), names


def _check_fixed(given: Mapping[str, Any], fixed: Mapping[str, str]) -> None:
    known = (*REQUIRED_FIELDS, *_OPTIONAL_FIELDS, *_FIXED_FIELDS)
    for name, value in given.items():
        if name not in known:
            raise _invalid(f"Unknown field '{_shown(name)}'.")
        if name in fixed and value != fixed[name]:
            raise _invalid(f"Field '{name}' cannot be changed.")


def _leftovers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a new value type leaves without meaning goes, unless the request speaks of it."""
    gone: dict[str, Any] = {}
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
        names = {child["attribute_id"]: child.get("attribute_name", "") for child in given["sub_attributes"]}
    return fields, names


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _invalid(f"Field '{name}' must be a string.")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _invalid(f"Field '{name}' must be a boolean.")
    return value


def _canonical_values(name: str, value: Any) -> tuple[CanonicalValue, ...]:
    try:
        return msgspec.convert(value, tuple[CanonicalValue, ...])
    except msgspec.ValidationError:
        raise _invalid(f"Field '{name}' must be an array of objects with value and label.") from None


def _sub_attributes(name: str, value: Any) -> tuple[str, ...]:
    try:
        listed = msgspec.convert(value, tuple[dict[str, str], ...])
        return tuple(child["attribute_id"] for child in listed)
    except (msgspec.ValidationError, KeyError):
        message = f"Field '{name}' must be an array of objects with attribute_id and attribute_name."
        raise _invalid(message) from None


_DECODERS: dict[str, Callable[[str, Any], Any]] = {
    "multi_valued": _flag,
    "canonical_values": _canonical_values,
    "sub_attributes": _sub_attributes,
}


def _check_parents(schema: Schema, changed: Attribute) -> None:
    for parent in schema.parents(changed.attribute_id):
        if not (
            _is_one_level_below(changed.attribute_name, parent.attribute_name)
            and changed.application_identifier == parent.application_identifier
        ):
            raise _invalid(
                f"'{parent.attribute_name}' lists this attribute, which must stay exactly one level deeper "
                "than it, in the same application."
            )


def _droppable(schema: Schema, attribute: Attribute) -> tuple[str, ...]:
    parents = schema.parents(attribute.attribute_id)
    if parents:
        message = f"'{attribute.attribute_name}' is a sub-attribute of '{parents[0].attribute_name}'."
        raise InvalidAttribute(LISTED_BY_PARENT, message)
    return (attribute.attribute_id,)


def _is_one_level_below(name: str, parent: str) -> bool:
    return name.startswith(parent + ".") and "." not in name.removeprefix(parent + ".")


def _invalid(description: str) -> InvalidAttribute:
    return InvalidAttribute(INVALID_ATTRIBUTE, description)


def _shown(word: str) -> str:
    """Foreign text, short and encodable, for a sentence."""
    return word[:100].encode("utf-8", "replace").decode()
