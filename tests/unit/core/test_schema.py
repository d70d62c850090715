"""The schema as the write path asks it, and its built-in attributes (seeds/profile-attributes)."""

from __future__ import annotations

import msgspec

from oneself.core.values.attribute import CORE_ATTRIBUTES, MUTABILITIES, SCOPES, VALUE_TYPES
from oneself.core.values.schema import Schema
from unit.core.samples import APP, attribute, complex_attribute, schema

GIVEN = schema(
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


def test_words_of_the_seed() -> None:
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
    assert list(GIVEN.fields("traits")) == ["plan", "address", "orphan.leaf"]
    assert list(GIVEN.fields("identity_attributes")) == ["emailaddress"]
    assert GIVEN.fields("application_data", APP)["score"].attribute.value_type == "integer"
    assert GIVEN.fields("application_data", "crm")["score"].attribute.value_type == "string"
    assert GIVEN.fields("application_data", "unknown") == {}
    assert GIVEN.fields("application_data") == {}


def test_children_follow_the_sub_attributes() -> None:
    address = GIVEN.fields("traits")["address"]
    assert list(address.children) == ["city", "geo"]
    assert list(address.children["geo"].children) == ["lat"]


def test_find_and_get() -> None:
    assert GIVEN.find("traits.address.city") is GIVEN.get("traits.address.city")
    assert GIVEN.find("application_data.score", "crm") is GIVEN.get("crm:application_data.score")
    assert GIVEN.find("application_data.score") is None
    assert GIVEN.find("traits.none") is None
    assert [each.attribute_name for each in GIVEN.parents("traits.address.geo")] == ["traits.address"]
    assert [each.key for each in GIVEN.in_scope("application_data")] == ["score", "score"]


def test_with_adds_or_takes_the_place_of_the_same_id() -> None:
    retyped = attribute("traits.plan", "integer")
    later = GIVEN.with_([retyped, attribute("traits.new")])
    assert later.get("traits.plan") is retyped
    assert [each.attribute_name for each in later.attributes][1] == "traits.plan"
    assert later.attributes[-1].attribute_name == "traits.new"
    assert GIVEN.find("traits.new") is None


def test_without_drops_and_parents_forget() -> None:
    later = GIVEN.without({"traits.address.city"})
    assert later.get("traits.address.city") is None
    assert list(later.fields("traits")["address"].children) == ["geo"]


def test_a_list_of_sub_attributes_can_lead_nowhere_but_down() -> None:
    odd = schema(
        attribute(
            "traits.a",
            "complex",
            sub_attributes=("traits.a", "traits.b", "traits.a.b.c", "none", "traits.a.b"),
        ),
        attribute("traits.b", "complex", sub_attributes=("traits.a",)),
        attribute("traits.a.b", "complex", sub_attributes=("traits.a",)),
        attribute("traits.a.b.c"),
    )
    assert list(odd.fields("traits")["a"].children) == ["b"]
    assert odd.fields("traits")["a"].children["b"].children == {}
    assert odd.fields("traits")["b"].children == {}


def test_a_schema_is_a_value() -> None:
    assert Schema(tuple(GIVEN.attributes)) == GIVEN
    assert hash(Schema(GIVEN.attributes)) == hash(GIVEN)
    assert msgspec.json.decode(msgspec.json.encode(GIVEN), type=Schema) == GIVEN
