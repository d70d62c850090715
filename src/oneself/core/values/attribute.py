"""What an attribute of the profile schema is, the words its fields may hold, and the built-in attributes.

Source: seeds/profile-attributes; limits and defaults from wire/cds §7.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from oneself.core.values.value_types import VALIDATORS

IDENTITY_ATTRIBUTES = "identity_attributes"
TRAITS = "traits"
APPLICATION_DATA = "application_data"
SCOPES = (IDENTITY_ATTRIBUTES, TRAITS, APPLICATION_DATA)

# A scope and four levels below it (wire/cds §7).
NAME_PARTS_MIN, NAME_PARTS_MAX = 2, 5

VALUE_TYPES = tuple(VALIDATORS)
READ_WRITE, READ_ONLY, WRITE_ONLY = "readWrite", "readOnly", "writeOnly"
IMMUTABLE, WRITE_ONCE = "immutable", "writeOnce"
MUTABILITIES = (READ_WRITE, READ_ONLY, WRITE_ONLY, IMMUTABLE, WRITE_ONCE)


class CanonicalValue(Struct, frozen=True, omit_defaults=True):
    """One allowed value of a string attribute, with the words to show for it."""

    value: str
    label: str | None = None


class Attribute(Struct, frozen=True, omit_defaults=True):
    """One definition. `sub_attributes` are the attribute ids of the children of a complex attribute."""

    attribute_id: str
    attribute_name: str
    value_type: str
    merge_strategy: str
    mutability: str = READ_WRITE
    display_name: str = ""
    multi_valued: bool = False
    application_identifier: str | None = None
    canonical_values: tuple[CanonicalValue, ...] = ()
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
    """What every profile has, outside the scopes, and nobody defines."""

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
    """An attribute compiled for the write path: its children by last name part, its check ready to call."""

    attribute: Attribute
    fit: Any
    children: dict[str, Field]
    guarded: bool
    """Whether a descendant's mutability may forbid a change."""

    @property
    def nests(self) -> bool:
        """A single object whose members are values of their own; a list of objects is one value."""
        return self.attribute.value_type == "complex" and not self.attribute.multi_valued

    @property
    def holds_objects(self) -> bool:
        """A list of objects."""
        return self.attribute.value_type == "complex" and self.attribute.multi_valued


def is_one_level_below(name: str, parent: str) -> bool:
    """Whether a full name may be that of a sub-attribute of another."""
    return name.startswith(parent + ".") and "." not in name.removeprefix(parent + ".")
