"""Which values each type accepts, stores and rejects (docs/wire/cds.md §8)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneself.core.values.value_types import (
    VALIDATORS,
    TypeMismatch,
    canonical_key,
    instant,
    is_empty,
    parse_text,
    same,
)

ACCEPTED: list[tuple[str, Any, Any]] = [
    ("string", "", ""),
    ("string", "grüße \u2028 🦆", "grüße \u2028 🦆"),
    ("string", "a\ttab\nand line", "a\ttab\nand line"),
    ("integer", 0, 0),
    ("integer", -(2**63), -(2**63)),
    ("integer", 2**63 - 1, 2**63 - 1),
    ("integer", 5.0, 5),
    ("integer", 1e3, 1000),
    ("decimal", 5, 5),
    ("decimal", 5.25, 5.25),
    ("decimal", -0.0, -0.0),
    ("decimal", 2**70, float(2**70)),
    ("boolean", True, True),
    ("boolean", False, False),
    ("date", "2026-06-05", "2026-06-05"),
    ("date", "2024-02-29", "2024-02-29"),
    ("date", "0001-01-01", "0001-01-01"),
    ("date_time", "2026-06-05T03:38:04Z", "2026-06-05T03:38:04Z"),
    ("date_time", "2026-06-05T03:38:04.834627Z", "2026-06-05T03:38:04.834627Z"),
    ("date_time", "2026-06-05T03:38:04.834627123Z", "2026-06-05T03:38:04.834627123Z"),
    ("date_time", "2026-06-05T03:38:04,8+05:30", "2026-06-05T03:38:04,8+05:30"),
    ("date_time", "2026-06-05T03:38:04-0800", "2026-06-05T03:38:04-0800"),
    ("date_time", "2026-06-05T03:38:04+02", "2026-06-05T03:38:04+02"),
    ("date_time", "2026-06-05T03:38", "2026-06-05T03:38"),
    ("date_time", "2026-06-05T03:38:04", "2026-06-05T03:38:04"),
    ("epoch", 1_780_630_684_834, 1_780_630_684_834),
    ("epoch", "1780630684834", 1_780_630_684_834),
    ("epoch", -1, -1),
    ("epoch", "-86400000", -86_400_000),
    ("epoch", 0, 0),
    ("complex", {}, {}),
    ("complex", {"a": 1}, {"a": 1}),
]

REJECTED: list[tuple[str, Any]] = [
    ("string", 5),
    ("string", True),
    ("string", None),
    ("string", ["a"]),
    ("string", {}),
    ("string", "a\x00b"),
    ("string", "lone \ud83d surrogate"),
    ("integer", True),
    ("integer", 5.5),
    ("integer", "5"),
    ("integer", 2**63),
    ("integer", -(2**63) - 1),
    ("integer", 1e300),
    ("integer", float("inf")),
    ("integer", float("nan")),
    ("decimal", True),
    ("decimal", "5.2"),
    ("decimal", float("inf")),
    ("decimal", float("-inf")),
    ("decimal", float("nan")),
    ("decimal", 10**400),
    ("boolean", 0),
    ("boolean", 1),
    ("boolean", "true"),
    ("date", "2026-02-30"),
    ("date", "2023-02-29"),
    ("date", "0000-01-01"),
    ("date", "2026-13-01"),
    ("date", "20260605"),
    ("date", "2026-6-5"),
    ("date", "2026-06-05T00:00:00Z"),
    ("date", "٢٠٢٦-٠٦-٠٥"),
    ("date", ""),
    ("date", 20260605),
    ("date_time", "2026-06-05"),
    ("date_time", "2026-06-05 03:38:04Z"),
    ("date_time", "2026-06-05T25:00:00Z"),
    ("date_time", "2026-02-30T03:38:04Z"),
    ("date_time", "2026-06-05T03:38:04+25:00"),
    ("date_time", "2026-06-05T03:38:04Z trailing"),
    ("date_time", 1_780_630_684_834),
    ("epoch", "12.5"),
    ("epoch", "soon"),
    ("epoch", ""),
    ("epoch", "١٢"),
    ("epoch", True),
    ("epoch", 12.5),
    ("epoch", 10**18),
    ("epoch", "9" * 400),
    ("epoch", "2026-06-05"),
    ("complex", []),
    ("complex", "a"),
]


@pytest.mark.parametrize(("value_type", "value", "stored"), ACCEPTED)
def test_an_accepted_value_is_stored_in_the_form_of_its_type(
    value_type: str, value: Any, stored: Any
) -> None:
    converted = VALIDATORS[value_type](value)
    assert converted == stored
    assert type(converted) is type(stored)


@pytest.mark.parametrize(("value_type", "value"), REJECTED)
def test_a_value_of_another_type_is_rejected(value_type: str, value: Any) -> None:
    with pytest.raises(TypeMismatch):
        VALIDATORS[value_type](value)


@pytest.mark.parametrize(
    ("value_type", "text", "parsed"),
    [
        ("string", " as it is ", " as it is "),
        ("integer", "42", 42),
        ("integer", " -7 ", -7),
        ("integer", "4.5", "4.5"),
        ("decimal", "4.5", 4.5),
        ("decimal", "4", 4.0),
        ("decimal", "1e3", 1000.0),
        ("decimal", "nan", "nan"),
        ("boolean", "TRUE", True),
        ("boolean", "false", False),
        ("boolean", "yes", "yes"),
        ("date", " 2026-06-05 ", "2026-06-05"),
        ("date_time", "2026-06-05T03:38:04Z", "2026-06-05T03:38:04Z"),
        ("epoch", "1780630684834", "1780630684834"),
    ],
)
def test_text_is_parsed_as_its_type_or_stays_text(value_type: str, text: str, parsed: Any) -> None:
    result = parse_text(value_type, text)
    assert result == parsed
    assert type(result) is type(parsed)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        (0, "", False),
        ([True], [1], False),
        ([1], [1.0], True),
        ({"a": [1, {"b": True}]}, {"a": [1.0, {"b": True}]}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], [2, 1], False),
        ({}, [], False),
        (None, False, False),
        (2**53 + 1, float(2**53), False),
    ],
)
def test_values_are_compared_as_json(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal
    assert same(b, a) is equal
    assert (canonical_key(a) == canonical_key(b)) is equal


@pytest.mark.parametrize("value", ["", [], {}, None])
def test_empty_values_are_empty(value: Any) -> None:
    assert is_empty(value)


@pytest.mark.parametrize("value", [0, 0.0, False, " ", [""], {"a": None}])
def test_zero_false_and_blanks_are_not_empty(value: Any) -> None:
    assert not is_empty(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_canonical_keys_are_equal_exactly_for_equal_values(a: Any, b: Any) -> None:
    assert (canonical_key(a) == canonical_key(b)) is same(a, b)
    assert same(a, a)


@given(st.sampled_from(sorted(VALIDATORS)), JSON)
def test_a_valid_converted_value_is_unchanged(value_type: str, value: Any) -> None:
    try:
        converted = VALIDATORS[value_type](value)
    except TypeMismatch:
        return
    assert same(VALIDATORS[value_type](converted), converted)


@given(st.dates())
def test_every_day_of_the_calendar_is_a_date(day: date) -> None:
    assert VALIDATORS["date"](day.isoformat()) == day.isoformat()


@given(st.datetimes(timezones=st.timezones()), st.datetimes())
def test_every_instant_is_a_date_time_and_can_be_compared(moment: datetime, local: datetime) -> None:
    for text in (moment.isoformat(), local.isoformat()):
        try:
            converted = VALIDATORS["date_time"](text)
        except TypeMismatch:
            # Very old local times have offsets with seconds, which ISO 8601 does not allow.
            offset = moment.utcoffset()
            assert offset is not None
            assert offset.total_seconds() % 60
        else:
            assert converted == text
    is_earlier = moment < local.replace(tzinfo=UTC)
    assert (instant(moment.isoformat()) < instant(local.isoformat())) is is_earlier
