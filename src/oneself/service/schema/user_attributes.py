"""Plain user attributes of a dataset: what events may write beside identities.

Invariants: a user attribute is the schema's attribute `traits.<name>`, a single scalar. Other attributes of a
schema (objects, lists, canonical values) are neither listed nor changed here. Source:
docs/wire/interactions.md §3.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from oneself.core.config.changes import DropAttributes, PutAttributes, SingleChange
from oneself.core.config.configuration import Config
from oneself.core.values.attribute import TRAITS, Attribute
from oneself.core.values.definition_rules import AttributeRejected, check_attribute, check_case_free
from oneself.core.values.schema import Schema
from oneself.errors import Conflict, InvalidInput

#: Source: docs/wire/interactions.md §14.
#: The field of the request that an InvalidInput or Conflict names.
FIELD = "user_attributes"
USER_ATTRIBUTES_MAX = 1000
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
NAME_SENTENCE = "A name has 1 to 64 of A-Z, a-z, 0-9, '_' and '-', and does not begin with '-'."

Type = Literal["String", "Number", "Boolean", "Date"]
Classification = Literal["Sensitive", "PersonallyIdentifiable", "NonSensitive"]

_VALUE_TYPES: dict[Type, str] = {
    "String": "string",
    "Number": "decimal",
    "Boolean": "boolean",
    "Date": "date_time",
}
#: Value type of the profile schema, which are finer → type.
_TYPES: dict[str, Type] = {
    **{value_type: plain for plain, value_type in _VALUE_TYPES.items()},
    "integer": "Number",
    "date": "Date",
    "epoch": "Date",
}


class UserAttribute(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user attribute."""

    label: str
    type: Type
    classification_override: Classification | None = None


class UserAttributeChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of a user attribute;

    absent fields stay, and a new attribute is a string labelled by its name.
    """

    label: str | UnsetType = UNSET
    type: Type | UnsetType = UNSET
    classification_override: Classification | UnsetType | None = UNSET


Changes = Mapping[str, UserAttributeChange | None]


def read_changes(document: Mapping[str, Any]) -> Changes:
    """Decoded JSON, name → change or null to remove; raises InvalidInput naming the attribute."""
    return {name: _read(name, change) for name, change in document.items()}


def user_attributes(config: Config) -> dict[str, UserAttribute]:
    """The user attributes of a dataset, by name."""
    plain = {
        attribute.key: attribute
        for attribute in config.schema.in_scope(TRAITS)
        if _is_plain(config.schema, attribute)
    }
    return {
        name: UserAttribute(
            attribute.display_name or name, _TYPES[attribute.value_type], _classification(config, name)
        )
        for name, attribute in sorted(plain.items())
    }


def change_user_attributes(
    config: Config, changes: Changes, attributes_max: int
) -> tuple[list[SingleChange], dict[str, str]]:
    """The changes of the configuration, and all classifications afterwards. Raises InvalidInput, Conflict.

    `attributes_max`: how many user attributes the dataset may have.
    """
    put = [_changed(config, name, change) for name, change in changes.items() if change is not None]
    dropped = [found for name in changes if changes[name] is None and (found := _removable(config, name))]
    put_attributes = [
        attribute for attribute in put if attribute != config.schema.get(attribute.attribute_id)
    ]
    check_names(config.schema, put_attributes)
    count_before = len(user_attributes(config)) - len(dropped)
    new = sum(config.schema.get(attribute.attribute_id) is None for attribute in put_attributes)
    if count_before + new > attributes_max:
        raise InvalidInput(FIELD, f"A dataset has at most {attributes_max} user attributes.")
    parts: list[SingleChange] = []
    if put_attributes:
        parts.append(PutAttributes(tuple(put_attributes)))
    if dropped:
        parts.append(DropAttributes(tuple(attribute.attribute_id for attribute in dropped)))
    return parts, _classified(config, changes)


def is_bound(config: Config, attribute_name: str) -> bool:
    """Whether an attribute is bound to an identity type."""
    return any(binding.attribute == attribute_name for binding in config.identity_attributes.values())


def check_names(schema: Schema, attributes: Sequence[Attribute]) -> None:
    """Raise Conflict if a new name differs only in case from another one."""
    for attribute in attributes:
        try:
            check_case_free(schema, attribute)
        except AttributeRejected as error:
            raise Conflict(error.detail, code="taken") from None
        schema = schema.with_([attribute])


def _read(name: str, change: Any) -> UserAttributeChange | None:
    if not NAME.fullmatch(name):
        raise InvalidInput(FIELD, f"{name[:100]!r} is not a name of a user attribute. {NAME_SENTENCE}")
    if change is None:
        return None
    try:
        return msgspec.convert(change, UserAttributeChange)
    except msgspec.ValidationError as error:
        raise InvalidInput(FIELD, f"{name!r}: {error}.") from None


def _changed(config: Config, name: str, change: UserAttributeChange) -> Attribute:
    before = config.schema.find(f"{TRAITS}.{name}")
    if before is None:
        return _checked(config.schema, name, _new(name, change))
    if not _is_plain(config.schema, before):
        sentence = f"{before.attribute_name!r} is more than one scalar; change it in the profile schema."
        raise Conflict(sentence, code=FIELD)
    if change.type is not UNSET and change.type != _TYPES[before.value_type]:
        raise InvalidInput(FIELD, f"The type of {name!r} is {_TYPES[before.value_type]!r} and cannot change.")
    if change.label is UNSET or change.label == before.display_name:
        return before
    return _checked(config.schema, name, msgspec.structs.replace(before, display_name=change.label or name))


def _new(name: str, change: UserAttributeChange) -> Attribute:
    return Attribute(
        attribute_id=str(uuid.uuid4()),
        attribute_name=f"{TRAITS}.{name}",
        value_type=_VALUE_TYPES["String" if change.type is UNSET else change.type],
        merge_strategy="latest",
        display_name=name if change.label is UNSET else change.label or name,
    )


def _checked(schema: Schema, name: str, attribute: Attribute) -> Attribute:
    """Checks the rules of every definition; they do not know `latest`, the strategy of values from events."""
    try:
        check_attribute(schema, TRAITS, msgspec.structs.replace(attribute, merge_strategy="overwrite"), {})
    except AttributeRejected as error:
        raise InvalidInput(FIELD, f"{name!r}: {error.detail}") from None
    return attribute


def _removable(config: Config, name: str) -> Attribute | None:
    attribute = config.schema.find(f"{TRAITS}.{name}")
    if attribute is None or not _is_plain(config.schema, attribute):
        return None
    if is_bound(config, attribute.attribute_name):
        sentence = f"{name!r} is bound to an identity type; unbind it first."
        raise Conflict(sentence, code="bound")
    return attribute


def _classified(config: Config, changes: Changes) -> dict[str, str]:
    given = {
        name: None if change is None else change.classification_override
        for name, change in changes.items()
        if change is None or change.classification_override is not UNSET
    }
    merged = {**config.dataset.classifications, **given}
    return {name: word for name, word in sorted(merged.items()) if word is not None and word is not UNSET}


def _classification(config: Config, name: str) -> Classification | None:
    word = config.dataset.classifications.get(name)
    return None if word is None else msgspec.convert(word, Classification)


def _is_plain(schema: Schema, attribute: Attribute) -> bool:
    return (
        attribute.value_type in _TYPES
        and not attribute.multi_valued
        and not attribute.canonical_values
        and NAME.fullmatch(attribute.key) is not None
    )
