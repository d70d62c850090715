"""Cursors, filters and attribute selections in query parameters, and the errors for invalid ones."""

from __future__ import annotations

import contextlib
from base64 import urlsafe_b64encode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneself.api.cds.cursor import DIRECTIONS, Cursor, InvalidCursor, decode_cursor, encode_cursor
from oneself.api.cds.filters import (
    InvalidFilter,
    decode_attributes,
    decode_filters,
    decode_schema_filter,
)
from oneself.api.http.timestamps import instant_of, rfc3339
from oneself.core.values.attribute import Attribute
from oneself.service.profiles.listing import Condition

LAST_INSTANT = 253_402_300_799_999_999
PROFILE = "0b6e5a4e-3b1d-4c8e-9a55-0d7e1f2b3c4d"


def base64_of(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode()


@given(
    st.builds(
        Cursor, st.integers(-62_135_596_800_000_000, LAST_INSTANT), st.uuids(), st.sampled_from(DIRECTIONS)
    )
)
def test_an_encoded_cursor_decodes_to_itself(cursor: Cursor) -> None:
    assert decode_cursor(encode_cursor(cursor)) == cursor
    assert encode_cursor(cursor).replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("cursor", "part"),
    [
        ("€", "encoding"),
        ("a", "encoding"),
        ("x" * 10_000, "encoding"),
        (base64_of("a|b"), "format"),
        (base64_of("a|b|c|d"), "format"),
        (base64_of(f"yesterday|{PROFILE}|next"), "timestamp"),
        (base64_of(f"2026-06-05T03:38:04|{PROFILE}|next"), "timestamp"),
        (base64_of(f"0001-01-01T00:00:00+14:00|{PROFILE}|next"), "timestamp"),
        (base64_of("2026-06-05T03:38:04Z|nobody|next"), "profile_id"),
        (base64_of(f"2026-06-05T03:38:04Z|{PROFILE}|sideways"), "direction"),
    ],
)
def test_the_error_for_an_invalid_cursor_names_the_part(cursor: str, part: str) -> None:
    with pytest.raises(InvalidCursor, match=f"^invalid cursor {part}$"):
        decode_cursor(cursor)


@given(st.integers(-62_135_596_800_000_000, LAST_INSTANT))
def test_an_instant_is_written_with_six_digits_and_read_back(instant: int) -> None:
    text = rfc3339(instant)
    assert len(text) == len("2026-06-05T03:38:04.834627Z")
    assert text.endswith("Z")
    assert instant_of(text) == instant


def test_filters_are_split_at_and_and_repeated() -> None:
    assert decode_filters(["traits.plan eq gold and user_id sw u-1", "profile_id co 0b"]) == (
        Condition("traits.plan", "eq", "gold"),
        Condition("user_id", "sw", "u-1"),
        Condition("profile_id", "co", "0b"),
    )


def test_a_filter_value_keeps_its_quotes_and_blanks() -> None:
    assert decode_filters(['traits.plan eq "very good"']) == (Condition("traits.plan", "eq", '"very good"'),)


@pytest.mark.parametrize(
    "text", ["", " ", "traits.plan", "traits.plan eq", "traits.plan eq x and ", " and x"]
)
def test_a_filter_has_three_parts(text: str) -> None:
    with pytest.raises(InvalidFilter, match=r"^Invalid filter format when filtering profiles\.$"):
        decode_filters([text])


@pytest.mark.parametrize("operator", ["ne", "EQ", "'"])
def test_the_error_names_an_unsupported_operator(operator: str) -> None:
    with pytest.raises(InvalidFilter, match=f"^Unsupported operator: {operator}$"):
        decode_filters([f"user_id {operator} x"])


@pytest.mark.parametrize(
    "field",
    [
        "nonsense", "traits", "traits.", "traits..a", "traits.a.", "traits.a;b", "traits.ž", "meta.location",
        "user_id.x", "identity_attributes", "application_data", "Traits.a", "traits.a'--",
    ],
)  # fmt: skip
def test_the_error_names_an_invalid_filter_key(field: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        decode_filters([f"{field} eq x"])
    assert str(caught.value) == f"Invalid filter key: {field}"


@given(st.lists(st.text(max_size=40), max_size=3))
def test_any_text_is_a_filter_or_is_rejected(texts: list[str]) -> None:
    with contextlib.suppress(InvalidFilter):
        decode_filters(texts)
    decode_attributes(texts)


VALUES = {
    "identity_attributes": {"givenname": "Ann"},
    "traits": {"plan": "gold", "a.b": 1, "size": {"shoe": 42}},
    "application_data": {"shop": {"score": 1, "cart": []}, "app": {"score": 2}, "other": {"x": 1}},
}


@pytest.mark.parametrize(
    ("attributes", "selected"),
    [
        ([], {}),
        (["nonsense,meta.created_at,,traits."], {}),
        (["traits"], {"traits": VALUES["traits"]}),
        (["traits.plan,traits"], {"traits": VALUES["traits"]}),
        (["traits.plan", "traits.size"], {"traits": {"plan": "gold", "size": {"shoe": 42}}}),
        (["traits.a.b"], {"traits": {"a.b": 1}}),
        (["traits.size.shoe"], {}),
        (["application_data.score"], {"application_data": {"shop": {"score": 1}, "app": {"score": 2}}}),
        (["application_data.shop.score"], {}),
        (
            ["identity_attributes,application_data"],
            {k: VALUES[k] for k in ("identity_attributes", "application_data")},
        ),
    ],
)
def test_a_selection_takes_first_level_keys(attributes: list[str], selected: object) -> None:
    assert decode_attributes(attributes).of(VALUES) == selected


def attribute(name: str, application: str | None = None) -> Attribute:
    return Attribute(str(UUID(int=0)), name, "string", "overwrite", application_identifier=application)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("attribute_name eq application_data.score", True),
        ("attribute_name eq application_data.Score", False),
        ("attribute_name co SCORE", True),
        ("attribute_name sw application_data.S", True),
        ("attribute_name co score and application_identifier eq shop", True),
        ("attribute_name co score and application_identifier eq app", False),
    ],
)
def test_definitions_are_filtered_by_name_and_application(text: str, matches: bool) -> None:
    score = attribute("application_data.score", "shop")
    assert decode_schema_filter([text])(score) is matches
    assert not decode_schema_filter([text])(attribute("traits.x"))
    assert not decode_schema_filter([text, "application_identifier eq unknown"])(score)


@pytest.mark.parametrize("text", ["", "attribute_name", "value_type eq string", "attribute_name ne x"])
def test_an_invalid_filter_of_definitions_is_rejected(text: str) -> None:
    with pytest.raises(InvalidFilter):
        decode_schema_filter([text])
