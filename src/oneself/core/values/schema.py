"""The profile schema: an immutable set of attributes, indexed for reads and writes of values.

A first-level key of a scope (of an application, for application data) leads to a `Field`. Its children are
the sub-attributes. An attribute below a complex one is reached only through it, never by a dotted key. A
dotted name without a complex attribute above it is a first-level key of its own.

Invariants: this module does not check definitions (`definition_rules`) or values (`validation`).

Source: docs/wire/cds.md §7.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from oneself.core.values.attribute import (
    APPLICATION_DATA,
    IMMUTABLE,
    NAME_PARTS_MAX,
    READ_ONLY,
    WRITE_ONCE,
    Attribute,
    Field,
    is_one_level_below,
)
from oneself.core.values.value_types import VALIDATORS, enum_of

_NOTHING: Mapping[str, Field] = {}


class Schema(Struct, frozen=True, dict=True):
    """All attributes of a dataset, in the order in which they were defined."""

    attributes: tuple[Attribute, ...] = ()

    def get(self, attribute_id: str) -> Attribute | None:
        """The attribute with that id."""
        return self._by_id.get(attribute_id)

    def find(self, name: str, application: str | None = None) -> Attribute | None:
        """The attribute of that full name ("traits.plan"), of that application for application data."""
        return self._by_name.get((name, application))

    def find_alike(self, name: str, application: str | None = None) -> list[Attribute]:
        """The attributes whose full name differs from this one only in case."""
        alike = self._by_folded_name.get((name.casefold(), application), ())
        return [attribute for attribute in alike if attribute.attribute_name != name]

    def names_alike(self) -> list[list[str]]:
        """The groups of full names that differ only in case."""
        groups = [
            [attribute.attribute_name for attribute in group] for group in self._by_folded_name.values()
        ]
        return [sorted(names) for names in groups if len(names) > 1]

    def in_scope(self, scope: str) -> tuple[Attribute, ...]:
        """The attributes of a scope, of every application for application data."""
        return tuple(attribute for attribute in self.attributes if attribute.scope == scope)

    def parents(self, attribute_id: str) -> tuple[Attribute, ...]:
        """The complex attributes that list this one."""
        return tuple(attribute for attribute in self.attributes if attribute_id in attribute.sub_attributes)

    def fields(self, scope: str, application: str | None = None) -> Mapping[str, Field]:
        """The fields of a section: first-level key → field."""
        return self._fields.get((scope, application), _NOTHING)

    def field_at(self, path: tuple[str, ...]) -> Field | None:
        """The field of the value at a path: scope, application where there is one, keys."""
        depth = 2 if path[0] == APPLICATION_DATA else 1
        level, field = self.fields(*path[:depth]), None
        for key in path[depth:]:
            field = level.get(key)
            level = field.children if field is not None else {}
        return field

    def with_(self, attributes: Iterable[Attribute]) -> Schema:
        """The schema with these attributes; each replaces the attribute with the same id, or is added."""
        kept = {attribute.attribute_id: attribute for attribute in self.attributes}
        kept.update((attribute.attribute_id, attribute) for attribute in attributes)
        return Schema(tuple(kept.values()))

    def without(self, attribute_ids: Collection[str]) -> Schema:
        """The schema without these attributes, which are also removed from the lists of their parents."""
        gone = frozenset(attribute_ids)
        return Schema(tuple(_unlist(item, gone) for item in self.attributes if item.attribute_id not in gone))

    @cached_property
    def _by_id(self) -> dict[str, Attribute]:
        return {attribute.attribute_id: attribute for attribute in self.attributes}

    @cached_property
    def _by_name(self) -> dict[tuple[str, str | None], Attribute]:
        return {full_name(attribute): attribute for attribute in self.attributes}

    @cached_property
    def _by_folded_name(self) -> dict[tuple[str, str | None], list[Attribute]]:
        folded: dict[tuple[str, str | None], list[Attribute]] = {}
        for attribute in self.attributes:
            name, application = full_name(attribute)
            folded.setdefault((name.casefold(), application), []).append(attribute)
        return folded

    @cached_property
    def _fields(self) -> dict[tuple[str, str | None], dict[str, Field]]:
        fields: dict[tuple[str, str | None], dict[str, Field]] = {}
        for attribute in self.attributes:
            if not self._stands_below_complex(attribute):
                target = (attribute.scope, full_name(attribute)[1])
                fields.setdefault(target, {})[attribute.key] = self._field(attribute)
        return fields

    def complex_above(self, name: str, application: str | None = None) -> Attribute | None:
        """The outermost complex attribute above a dotted name."""
        parts = name.split(".", NAME_PARTS_MAX)
        for length in range(2, len(parts)):
            above = self.find(".".join(parts[:length]), application)
            if above is not None and above.value_type == "complex":
                return above
        return None

    def _stands_below_complex(self, attribute: Attribute) -> bool:
        return self.complex_above(*full_name(attribute)) is not None

    def _field(self, attribute: Attribute) -> Field:
        children = self._children(attribute)
        fit: Any = VALIDATORS[attribute.value_type]
        if attribute.canonical_values and attribute.value_type == "string":
            fit = enum_of(frozenset(canonical.value for canonical in attribute.canonical_values), fit)
        return Field(attribute, fit, children, any(map(_may_forbid, children.values())))

    def _children(self, attribute: Attribute) -> dict[str, Field]:
        """The listed attributes exactly one level below; others are ignored, so lists cannot form a cycle."""
        listed = filter(None, map(self.get, attribute.sub_attributes))
        prefix = attribute.attribute_name + "."
        return {
            child.attribute_name.removeprefix(prefix): self._field(child)
            for child in listed
            if is_one_level_below(child.attribute_name, attribute.attribute_name)
            and child.application_identifier == attribute.application_identifier
        }


def full_name(attribute: Attribute) -> tuple[str, str | None]:
    """By what an attribute is unique: its name and, for application data, its application."""
    application = attribute.application_identifier if attribute.scope == APPLICATION_DATA else None
    return attribute.attribute_name, application


def _unlist(attribute: Attribute, gone: frozenset[str]) -> Attribute:
    if gone.isdisjoint(attribute.sub_attributes):
        return attribute
    kept = tuple(child for child in attribute.sub_attributes if child not in gone)
    return replace(attribute, sub_attributes=kept)


def _may_forbid(field: Field) -> bool:
    return field.guarded or field.attribute.mutability in (READ_ONLY, IMMUTABLE, WRITE_ONCE)
