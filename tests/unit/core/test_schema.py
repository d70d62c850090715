"""Look-ups in a schema, and its built-in attributes."""

from __future__ import annotations

import msgspec

from oneself.core.values.attribute import CORE_ATTRIBUTES, MUTABILITIES, SCOPES, VALUE_TYPES
from oneself.core.values.schema import Schema
from unit.core.samples import APP, attribute, complex_attribute, schema

SCHEMA = schema(
    attribute("identity_attributes.emailaddress"),
    attribute("traits.plan"),
    complex_attribute("traits.address", "city", "geo"),
    attribute("traits.address.city"),
    complex_attribute("traits.address.geo", "lat"),
    attribute("traits.address.geo.lat", "decimal"),
    attribute("traits.orphan.leaf"),
    attribute("application_data.score", "integer"),
    attribute("application_data.score", app="crm"),
)


def test_the_built_in_names_and_core_attributes() -> None:
    assert SCOPES == ("identity_attributes", "traits", "application_data")
    assert set(VALUE_TYPES) == {
        "string",
        "integer",
        "decimal",
        "boolean",
        "date",
        "date_time",
        "epoch",
        "complex",
    }
    assert set(MUTABILITIES) == {"readWrite", "readOnly", "writeOnly", "immutable", "writeOnce"}
    assert {name: (core.value_type, core.mutability) for name, core in CORE_ATTRIBUTES.items()} == {
        "profile_id": ("string", "immutable"),
        "user_id": ("string", "writeOnce"),
        "meta.created_at": ("date_time", "readOnly"),
        "meta.updated_at": ("date_time", "readOnly"),
        "meta.location": ("string", "readOnly"),
    }


def test_fields_are_the_first_level_keys() -> None:
    assert list(SCHEMA.fields("traits")) == ["plan", "address", "orphan.leaf"]
    assert list(SCHEMA.fields("identity_attributes")) == ["emailaddress"]
    assert SCHEMA.fields("application_data", APP)["score"].attribute.value_type == "integer"
    assert SCHEMA.fields("application_data", "crm")["score"].attribute.value_type == "string"
    assert SCHEMA.fields("application_data", "unknown") == {}
    assert SCHEMA.fields("application_data") == {}


def test_children_follow_the_sub_attributes() -> None:
    address = SCHEMA.fields("traits")["address"]
    assert list(address.children) == ["city", "geo"]
    assert list(address.children["geo"].children) == ["lat"]


def test_attributes_are_found_by_name_and_by_id() -> None:
    assert SCHEMA.find("traits.address.city") is SCHEMA.get("traits.address.city")
    assert SCHEMA.find("application_data.score", "crm") is SCHEMA.get("crm:application_data.score")
    assert SCHEMA.find("application_data.score") is None
    assert SCHEMA.find("traits.none") is None
    assert [parent.attribute_name for parent in SCHEMA.parents("traits.address.geo")] == ["traits.address"]
    assert [found.key for found in SCHEMA.in_scope("application_data")] == ["score", "score"]


def test_with_adds_an_attribute_or_replaces_the_same_id() -> None:
    retyped = attribute("traits.plan", "integer")
    changed = SCHEMA.with_([retyped, attribute("traits.new")])
    assert changed.get("traits.plan") is retyped
    assert [kept.attribute_name for kept in changed.attributes][1] == "traits.plan"
    assert changed.attributes[-1].attribute_name == "traits.new"
    assert SCHEMA.find("traits.new") is None


def test_without_removes_an_attribute_also_from_its_parent() -> None:
    changed = SCHEMA.without({"traits.address.city"})
    assert changed.get("traits.address.city") is None
    assert list(changed.fields("traits")["address"].children) == ["geo"]


def test_sub_attributes_that_are_no_direct_children_are_ignored() -> None:
    with_cycle = schema(
        attribute(
            "traits.a",
            "complex",
            sub_attributes=("traits.a", "traits.b", "traits.a.b.c", "none", "traits.a.b"),
        ),
        attribute("traits.b", "complex", sub_attributes=("traits.a",)),
        attribute("traits.a.b", "complex", sub_attributes=("traits.a",)),
        attribute("traits.a.b.c"),
    )
    assert list(with_cycle.fields("traits")["a"].children) == ["b"]
    assert with_cycle.fields("traits")["a"].children["b"].children == {}
    assert with_cycle.fields("traits")["b"].children == {}


def test_a_schema_is_a_value() -> None:
    assert Schema(tuple(SCHEMA.attributes)) == SCHEMA
    assert hash(Schema(SCHEMA.attributes)) == hash(SCHEMA)
    assert msgspec.json.decode(msgspec.json.encode(SCHEMA), type=Schema) == SCHEMA
