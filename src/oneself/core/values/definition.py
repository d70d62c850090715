"""Defines, changes and removes attributes of a schema.

Invariants: pure functions. Each decides about a complete request: it accepts everything, or AttributeRejected
names the first broken rule.

Source: docs/wire/cds.md §7 (rules and their order, defaults).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from oneself.core.values.attribute import (
    APPLICATION_DATA,
    IDENTITY_ATTRIBUTES,
    READ_WRITE,
    SCOPES,
    Attribute,
    CanonicalValue,
    is_one_level_below,
)
from oneself.core.values.definition_rules import (
    AttributeRejected,
    check_attribute,
    check_id_free,
    check_name_free,
    excerpt,
    invalid,
)
from oneself.core.values.schema import Schema

_PROVIDER_OWNS_SCOPE = "Identity attributes follow the identity server."


class AttributeChange(Struct, frozen=True, kw_only=True):
    """The new properties of a definition.

    An UNSET property keeps its value, unless the new name or value type makes it meaningless.
    """

    attribute_name: str
    value_type: str
    merge_strategy: str
    mutability: str
    display_name: str | UnsetType = UNSET
    multi_valued: bool | UnsetType = UNSET
    application_identifier: str | UnsetType = UNSET
    canonical_values: tuple[CanonicalValue, ...] | UnsetType = UNSET
    sub_attributes: tuple[str, ...] | UnsetType = UNSET


def define(
    schema: Schema, scope: str, drafts: Sequence[Attribute], *, child_names: Sequence[Mapping[str, str]] = ()
) -> list[Attribute]:
    """The drafts with defaults filled in, ready to be added. Raises AttributeRejected.

    `drafts`: with their attribute ids; a draft may list sub-attributes of the same request. `child_names`:
    for each draft, attribute id → the name under which the sender listed the sub-attribute. Without it only
    the ids are checked.
    """
    _check_request(scope, drafts)
    named = [with_defaults(draft) for draft in drafts]
    known = schema.with_(named)
    for position, draft in enumerate(named):
        names = child_names[position] if position < len(child_names) else {}
        check_attribute(known, scope, draft, names)
        check_id_free(schema, draft, named[:position])
        check_name_free(schema, draft, named[:position])
    return named


def redefine(
    schema: Schema,
    scope: str,
    attribute_id: str,
    change: AttributeChange,
    *,
    child_names: Mapping[str, str] | None = None,
) -> Attribute:
    """The attribute after a change. Raises AttributeRejected.

    Id and scope never change. A sub-attribute stays below the attribute that lists it. `child_names`: as for
    `define`, but only of this attribute.
    """
    stored = find_changeable(schema, scope, attribute_id)
    check_application_allowed(scope, change.application_identifier)
    changed = with_defaults(_changed(stored, change))
    check_attribute(schema.with_([changed]), scope, changed, child_names or {})
    check_name_free(schema, changed, ())
    _check_parents(schema, changed)
    return changed


def undefine(schema: Schema, scope: str | None = None, attribute_id: str | None = None) -> tuple[str, ...]:
    """The ids of the attributes that a deletion drops. Raises AttributeRejected.

    They are one attribute, all attributes of a scope or, without a scope, all except identity attributes.
    """
    if scope is None:
        return tuple(item.attribute_id for item in schema.attributes if item.scope != IDENTITY_ATTRIBUTES)
    _check_scope(scope)
    attribute = schema.get(attribute_id) if attribute_id is not None else None
    if IDENTITY_ATTRIBUTES in (scope, attribute and attribute.scope):
        raise AttributeRejected("scope_not_deletable", _PROVIDER_OWNS_SCOPE)
    if attribute_id is None:
        return tuple(item.attribute_id for item in schema.in_scope(scope))
    return _droppable(schema, attribute) if attribute is not None and attribute.scope == scope else ()


def check_scope_writable(scope: str) -> None:
    """Raises AttributeRejected for an unknown scope and the identity scope, which the provider owns."""
    if scope == IDENTITY_ATTRIBUTES:
        raise AttributeRejected("scope_not_writable", _PROVIDER_OWNS_SCOPE)
    _check_scope(scope)


def find_changeable(schema: Schema, scope: str, attribute_id: str) -> Attribute:
    """The attribute of this id, if it may be changed in this scope. Raises AttributeRejected."""
    check_scope_writable(scope)
    attribute = schema.get(attribute_id)
    if attribute is None:
        raise AttributeRejected(
            "unknown_attribute", f"Attribute with id '{excerpt(attribute_id)}' does not exist."
        )
    check_scope_writable(attribute.scope)
    if attribute.scope != scope:
        raise invalid(f"Attribute '{attribute.attribute_name}' does not match the scope '{scope}'.")
    return attribute


def check_application_allowed(scope: str, application: object) -> None:
    """Raises AttributeRejected if an application is named outside application data."""
    if scope != APPLICATION_DATA and application:
        raise AttributeRejected(
            "application_not_allowed", f"application_identifier is not allowed in the scope {scope}."
        )


def with_defaults(draft: Attribute) -> Attribute:
    """The draft with its empty fields filled in."""
    return replace(
        draft,
        mutability=draft.mutability or READ_WRITE,
        display_name=draft.display_name or draft.attribute_name.rpartition(".")[2],
        application_identifier=draft.application_identifier or None,
    )


def _check_request(scope: str, drafts: Sequence[Attribute]) -> None:
    check_scope_writable(scope)
    for draft in drafts:
        check_application_allowed(scope, draft.application_identifier)
    if not drafts:
        raise AttributeRejected("no_attributes", "At least one attribute is required.")


def _check_scope(scope: str) -> None:
    if scope not in SCOPES:
        raise AttributeRejected("unknown_scope", f"Invalid scope: {excerpt(scope)}.")


def _changed(stored: Attribute, change: AttributeChange) -> Attribute:
    given = {name: value for name, value in asdict(change).items() if value is not UNSET}
    return replace(stored, **_meaningless(stored, change) | given)


def _meaningless(stored: Attribute, change: AttributeChange) -> dict[str, Any]:
    """The properties that a new name or value type makes meaningless, emptied."""
    emptied: dict[str, Any] = {}
    if stored.display_name == stored.attribute_name.rpartition(".")[2]:
        emptied["display_name"] = ""
    if change.value_type != "complex":
        emptied["sub_attributes"] = ()
    if change.value_type != "string":
        emptied["canonical_values"] = ()
    return emptied


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


def _droppable(schema: Schema, attribute: Attribute) -> tuple[str, ...]:
    parents = schema.parents(attribute.attribute_id)
    if parents:
        detail = f"'{attribute.attribute_name}' is a sub-attribute of '{parents[0].attribute_name}'."
        raise AttributeRejected("listed_by_parent", detail)
    return (attribute.attribute_id,)
