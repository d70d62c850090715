"""The four encodings of an event, and invalid events (docs/wire/interactions.md §4)."""

from __future__ import annotations

import base64
import contextlib
import json
import string
from typing import Any
from urllib.parse import quote, quote_plus, unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneself.api.interactions.decode.encodings import (
    DEPTH_MAX,
    INTEGER_MAX,
    InvalidEvent,
    decode_event_parameter,
    decode_form,
    decode_json,
    decode_query,
)

QUICK = settings(max_examples=200, deadline=None)

VECTOR = "eyJhY3Rpb24iOiJoZWxsbyB3b3JsZCIsInVzZXIiOnsiaWQiOiJ0ZXN0dXNlciJ9fQ=="
VECTOR_EVENT = {"action": "hello world", "user": {"id": "testuser"}}
# Its base64 has both characters in which the alphabets differ, and needs padding.
AWKWARD = '{"a":"?>~ÿÿÿ漢字😀 ~~~>>>???"}'
STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
INTEGERS = st.integers(-INTEGER_MAX, INTEGER_MAX)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | STORABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STORABLE, inner, max_size=4),
    max_leaves=20,
)
EVENTS = st.dictionaries(STORABLE, JSON, max_size=6)


def description_of(decode: Any, raw: bytes | str) -> str:
    with pytest.raises(InvalidEvent) as caught:
        decode(raw)
    assert str(caught.value) == caught.value.sentence
    return caught.value.sentence


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def nested(levels: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    """A JSON object with this many levels of containers, including itself."""
    return ('{"a":' + opening * (levels - 2) + "[]" + closing * (levels - 2) + "}").encode()


def test_the_vector_of_the_wire() -> None:
    assert decode_event_parameter(VECTOR) == VECTOR_EVENT
    assert decode_query(f"event={VECTOR}".encode()) == VECTOR_EVENT
    assert decode_form(f"event={quote(VECTOR)}".encode()) == VECTOR_EVENT


@pytest.mark.parametrize(
    "text",
    [
        AWKWARD,
        f" \t\r\n{AWKWARD}\n ",
        encoded(AWKWARD),
        encoded(f"\n {AWKWARD}"),
        encoded(AWKWARD).rstrip("="),
        encoded(AWKWARD).replace("+", " "),
        encoded(AWKWARD).replace("+", "-").replace("/", "_"),
        encoded(AWKWARD).replace("+", "-"),
        f" {encoded(AWKWARD)}\r\n",
        base64.encodebytes(AWKWARD.encode()).decode(),
        "\r\n".join(encoded(AWKWARD)),
    ],
)
def test_every_encoding_of_the_parameter_is_accepted(text: str) -> None:
    assert "+" in encoded(AWKWARD)
    assert "/" in encoded(AWKWARD)
    assert decode_event_parameter(text) == json.loads(AWKWARD)
    assert decode_event_parameter(text.encode()) == json.loads(AWKWARD)


@pytest.mark.parametrize(
    "value",
    [
        quote(AWKWARD, safe=""),
        quote_plus(AWKWARD),
        quote(encoded(AWKWARD), safe=""),
        encoded(AWKWARD),  # a browser that forgets to URL-encode `+`
        encoded(AWKWARD).rstrip("="),
        "".join(f"%{byte:02x}" for byte in AWKWARD.encode()),
        AWKWARD.replace(" ", "+"),
    ],
)
@pytest.mark.parametrize(
    "around", ["event={}", "_ak=acme&event={}&_r=1", "&&x&event={}&event=e30", "event={}&"]
)
def test_queries_and_forms_decode_alike(value: str, around: str) -> None:
    raw = around.format(value).encode()
    assert decode_query(raw) == decode_form(raw) == json.loads(AWKWARD)


def test_only_the_first_event_parameter_is_used() -> None:
    assert decode_query(b"event=%7B%22a%22%3A1%7D&event=%7B%22a%22%3A2%7D") == {"a": 1}
    assert decode_query(b"myevent=1&events=2&event=e30") == {}


@pytest.mark.parametrize("raw", [b"", b"&", b"event", b"events=e30", b"a=event%3De30", b"Event=e30"])
def test_a_missing_event_is_rejected(raw: bytes) -> None:
    assert description_of(decode_query, raw).startswith("The query has no event parameter;")
    assert description_of(decode_form, raw).startswith("The form has no event field;")


@pytest.mark.parametrize("raw", [b"event=", b"event=&event=e30", b"event=+%20%0A", b"a&event=&b"])
def test_an_empty_event_is_rejected(raw: bytes) -> None:
    assert description_of(decode_query, raw) == "The event is empty; send one JSON object."


@pytest.mark.parametrize("text", ["%", "e", "eyJ%", "e30=e30=", "éyJ9", "[1]", '"{}"', "e30\x00", "\x0be30"])
def test_a_parameter_that_is_neither_json_nor_base64_is_rejected(text: str) -> None:
    assert description_of(decode_event_parameter, text).startswith(
        "The event is neither a JSON object nor base64 ("
    )


@pytest.mark.parametrize(
    "text", ["", "{", "{'a': 1}", '{"a": 1,}', '{"a": NaN}', '{"a": 01}', "{} {}", "nope"]
)
def test_invalid_json_is_rejected(text: str) -> None:
    assert description_of(decode_json, text.encode()).startswith("The event is not JSON (")
    if text.startswith("{"):
        assert description_of(decode_event_parameter, text) == description_of(decode_json, text.encode())
    if text:
        assert description_of(decode_event_parameter, encoded(text)) == description_of(
            decode_json, text.encode()
        )


@pytest.mark.parametrize("text", ["a\\ud800b", "\\udc00", "\\ud800\\u0041"])
def test_an_unpaired_surrogate_escape_is_named(text: str) -> None:
    event = f'{{"a": "{text}"}}'
    said = "The event has an unpaired surrogate escape; send both halves, or the character in UTF-8."
    assert description_of(decode_json, event.encode()) == said
    assert description_of(decode_event_parameter, encoded(event)) == said


@pytest.mark.parametrize("text", ["[]", "[{}]", "null", "true", "1", '"event"', '"e30="'])
def test_json_that_is_not_an_object_is_rejected(text: str) -> None:
    expected = "The event is not a JSON object; send one object per request."
    assert description_of(decode_json, text.encode()) == expected
    assert description_of(decode_event_parameter, encoded(text)) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": "\xff"}', b'{"\xc3": 1}', b'{"a": "\xed\xa0\x80"}', b"\xef\xbb\xbf{}",
        '{"a": "é"}'.encode("latin-1"), '{"a": 1}'.encode("utf-16"),
        b'{"a": "\\ud800"}', b'{"a": "\\udc00\\ud800"}', b'{"\\udfff": 1}',
        b'{"a": "\x00"}', b"\x1f\x8b\x08",
    ],
)  # fmt: skip
def test_text_must_be_utf_8_without_lone_surrogates(raw: bytes) -> None:
    description_of(decode_json, raw)
    description_of(decode_form, b"event=" + quote(raw).encode())
    description_of(decode_query, b"event=" + base64.b64encode(raw))


