"""Attributes, schemas and records for the tests of values, made with few words."""

from __future__ import annotations

from typing import Any

from oneself.core.values.attribute import Attribute, CanonicalValue
from oneself.core.values.patch import apply_patch
from oneself.core.values.record import EMPTY, Record, ValueSource, write
from oneself.core.values.schema import Schema

APP = "shop"


def attribute(name: str, value_type: str = "string", **fields: Any) -> Attribute:
    """An attribute whose id is its name, with the application in front for application data."""
    application = fields.pop("app", APP if name.startswith("application_data.") else None)
    canonical = tuple(CanonicalValue(value) for value in fields.pop("canonical", ()))
    return Attribute(
        attribute_id=f"{application}:{name}" if application else name,
        attribute_name=name,
        value_type=value_type,
        merge_strategy=fields.pop("merge", "overwrite"),
        multi_valued=fields.pop("multi", False),
        application_identifier=application,
        canonical_values=canonical,
        **fields,
    )


def complex_attribute(name: str, *children: str, **fields: Any) -> Attribute:
    """A complex attribute that lists the children of these last names."""
    prefix = f"{APP}:" if name.startswith("application_data.") else ""
    ids = tuple(f"{prefix}{name}.{child}" for child in children)
    return attribute(name, "complex", sub_attributes=ids, **fields)


def schema(*attributes: Attribute) -> Schema:
    return Schema(attributes)


def source(number: int, at: int | None = None, interface: str = "test") -> ValueSource:
    return ValueSource(
        seq=number, observation_id=f"o{number}", at=number if at is None else at, interface=interface
    )


def stored(given: Schema, values: dict[str, Any], number: int = 1) -> Record:
    """A record that holds the values, written at once when the profile was created."""
    changes = apply_patch(given, EMPTY, values, creating=True, authority="identity_server")
    return write(EMPTY, changes, source(number))


def patched(given: Schema, record: Record, values: dict[str, Any], number: int = 2) -> Record:
    """The record after an application's PATCH."""
    changes = apply_patch(given, record, values, creating=False, authority="application")
    return write(record, changes, source(number))
