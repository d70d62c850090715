"""JSON within the limits of a wire; each exceeded limit has a code."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.api.http.json_reader import JsonLimits, JsonProblem, check_json, check_keys, parse_json

LIMITS = JsonLimits(container_level_max=2, value_level_max=3, integer_max=9, keys_max=3)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "truncated"),
        (b"{x", "syntax"),
        (b"\xff", "syntax"),
        (b"1e999", "number"),
        (b"[" * 100_000, "depth"),
    ],
)
def test_invalid_json_is_rejected_with_a_code(raw: bytes, code: str) -> None:
    with pytest.raises(JsonProblem) as caught:
        parse_json(raw)
    assert caught.value.code == code


@pytest.mark.parametrize("document", ["", [[1]], {"a": {"b": 9}}, {"a": [], "b": [True, None, 1.5]}, [-9]])
def test_documents_within_the_limits_are_accepted(document: Any) -> None:
    check_json(document, LIMITS)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([[[]]], "depth"),
        ([[[1]]], "depth"),
        ([10], "integer"),
        ([-10], "integer"),
        ("\x00", "nul"),
        ({"a\x00": 1}, "nul"),
        ([{"a": 1, "b": 2}, {"c": 3, "d": 4}], "keys"),
    ],
)
def test_each_exceeded_limit_has_its_code(document: Any, code: str) -> None:
    with pytest.raises(JsonProblem) as caught:
        check_json(document, LIMITS)
    assert caught.value.code == code


@pytest.mark.parametrize("raw", [b'{"a": 1, "a": 2}', b'{"a": {"b": 1, "\\u0062": 2}}'])
def test_a_duplicate_key_in_one_object_is_rejected(raw: bytes) -> None:
    with pytest.raises(JsonProblem, match="duplicate_key"):
        check_keys(raw, check_json(parse_json(raw), LIMITS))


def test_a_colon_in_a_string_is_not_a_key() -> None:
    raw = b'{"a": "b: c", "d": "\\"e\\": f"}'
    check_keys(raw, check_json(parse_json(raw), LIMITS))
