"""Short constructors of attributes, schemas and records, for the tests of values."""

from __future__ import annotations

from typing import Any

from oneself.core.values.attribute import Attribute, CanonicalValue
from oneself.core.values.patch import apply_patch
from oneself.core.values.record import EMPTY, Record, ValueSource, write
from oneself.core.values.schema import Schema

APP = "shop"


def attribute(name: str, value_type: str = "string", **fields: Any) -> Attribute:
    """An attribute whose id is its name; for application data, `<application>:<name>`."""
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
    """A complex attribute; `children` are the last parts of the names of its sub-attributes."""
    prefix = f"{APP}:" if name.startswith("application_data.") else ""
    ids = tuple(f"{prefix}{name}.{child}" for child in children)
    return attribute(name, "complex", sub_attributes=ids, **fields)


def schema(*attributes: Attribute) -> Schema:
    return Schema(attributes)


def source(number: int, at: int | None = None, interface: str = "test") -> ValueSource:
    return ValueSource(
        seq=number, observation_id=f"o{number}", at=number if at is None else at, interface=interface
    )


def stored(with_schema: Schema, values: dict[str, Any], number: int = 1) -> Record:
    """A record with these values, written when the profile was created."""
    changes = apply_patch(with_schema, EMPTY, values, creating=True, authority="identity_server")
    return write(EMPTY, changes, source(number))


def patched(with_schema: Schema, record: Record, values: dict[str, Any], number: int = 2) -> Record:
    """The record after a PATCH by an application."""
    changes = apply_patch(with_schema, record, values, creating=False, authority="application")
    return write(record, changes, source(number))
