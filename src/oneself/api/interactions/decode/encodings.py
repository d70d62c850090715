"""From the bytes of a request to the JSON object of an event, in four encodings.

    JSON POST              body
    form POST              event=<base64>  or  event=<URL-encoded JSON>
    GET                    ?event=<base64>

All of them give the same object or the same error. What is accepted can be stored: UTF-8 without NUL and lone
surrogates, nested at most DEPTH_MAX levels, integers of 64 bits. Nothing here knows a field by name.
Source: docs/wire/interactions.md §4.
"""

from __future__ import annotations

import binascii
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from oneself.api.http.json_reader import JsonLimits, JsonProblem, check_json, parse_json

Object: TypeAlias = dict[str, Any]

#: The wire nests seven levels; the rest is for values of attributes, and spares every stack.
DEPTH_MAX = 32
#: What a `bigint` and the integers of most JSON readers hold.
INTEGER_MAX = 2**63 - 1
LIMITS = JsonLimits(container_level_max=DEPTH_MAX, value_level_max=DEPTH_MAX + 1, integer_max=INTEGER_MAX)

_BLANKS = b" \t\r\n"
# Both alphabets to the standard one, and the blank that `+` becomes in a form back to itself.
_TO_STANDARD = bytes.maketrans(b"-_ ", b"+/+")
_LINE_BREAKS = b"\r\n"
_NO_BASE64 = "The event is neither a JSON object nor base64 ({}); send the JSON in base64, or URL-encoded."

# What JSON is full of once it is URL-encoded. None of it is a hexadecimal digit or `%`, so that replacing it
# first never makes an escape that was not there; with this many escapes it halves the time.
_COMMON_ESCAPES = tuple((f"%{ord(sign):02X}".encode(), sign.encode()) for sign in '":,{}/ ')
_MANY_ESCAPES = 16

_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * len(str(INTEGER_MAX))


class InvalidEvent(Exception):
    """The request holds no valid event. `sentence`: what is wrong, where, and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def decode_query(query_string: bytes) -> Object:
    """The event in `?event=`, the first one if there are several; raises InvalidEvent."""
    value = _parameter(query_string, b"event")
    if value is None:
        raise InvalidEvent("The query has no event parameter; send ?event= with the event as base64.")
    return decode_event_parameter(value)


def decode_form(body: bytes) -> Object:
    """The event in the field `event` of a form, the first one if there are several; raises InvalidEvent."""
    value = _parameter(body, b"event")
    if value is None:
        raise InvalidEvent("The form has no event field; send event= with the event as base64 or JSON.")
    return decode_event_parameter(value)


def decode_write_key(query_string: bytes) -> str | None:
    """The write key in `?writeKey=`, the first one if there are several; None without the parameter."""
    if b"writeKey=" not in query_string:
        return None
    value = _parameter(query_string, b"writeKey")
    return None if value is None else value.decode("utf-8", "replace")


def decode_event_parameter(text: str | bytes) -> Object:
    """The event in a URL-decoded `event`: JSON if it begins with `{`, else base64.

    Both alphabets; padding and line breaks are optional; a blank inside means `+`. Raises InvalidEvent.
    """
    stripped = _utf8(text).strip(_BLANKS)
    if stripped.startswith(b"{"):
        return decode_json(stripped)
    if not stripped:
        raise InvalidEvent("The event is empty; send one JSON object.")
    return decode_json(_from_base64(stripped))


def decode_json(body: bytes) -> Object:
    """The event in a JSON text; a key given twice has its last value. Raises InvalidEvent."""
    try:
        document = parse_json(body)
        if type(document) is not dict:
            raise InvalidEvent("The event is not a JSON object; send one object per request.")
        if _is_suspicious(body):
            check_json(document, LIMITS)
    except JsonProblem as problem:
        raise InvalidEvent(_sentence(problem)) from None
    return document


def _parameter(encoded: bytes, name: bytes) -> bytes | None:
    """The URL-decoded value of the first parameter of a name, None without one."""
    _, found, rest = (b"&" + encoded).partition(b"&" + name + b"=")
    return _url_decoded(rest.partition(b"&")[0]) if found else None


def _url_decoded(value: bytes) -> bytes:
    value = value.replace(b"+", b" ")
    if value.count(b"%") > _MANY_ESCAPES:
        for escape, sign in _COMMON_ESCAPES:
            value = value.replace(escape, sign)
    return unquote_to_bytes(value)


def _utf8(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidEvent("The event has half a surrogate pair; send text in UTF-8.") from None


def _from_base64(text: bytes) -> bytes:
    standard = text.translate(_TO_STANDARD, _LINE_BREAKS).rstrip(b"=")
    try:
        return binascii.a2b_base64(standard + b"=" * (-len(standard) % 4), strict_mode=True)
    except binascii.Error as error:
        raise InvalidEvent(_NO_BASE64.format(error)) from None


def _is_suspicious(text: bytes) -> bool:
    """Whether a valid JSON text may hold something that cannot be stored. It errs on the side of True.

    Three scans in C spare nearly every event the walk through its values.
    """
    return (
        text.count(b"{") + text.count(b"[") > DEPTH_MAX
        or b"\\u0000" in text
        or _LONG_NUMBER in text.translate(_DIGITS_ALIKE)
    )


def _sentence(problem: JsonProblem) -> str:
    match problem.code:
        case "surrogate":
            return "The event has an unpaired surrogate escape; send both halves, or the character in UTF-8."
        case "depth":
            return f"The event is nested deeper than {DEPTH_MAX} levels; send fewer."
        case "number":
            return "The event has a number that no double can hold; send it as a string."
        case "nul":
            return "The event has a NUL character in a string; leave it out."
        case "integer":
            return "The event has an integer of more than 64 bits; send it as a string."
        case _:
            return f"The event is not JSON ({problem.detail}); send one JSON object in UTF-8."
