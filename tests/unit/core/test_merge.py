"""How values of two profiles merge, with their sources (docs/concepts/merging.md)."""

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


def merged(mine: dict[str, Any], theirs: dict[str, Any], given: Schema = MERGED, **how: Any) -> Record:
    how = {"absorbed_fills_identity_only": False} | how
    return merge_values(given, stored(given, mine, 1), stored(given, theirs, 2), **how)


def test_overwrite_takes_the_incoming_value() -> None:
    record = merged({"traits": {"plan": "trial"}}, {"traits": {"plan": "gold"}})
    assert record.values == {"traits": {"plan": "gold"}}
    assert record.provenance == {"traits.plan": (source(2),)}


def test_values_of_one_side_stay() -> None:
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


def test_combine_is_a_union_existing_first_equal_elements_once() -> None:
    record = merged({"traits": {"interests": ["b", "a", "b"]}}, {"traits": {"interests": ["c", "a"]}})
    assert record.values == {"traits": {"interests": ["b", "a", "c"]}}
    assert record.provenance == {"traits.interests": (source(1), source(2))}


@pytest.mark.parametrize(
    ("value_type", "mine", "theirs", "union"),
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
def test_combine_knows_every_type(
    value_type: str, mine: list[Any], theirs: list[Any], union: list[Any]
) -> None:
    given = schema(attribute("traits.x", value_type, multi=True, merge="combine"))
    assert merged({"traits": {"x": mine}}, {"traits": {"x": theirs}}, given).values == {
        "traits": {"x": union}
    }


def test_combine_of_objects_compares_whole_objects() -> None:
    mine = [{"id": 1, "total": 5}, {"id": 2}]
    record = merged(
        {"traits": {"orders": mine}}, {"traits": {"orders": [{"total": 5.0, "id": 1}, {"id": 3}]}}
    )
    assert record.values == {"traits": {"orders": [*mine, {"id": 3}]}}


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
def test_an_empty_value_never_replaces(name: str) -> None:
    given = schema(attribute("traits.x", merge=name))
    assert merged({"traits": {"x": "a"}}, {"traits": {"x": ""}}, given).values == {"traits": {"x": "a"}}
    assert merged({"traits": {"x": ""}}, {"traits": {"x": "a"}}, given).values == {"traits": {"x": "a"}}


def test_an_empty_list_adds_and_removes_nothing() -> None:
    record = merged({"traits": {"interests": ["a"]}}, {"traits": {"interests": []}})
    assert (record.values, record.provenance) == (
        {"traits": {"interests": ["a"]}},
        {"traits.interests": (source(1),)},
    )
    assert merged({}, {"traits": {"interests": []}}).values == {"traits": {"interests": []}}


def test_identity_attributes_of_an_anonymous_profile_only_fill_gaps() -> None:
    mine = {
        "identity_attributes": {"emailaddress": "ann@acme.example", "groups": ["a"], "name": {"given": "Ann"}}
    }
    theirs = {
        "identity_attributes": {
            "emailaddress": "x",
            "groups": ["b"],
            "name": {"given": "X", "family": "Lee"},
        },
        "traits": {"plan": "gold"},
    }
    record = merged(mine, theirs, absorbed_fills_identity_only=True)
    assert record.values == {
        "identity_attributes": {
            "emailaddress": "ann@acme.example", "groups": ["a"], "name": {"given": "Ann", "family": "Lee"},
        },
        "traits": {"plan": "gold"},
    }  # fmt: skip
    assert record.provenance["identity_attributes.name.family"] == (source(2),)
    gap = merged({"identity_attributes": {"emailaddress": ""}}, theirs, absorbed_fills_identity_only=True)
    assert gap.values["identity_attributes"]["emailaddress"] == "x"


def test_values_without_an_attribute_are_stored_and_overwritten() -> None:
    mine = stored(MERGED, {"traits": {"interests": ["a"], "address": {"city": "Rome", "tags": ["x"]}}}, 1)
    theirs = stored(MERGED, {"traits": {"interests": ["b"], "address": {"city": "Oslo"}, "plan": "gold"}}, 2)
    record = merge_values(schema(), mine, theirs, absorbed_fills_identity_only=False)
    assert record.values == {
        "traits": {"interests": ["b"], "address": {"city": "Oslo", "tags": ["x"]}, "plan": "gold"}
    }


def test_an_object_against_text_moves_all_its_sources() -> None:
    mine = stored(schema(attribute("traits.address")), {"traits": {"address": "Rome"}}, 1)
    theirs = stored(MERGED, {"traits": {"address": {"city": "Oslo", "geo": {"lat": 1}}}}, 2)
    record = merge_values(MERGED, mine, theirs, absorbed_fills_identity_only=False)
    assert record.values == theirs.values
    assert record.provenance == theirs.provenance
    back = merge_values(MERGED, theirs, mine, absorbed_fills_identity_only=False)
    assert (back.values, back.provenance) == (mine.values, mine.provenance)


def test_merging_changes_neither_side() -> None:
    mine = stored(MERGED, {"traits": {"interests": ["a"], "address": {"tags": ["x"]}}}, 1)
    theirs = stored(MERGED, {"traits": {"interests": ["b"], "address": {"tags": ["y"]}}}, 2)
    merge_values(MERGED, mine, theirs, absorbed_fills_identity_only=False)
    assert mine == stored(MERGED, {"traits": {"interests": ["a"], "address": {"tags": ["x"]}}}, 1)
    assert theirs == stored(MERGED, {"traits": {"interests": ["b"], "address": {"tags": ["y"]}}}, 2)


def test_nothing_merges_into_nothing() -> None:
    assert merged({}, {}) == EMPTY


# The table of strategies


def test_the_table_is_closed() -> None:
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


@pytest.mark.parametrize(("name", "value_type", "mine", "theirs", "left"), TABLE)
def test_a_strategy(name: str, value_type: str, mine: Any, theirs: Any, left: Any) -> None:
    held = STRATEGIES[name](_SourcedValue(mine, EARLY), _SourcedValue(theirs, LATE), value_type)
    assert held.value == left
    assert type(held.value) is type(left)


def test_latest_and_earliest_use_the_time_of_occurrence() -> None:
    a, b = _SourcedValue("a", EARLY), _SourcedValue("b", LATE)
    assert STRATEGIES["latest"](a, b, "string") is b
    assert STRATEGIES["latest"](b, a, "string") is b
    assert STRATEGIES["earliest"](a, b, "string") is a
    assert STRATEGIES["earliest"](b, a, "string") is a
    assert STRATEGIES["latest"](a, _SourcedValue("c", EARLY), "string") is a


def test_sources_of_what_remains() -> None:
    a, b = _SourcedValue(1, EARLY), _SourcedValue(2, LATE)
    assert STRATEGIES["sum"](a, b, "integer").sources == EARLY + LATE
    assert STRATEGIES["max"](a, b, "integer").sources == LATE
    assert (
        STRATEGIES["combine"](_SourcedValue([1], EARLY), _SourcedValue([1], EARLY), "integer").sources
        == EARLY
    )


def test_latest_through_a_merge() -> None:
    given = schema(attribute("traits.x", merge="latest"))
    older, newer = stored(given, {"traits": {"x": "old"}}, 1), stored(given, {"traits": {"x": "new"}}, 2)
    for mine, theirs in ((older, newer), (newer, older)):
        record = merge_values(given, mine, theirs, absorbed_fills_identity_only=False)
        assert (record.values, record.provenance) == (newer.values, newer.provenance)
