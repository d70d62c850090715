"""Strict JSON bodies: the description of every rejection, and the limits on stored values."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneself.api.cds import documents as wire
from oneself.api.http.errors import ErrorCode, ErrorDocument, SchemaErrorDocument, WireError
from oneself.api.http.json_body import DEPTH_MAX, KEYS_MAX, Body, decode

CODE = ErrorCode("11002", "Profile addition failed.")
PROFILE = Body("profile", CODE, wire.ProfileDraft)
LOOSE = Body("profile", CODE)
SCHEMA = Body("profile schema attributes", CODE, wire.AttributeDraft, outermost="array", shape="B")
PLAIN = Body("profile schema attributes", CODE, plain_line="Invalid request payload")
NOT_STORABLE = "Invalid JSON payload for profile."


def description_of(raw: bytes | str, body: Body = PROFILE) -> str:
    with pytest.raises(WireError) as caught:
        decode(raw if isinstance(raw, bytes) else raw.encode(), body)
    document = caught.value.document
    assert caught.value.status == 400
    if isinstance(document, ErrorDocument):
        return document.description
    return document.error_description if isinstance(document, SchemaErrorDocument) else document


@pytest.mark.parametrize("raw", ["", " ", "\r\n\t"])
def test_an_empty_body_is_rejected_as_empty(raw: str) -> None:
    assert description_of(raw) == "Request body for profile is empty."


@pytest.mark.parametrize("raw", ["{", '{"traits": {"a"', '{"traits": {"a": "\\ud83d', "tru", "["])
def test_truncated_json_is_rejected_as_truncated(raw: str) -> None:
    assert description_of(raw) == "Malformed JSON in profile request body (unexpected end of input)."


@pytest.mark.parametrize(
    "raw",
    [
        "{'a': 1}", "{,}", '{"a": 1,}', "nope", "{} {}", "NaN", '{"a": Infinity}', '{"a": 01}', '"a\nb"',
        b'{"a": "\xff"}', b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}",
        '{"a": "\\x41"}', b"\x00", "\x1f\x8b",
    ],
)  # fmt: skip
def test_other_syntax_errors_are_rejected_as_malformed(raw: str | bytes) -> None:
    assert description_of(raw) == "Malformed JSON in profile request body."


@pytest.mark.parametrize("text", ["\\ud800", "a\\ud800b", "\\udc00", "\\ud800\\u0041", "\\ud800long enough"])
def test_an_unpaired_surrogate_escape_is_named(text: str) -> None:
    said = "Malformed JSON in profile request body (unpaired surrogate escape)."
    assert description_of(f'{{"traits": {{"a": "{text}"}}}}') == said
    assert description_of(f'{{"a": "{text}"}}') == said


@pytest.mark.parametrize(
    "value",
    [
        '"\\u0000"', '"a\\u0000b"', '{"a\\u0000": 1}', "1e400", "-1e400", str(2**1024), str(-(2**1024)),
        "9" * 5000, '{"a": 1, "a": 2}', '[{"b": {"a": 1, "a": 1}}]', '{"\\u0061": 1, "a": 2}',
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_stored_exactly_is_rejected(value: str) -> None:
    assert description_of(f'{{"traits": {{"t": {value}}}}}') == NOT_STORABLE


@pytest.mark.parametrize(
    "value", [str(2**64), str(-(2**63) - 1), "1e-400", "1e308", '"\\ud83d\\ude00"', '"a:\\"b\\":"']
)
def test_a_storable_value_is_accepted(value: str) -> None:
    assert decode(f'{{"traits": {{"t": {value}}}}}'.encode(), PROFILE)


def test_depth_and_number_of_keys_are_limited() -> None:
    def nested(depth: int) -> bytes:
        return b'{"traits": ' + b"[" * depth + b"]" * depth + b"}"

    assert decode(nested(DEPTH_MAX - 1), LOOSE)
    assert description_of(nested(DEPTH_MAX), LOOSE) == NOT_STORABLE
    assert description_of(nested(100_000), LOOSE) == NOT_STORABLE
    document = {f"k{n}": n for n in range(KEYS_MAX)}
    assert decode(json.dumps(document).encode(), LOOSE) == document
    assert description_of(json.dumps({"traits": document})) == NOT_STORABLE


def test_unknown_fields_are_named_where_the_body_is_strict() -> None:
    assert description_of('{"colour": 1}') == 'Unknown field "colour" in profile request body.'
    assert decode(b'{"colour": 1}', LOOSE) == {"colour": 1}
    inner = '[{"canonical_values": [{"value": "a", "colour": 1}]}]'
    assert (
        description_of(inner, SCHEMA) == 'Unknown field "colour" in profile schema attributes request body.'
    )


@pytest.mark.parametrize(
    ("raw", "field", "expected"),
    [
        ('{"user_id": 7}', "user_id", "string"),
        ('{"traits": []}', "traits", "object"),
        ('{"application_data": "x"}', "application_data", "object"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(raw: str, field: str, expected: str) -> None:
    assert (
        description_of(raw)
        == f"Invalid type for field '{field}'. Expected {expected} in profile request body."
    )


@pytest.mark.parametrize(
    ("raw", "field", "expected"),
    [
        ('[{"multi_valued": 1}]', "multi_valued", "boolean"),
        ('[{"canonical_values": [1]}]', "canonical_values", "array of objects"),
        ('[{"canonical_values": [{"value": 1}]}]', "value", "string"),
    ],
)
def test_fields_of_the_entries_of_a_list_are_checked_too(raw: str, field: str, expected: str) -> None:
    description = (
        f"Invalid type for field '{field}'. Expected {expected} in profile schema attributes request body."
    )
    assert description_of(raw, SCHEMA) == description


def test_null_is_accepted_for_every_field() -> None:
    assert decode(b'{"user_id": null, "traits": null}', PROFILE) == {"user_id": None, "traits": None}


def test_the_outermost_type_is_named() -> None:
    assert description_of("[]") == "Invalid JSON type for profile request body."
    assert description_of("{}", SCHEMA) == "Request body for profile schema attributes must be a JSON array."
    assert description_of("[7]", SCHEMA) == "Invalid JSON type for profile schema attributes request body."


def test_some_routes_answer_every_invalid_body_with_one_line() -> None:
    for raw in ("", "{", "nope", "[]", '{"a": 1e400}'):
        assert description_of(raw, PLAIN) == "Invalid request payload"


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
floats = st.floats(allow_nan=False, allow_infinity=False)
storable = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | floats | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=30,
)


@given(storable, st.booleans())
def test_every_storable_value_is_stored_unchanged(value: Any, ascii_only: bool) -> None:
    document = {"traits": {"t": value}}
    assert decode(json.dumps(document, ensure_ascii=ascii_only).encode(), PROFILE) == document


@given(st.binary(max_size=200))
def test_any_bytes_are_accepted_or_rejected(raw: bytes) -> None:
    for body in (PROFILE, SCHEMA, PLAIN):
        with contextlib.suppress(WireError):
            decode(raw, body)
