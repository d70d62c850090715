"""Visible values, and the report of hidden ones that no longer fit the schema (docs/wire/cds.md §8)."""

# Each case is one line of a table, however long.
# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import pytest

from oneself.core.values.visibility import invalid_values, visible_values
from unit.core.samples import attribute, complex_attribute, schema, stored

SCHEMA = schema(
    attribute("traits.plan"),
    attribute("traits.tags", multi=True),
    complex_attribute("traits.address", "city", "zip"),
    attribute("traits.address.city"),
    attribute("traits.address.zip"),
    complex_attribute("traits.orders", "id", "note", multi=True),
    attribute("traits.orders.id", "integer"),
    attribute("traits.orders.note"),
    attribute("application_data.score", "integer"),
)
VALUES = {
    "traits": {
        "plan": "gold",
        "tags": ["a", "b"],
        "address": {"city": "Rome", "zip": "1"},
        "orders": [{"id": 1, "note": "x"}, {"id": 2}],
    },
    "application_data": {"shop": {"score": 5}},
}
TRAITS = VALUES["traits"]

RETYPED: list[tuple[Any, dict[str, Any], list[tuple[str, str]]]] = [
    (attribute("traits.plan", "integer"), {"plan": None}, [("traits.plan", "type mismatch")]),
    (attribute("traits.plan", multi=True), {"plan": None}, [("traits.plan", "type mismatch")]),
    (attribute("traits.plan", canonical=("trial",)), {"plan": None}, [("traits.plan", "value not in canonical values")]),
    (attribute("traits.plan", mutability="writeOnly"), {"plan": None}, []),
    (attribute("traits.tags", multi=False), {"tags": None}, [("traits.tags", "type mismatch")]),
    (attribute("traits.tags", multi=True, canonical=("a",)), {"tags": None}, [("traits.tags", "value not in canonical values")]),
    (attribute("traits.address"), {"address": None}, [("traits.address", "type mismatch")]),
    (complex_attribute("traits.address", "city", "zip", multi=True), {"address": None}, [("traits.address", "type mismatch")]),
    (complex_attribute("traits.address", "city"), {"address": {"city": "Rome"}}, [("traits.address.zip", "not defined in schema")]),
    (attribute("traits.address.zip", "integer"), {"address": {"city": "Rome"}}, [("traits.address.zip", "type mismatch")]),
    (attribute("traits.address.zip", mutability="writeOnly"), {"address": {"city": "Rome"}}, []),
    (complex_attribute("traits.address", "city", "zip", mutability="writeOnly"), {"address": None}, []),
    (complex_attribute("traits.orders", "id", "note"), {"orders": None}, [("traits.orders", "type mismatch")]),
    (complex_attribute("traits.orders", "id", multi=True), {"orders": [{"id": 1}, {"id": 2}]}, [("traits.orders[0].note", "not defined in schema")]),
    (attribute("traits.orders.id"), {"orders": [{"note": "x"}, {}]}, [("traits.orders[0].id", "type mismatch"), ("traits.orders[1].id", "type mismatch")]),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "visible", "reported"), RETYPED)
def test_values_that_became_invalid_are_hidden_and_reported(
    changed: Any, visible: dict[str, Any], reported: list[tuple[str, str]]
) -> None:
    retyped = SCHEMA.with_([changed])
    expected = {key: value for key, value in (TRAITS | visible).items() if value is not None}
    assert visible_values(retyped, VALUES) == VALUES | {"traits": expected}
    assert invalid_values(retyped, VALUES) == reported


def test_valid_values_are_visible() -> None:
    assert visible_values(SCHEMA, VALUES) == VALUES
    assert invalid_values(SCHEMA, VALUES) == []


def test_values_of_deleted_attributes_are_hidden_until_redefinition() -> None:
    smaller = SCHEMA.without(
        {"traits.plan", "shop:application_data.score", "traits.address.city", "traits.address.zip"}
    )
    assert visible_values(smaller, VALUES) == {"traits": {key: TRAITS[key] for key in ("tags", "orders")}}
    assert invalid_values(smaller, VALUES) == [
        ("traits.plan", "not defined in schema"),
        ("traits.address.city", "not defined in schema"),
        ("traits.address.zip", "not defined in schema"),
        ("application_data.shop.score", "not defined in schema"),
    ]
    assert visible_values(smaller.with_(SCHEMA.attributes), VALUES) == VALUES


def test_a_value_of_an_older_type_is_converted_when_read() -> None:
    record = stored(schema(attribute("traits.seen")), {"traits": {"seen": "12"}})
    assert visible_values(schema(attribute("traits.seen", "epoch")), record.values) == {
        "traits": {"seen": 12}
    }


def test_no_values_or_no_attributes_show_nothing() -> None:
    assert visible_values(SCHEMA, {}) == {}
    assert visible_values(schema(), VALUES) == {}