def test_a_lone_surrogate_in_a_decoded_string_is_rejected() -> None:
    assert "surrogate" in description_of(decode_event_parameter, '{"a": "\ud800"}')


@pytest.mark.parametrize(
    "raw", [r'{"a":"\u0000"}', r'{"b":[1,{"c":"x\u0000y"}]}', r'{"\u0000":1}', r'{"a":[{"b\u0000":null}]}']
)
def test_nul_in_any_string_is_rejected(raw: str) -> None:
    assert description_of(decode_json, raw.encode()).startswith("The event has a NUL character")


def test_text_similar_to_nul_is_accepted() -> None:
    assert decode_json(rb'{"a":"\\u0000"}') == {"a": r"\u0000"}


@pytest.mark.parametrize(
    "number", [INTEGER_MAX, -INTEGER_MAX, 0, 1e308, 5e-324, 1e300, 0.1234567890123456789]
)
def test_storable_numbers_are_accepted(number: float) -> None:
    assert decode_json(json.dumps({"a": [number]}).encode()) == {"a": [number]}


@pytest.mark.parametrize("number", [INTEGER_MAX + 1, -INTEGER_MAX - 1, 10**19, 2**64, -(10**300)])
def test_integers_of_more_than_64_bits_are_rejected(number: int) -> None:
    raw = json.dumps({"user": {"id": [number]}}).encode()
    assert description_of(decode_json, raw).startswith("The event has an integer of more than 64 bits;")


def test_a_quoted_integer_of_any_length_is_a_string() -> None:
    assert decode_json(b'{"a":"99999999999999999999999"}') == {"a": "9" * 23}


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 5000, "1" * 400 + ".5"])
def test_numbers_that_exceed_a_double_are_rejected(number: str) -> None:
    assert "no double can hold" in description_of(decode_json, f'{{"a": {number}}}'.encode())


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
def test_the_depth_of_an_event_is_limited(opening: str, closing: str) -> None:
    expected = f"The event is nested deeper than {DEPTH_MAX} levels; send fewer."
    decode_json(nested(DEPTH_MAX, opening, closing))
    assert description_of(decode_json, nested(DEPTH_MAX + 1, opening, closing)) == expected
    assert description_of(decode_json, nested(20_000, opening, closing)) == expected


def test_wide_containers_do_not_count_as_depth() -> None:
    wide = {"a": [{"b": [[]]}] * 500}
    assert decode_json(json.dumps(wide).encode()) == wide


def test_the_last_of_duplicate_keys_is_used() -> None:
    assert decode_json(b'{"a": 1, "\\u0061": 2}') == {"a": 2}


@given(EVENTS, st.booleans())
@QUICK
def test_four_encodings_of_one_event_are_equal(event: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(event, ensure_ascii=ascii_only)
    in_base64 = quote(encoded(text), safe="")
    assert decode_json(text.encode()) == event
    assert decode_form(f"event={in_base64}".encode()) == event
    assert decode_form(f"event={quote(text, safe='')}".encode()) == event
    assert decode_query(f"event={in_base64}".encode()) == event


@given(st.text('%%%%%%2357Bb"0', max_size=120))
@QUICK
def test_escapes_are_decoded_once(value: str) -> None:
    """The fast decoder gives the same result as the standard library."""
    raw = f'{{"a":"{value}"}}'.encode()
    with contextlib.suppress(InvalidEvent):
        expected = decode_json(unquote_to_bytes(raw))
        assert decode_form(b"event=" + raw) == expected
        return
    description_of(decode_form, b"event=" + raw)


@given(
    st.binary()
    | st.text(string.printable + "é\x00\ud800").map(lambda text: text.encode("utf-8", "surrogatepass"))
)
@QUICK
def test_any_bytes_are_accepted_or_rejected(raw: bytes) -> None:
    for decode in (decode_json, decode_query, decode_form, decode_event_parameter):
        for encoded_event in (
            raw,
            b"event=" + raw,
            b"event=" + base64.b64encode(raw),
            b'{"a":"' + raw + b'"}',
        ):
            with contextlib.suppress(InvalidEvent):
                assert isinstance(decode(encoded_event), dict)
