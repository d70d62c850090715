"""Merging the values and sources of two profiles (docs/concepts/merging.md)."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.core.values.merge import STRATEGIES, _SourcedValue, merge_values
from oneself.core.values.record import EMPTY, Record
from oneself.core.values.schema import Schema
from oneself.core.values.value_types import INTEGER_MAX
from unit.core.samples import APP, attribute, complex_attribute, schema, source, stored

MERGED = schema(
    attribute("identity_attributes.emailaddress"),
    attribute("identity_attributes.groups", multi=True, merge="combine"),
    complex_attribute("identity_attributes.name", "given", "family"),
    attribute("identity_attributes.name.given"),
    attribute("identity_attributes.name.family"),
    attribute("traits.plan"),
    attribute("traits.interests", multi=True, merge="combine"),
    attribute("traits.visits", "integer", merge="sum"),
    complex_attribute("traits.address", "city", "tags", "geo"),
    attribute("traits.address.city"),
    attribute("traits.address.tags", multi=True, merge="combine"),
    complex_attribute("traits.address.geo", "lat"),
    attribute("traits.address.geo.lat", "decimal", merge="max"),
    complex_attribute("traits.orders", "id", "total", multi=True, merge="combine"),
    attribute("traits.orders.id", "integer"),
    attribute("traits.orders.total", "decimal"),
    attribute("application_data.score", "integer"),
    attribute("application_data.seen", multi=True, merge="combine"),
    attribute("application_data.score", "integer", app="crm"),
)


def merged(
    surviving: dict[str, Any], absorbed: dict[str, Any], with_schema: Schema = MERGED, *, fills: bool = False
) -> Record:
    return merge_values(
        with_schema,
        stored(with_schema, surviving, 1),
        stored(with_schema, absorbed, 2),
        absorbed_fills_identity_only=fills,
    )


def test_overwrite_takes_the_absorbed_value() -> None:
    record = merged({"traits": {"plan": "trial"}}, {"traits": {"plan": "gold"}})
    assert record.values == {"traits": {"plan": "gold"}}
    assert record.provenance == {"traits.plan": (source(2),)}


def test_a_value_of_only_one_profile_stays() -> None:
    record = merged(
        {"traits": {"plan": "trial"}},
        {"traits": {"interests": ["go"]}, "application_data": {APP: {"score": 1}}},
    )
    assert record.values == {
        "traits": {"plan": "trial", "interests": ["go"]}, "application_data": {APP: {"score": 1}},
    }  # fmt: skip
    assert record.provenance == {
        "traits.plan": (source(1),),
        "traits.interests": (source(2),),
        "application_data.shop.score": (source(2),),
    }


def test_combine_appends_new_elements_and_removes_duplicates() -> None:
    record = merged({"traits": {"interests": ["b", "a", "b"]}}, {"traits": {"interests": ["c", "a"]}})
    assert record.values == {"traits": {"interests": ["b", "a", "c"]}}
    assert record.provenance == {"traits.interests": (source(1), source(2))}


@pytest.mark.parametrize(
    ("value_type", "surviving", "absorbed", "union"),
    [
        ("string", ["a"], ["A", "a"], ["a", "A"]),
        ("integer", [1, 2], [2, 3], [1, 2, 3]),
        ("decimal", [1, 2.5], [1.0, 3.5], [1, 2.5, 3.5]),
        ("boolean", [True], [False, True], [True, False]),
        ("date", ["2026-06-05"], ["2026-06-06", "2026-06-05"], ["2026-06-05", "2026-06-06"]),
        ("date_time", ["2026-06-05T03:38"], ["2026-06-05T04:38"], ["2026-06-05T03:38", "2026-06-05T04:38"]),
        ("epoch", [12], ["12", "13"], [12, 13]),
    ],
)  # fmt: skip
def test_combine_compares_elements_by_their_type(
    value_type: str, surviving: list[Any], absorbed: list[Any], union: list[Any]
) -> None:
    with_schema = schema(attribute("traits.x", value_type, multi=True, merge="combine"))
    assert merged({"traits": {"x": surviving}}, {"traits": {"x": absorbed}}, with_schema).values == {
        "traits": {"x": union}
    }


def test_combine_of_objects_compares_whole_objects() -> None:
    surviving = [{"id": 1, "total": 5}, {"id": 2}]
    record = merged(
        {"traits": {"orders": surviving}}, {"traits": {"orders": [{"total": 5.0, "id": 1}, {"id": 3}]}}
    )
    assert record.values == {"traits": {"orders": [*surviving, {"id": 3}]}}


def test_objects_merge_by_member() -> None:
    record = merged(
        {"traits": {"address": {"city": "Rome", "tags": ["home"], "geo": {"lat": 5}}}},
        {"traits": {"address": {"city": "Oslo", "tags": ["work"], "geo": {"lat": 3}}}},
    )
    assert record.values["traits"]["address"] == {"city": "Oslo", "tags": ["home", "work"], "geo": {"lat": 5}}
    assert record.provenance == {
        "traits.address.city": (source(2),),
        "traits.address.tags": (source(1), source(2)),
        "traits.address.geo.lat": (source(1),),
    }


def test_application_data_merges_by_application() -> None:
    record = merged(
        {"application_data": {APP: {"score": 1, "seen": ["a"]}}},
        {"application_data": {APP: {"score": 2, "seen": ["b"]}, "crm": {"score": 3}}},
    )
    assert record.values == {"application_data": {APP: {"score": 2, "seen": ["a", "b"]}, "crm": {"score": 3}}}


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "combine"])
def test_an_empty_value_never_replaces_another(name: str) -> None:
    with_schema = schema(attribute("traits.x", merge=name))
    assert merged({"traits": {"x": "a"}}, {"traits": {"x": ""}}, with_schema).values == {"traits": {"x": "a"}}
    assert merged({"traits": {"x": ""}}, {"traits": {"x": "a"}}, with_schema).values == {"traits": {"x": "a"}}


def test_an_empty_list_adds_and_removes_nothing() -> None:
    record = merged({"traits": {"interests": ["a"]}}, {"traits": {"interests": []}})
    assert (record.values, record.provenance) == (
        {"traits": {"interests": ["a"]}},
        {"traits.interests": (source(1),)},
    )
    assert merged({}, {"traits": {"interests": []}}).values == {"traits": {"interests": []}}


def test_identity_attributes_of_an_anonymous_profile_only_fill_gaps() -> None:
    surviving = {
        "identity_attributes": {"emailaddress": "ann@acme.example", "groups": ["a"], "name": {"given": "Ann"}}
    }
    absorbed = {
        "identity_attributes": {
            "emailaddress": "x",
            "groups": ["b"],
            "name": {"given": "X", "family": "Lee"},
        },
        "traits": {"plan": "gold"},
    }
    record = merged(surviving, absorbed, fills=True)
    assert record.values == {
        "identity_attributes": {
            "emailaddress": "ann@acme.example", "groups": ["a"], "name": {"given": "Ann", "family": "Lee"},
        },
        "traits": {"plan": "gold"},
    }  # fmt: skip
    assert record.provenance["identity_attributes.name.family"] == (source(2),)
    filled = merged({"identity_attributes": {"emailaddress": ""}}, absorbed, fills=True)
    assert filled.values["identity_attributes"]["emailaddress"] == "x"


def test_values_without_an_attribute_are_stored_and_overwritten() -> None:
    surviving = stored(
        MERGED, {"traits": {"interests": ["a"], "address": {"city": "Rome", "tags": ["x"]}}}, 1
    )
    absorbed = stored(
        MERGED, {"traits": {"interests": ["b"], "address": {"city": "Oslo"}, "plan": "gold"}}, 2
    )
    record = merge_values(schema(), surviving, absorbed, absorbed_fills_identity_only=False)
    assert record.values == {
        "traits": {"interests": ["b"], "address": {"city": "Oslo", "tags": ["x"]}, "plan": "gold"}
    }


def test_an_object_replaces_text_together_with_all_sources() -> None:
    surviving = stored(schema(attribute("traits.address")), {"traits": {"address": "Rome"}}, 1)
    absorbed = stored(MERGED, {"traits": {"address": {"city": "Oslo", "geo": {"lat": 1}}}}, 2)
    record = merge_values(MERGED, surviving, absorbed, absorbed_fills_identity_only=False)
    assert record.values == absorbed.values
    assert record.provenance == absorbed.provenance
    reversed_record = merge_values(MERGED, absorbed, surviving, absorbed_fills_identity_only=False)
    assert (reversed_record.values, reversed_record.provenance) == (surviving.values, surviving.provenance)


def test_merging_does_not_change_its_arguments() -> None:
    surviving = stored(MERGED, {"traits": {"interests": ["a"], "address": {"tags": ["x"]}}}, 1)
    absorbed = stored(MERGED, {"traits": {"interests": ["b"], "address": {"tags": ["y"]}}}, 2)
    merge_values(MERGED, surviving, absorbed, absorbed_fills_identity_only=False)
    assert surviving == stored(MERGED, {"traits": {"interests": ["a"], "address": {"tags": ["x"]}}}, 1)
    assert absorbed == stored(MERGED, {"traits": {"interests": ["b"], "address": {"tags": ["y"]}}}, 2)


def test_two_empty_records_merge_into_an_empty_one() -> None:
    assert merged({}, {}) == EMPTY


# The table of strategies


def test_the_names_of_all_strategies() -> None:
    assert sorted(STRATEGIES) == ["combine", "earliest", "keep", "latest", "max", "min", "overwrite", "sum"]


EARLY, LATE = (source(9, at=100),), (source(1, at=200),)

TABLE: list[tuple[str, str, Any, Any, Any]] = [
    ("overwrite", "string", "a", "b", "b"),
    ("keep", "string", "a", "b", "a"),
    ("sum", "integer", 2, 3, 5),
    ("sum", "decimal", 2, 0.5, 2.5),
    ("sum", "integer", INTEGER_MAX, 1, INTEGER_MAX),
    ("sum", "decimal", 1.7e308, 1.7e308, 1.7976931348623157e308),
    ("sum", "string", "a", "b", "b"),
    ("sum", "boolean", True, True, True),
    ("max", "integer", 2, 10, 10),
    ("max", "decimal", 2.5, 2, 2.5),
    ("min", "integer", 2, 10, 2),
    ("max", "string", "b", "a", "b"),
    ("min", "string", "b", "a", "a"),
    ("max", "boolean", False, True, True),
    ("max", "date", "2026-06-05", "2025-12-31", "2026-06-05"),
    ("max", "date_time", "2026-06-05T12:00:00+05:00", "2026-06-05T08:00:00Z", "2026-06-05T08:00:00Z"),
    ("min", "date_time", "2026-06-05T12:00:00+05:00", "2026-06-05T08:00:00Z", "2026-06-05T12:00:00+05:00"),
    ("min", "date_time", "2026-06-05T08:00:00", "2026-06-05T07:00:00Z", "2026-06-05T07:00:00Z"),
    ("max", "epoch", 12, 11, 12),
    ("max", "string", ["a"], ["b"], ["b"]),
    ("max", "integer", 5, "x", "x"),
    ("max", "date", "once", "2026-06-05", "2026-06-05"),
]


@pytest.mark.parametrize(("name", "value_type", "surviving", "absorbed", "expected"), TABLE)
def test_a_strategy_chooses_or_computes_a_value(
    name: str, value_type: str, surviving: Any, absorbed: Any, expected: Any
) -> None:
    result = STRATEGIES[name](_SourcedValue(surviving, EARLY), _SourcedValue(absorbed, LATE), value_type)
    assert result.value == expected
    assert type(result.value) is type(expected)


def test_latest_and_earliest_use_the_time_of_occurrence() -> None:
    a, b = _SourcedValue("a", EARLY), _SourcedValue("b", LATE)
    assert STRATEGIES["latest"](a, b, "string") is b
    assert STRATEGIES["latest"](b, a, "string") is b
    assert STRATEGIES["earliest"](a, b, "string") is a
    assert STRATEGIES["earliest"](b, a, "string") is a
    assert STRATEGIES["latest"](a, _SourcedValue("c", EARLY), "string") is a


def test_a_strategy_keeps_the_sources_of_the_result() -> None:
    a, b = _SourcedValue(1, EARLY), _SourcedValue(2, LATE)
    assert STRATEGIES["sum"](a, b, "integer").sources == EARLY + LATE
    assert STRATEGIES["max"](a, b, "integer").sources == LATE
    assert (
        STRATEGIES["combine"](_SourcedValue([1], EARLY), _SourcedValue([1], EARLY), "integer").sources
        == EARLY
    )


def test_latest_works_in_both_directions_of_a_merge() -> None:
    with_schema = schema(attribute("traits.x", merge="latest"))
    older, newer = (
        stored(with_schema, {"traits": {"x": "old"}}, 1),
        stored(with_schema, {"traits": {"x": "new"}}, 2),
    )
    for surviving, absorbed in ((older, newer), (newer, older)):
        record = merge_values(with_schema, surviving, absorbed, absorbed_fills_identity_only=False)
        assert (record.values, record.provenance) == (newer.values, newer.provenance)
