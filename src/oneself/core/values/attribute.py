"""Attributes of the profile schema, the allowed values of their properties, and the built-in attributes.

Invariants: this module defines attributes. `definition_rules` checks them.

Source: docs/wire/cds.md §7.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from oneself.core.values.value_types import VALIDATORS

IDENTITY_ATTRIBUTES = "identity_attributes"
TRAITS = "traits"
APPLICATION_DATA = "application_data"
SCOPES = (IDENTITY_ATTRIBUTES, TRAITS, APPLICATION_DATA)

# A scope and up to four levels below it (docs/wire/cds.md §7).
NAME_PARTS_MIN, NAME_PARTS_MAX = 2, 5

VALUE_TYPES = tuple(VALIDATORS)
READ_WRITE, READ_ONLY, WRITE_ONLY = "readWrite", "readOnly", "writeOnly"
IMMUTABLE, WRITE_ONCE = "immutable", "writeOnce"
MUTABILITIES = (READ_WRITE, READ_ONLY, WRITE_ONLY, IMMUTABLE, WRITE_ONCE)


class CanonicalValue(Struct, frozen=True, omit_defaults=True):
    """One allowed value of a string attribute."""

    value: str
    #: The text for display.
    label: str | None = None


class Attribute(Struct, frozen=True, omit_defaults=True):
    """The definition of one attribute."""

    attribute_id: str
    #: The full name, which starts with the scope (`traits.address.city`).
    attribute_name: str
    #: One of VALUE_TYPES.
    value_type: str
    #: A key of `merge.STRATEGIES`.
    merge_strategy: str
    #: One of MUTABILITIES.
    mutability: str = READ_WRITE
    display_name: str = ""
    #: Whether the value is a list.
    multi_valued: bool = False
    #: The application, for application data.
    application_identifier: str | None = None
    #: The allowed values of a string; empty for any.
    canonical_values: tuple[CanonicalValue, ...] = ()
    #: The ids of the children of a complex attribute.
    sub_attributes: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """One of SCOPES: the first part of the name."""
        return self.attribute_name.partition(".")[0]

    @property
    def key(self) -> str:
        """The name without its scope: the first-level key, or a path below one for a sub-attribute."""
        return self.attribute_name.partition(".")[2]


class CoreAttribute(Struct, frozen=True):
    """A built-in attribute of every profile, outside the scopes."""

    value_type: str
    mutability: str


CORE_ATTRIBUTES: dict[str, CoreAttribute] = {
    "profile_id": CoreAttribute("string", IMMUTABLE),
    "user_id": CoreAttribute("string", WRITE_ONCE),
    "meta.created_at": CoreAttribute("date_time", READ_ONLY),
    "meta.updated_at": CoreAttribute("date_time", READ_ONLY),
    "meta.location": CoreAttribute("string", READ_ONLY),
}


class Field(Struct, frozen=True, eq=False):
    """An attribute compiled for the write path."""

    attribute: Attribute
    #: The validator of a single value (`value_types.Validator`).
    fit: Any
    #: By the last part of their name.
    children: dict[str, Field]
    #: Whether the mutability of a descendant may forbid a change.
    guarded: bool

    @property
    def nests(self) -> bool:
        """Whether the value is a single object, whose members are values of their own."""
        return self.attribute.value_type == "complex" and not self.attribute.multi_valued

    @property
    def holds_objects(self) -> bool:
        """Whether the value is a list of objects; such a list is one value."""
        return self.attribute.value_type == "complex" and self.attribute.multi_valued


def is_one_level_below(name: str, parent: str) -> bool:
    """Whether a full name is exactly one level below another, as that of a sub-attribute must be."""
    return name.startswith(parent + ".") and "." not in name.removeprefix(parent + ".")
