"""Relaxed JSON of the scenario files: `{traits.plan: gold, traits.tags: [a, b]}`.

This is JSON in which words need no quotes. A bare word is a string unless it is a JSON value (`true`, `null`,
a number). Raises `FlowError` with the text around a mistake.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_SPACE = re.compile(r"\s*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD = re.compile(r'[^\s,\[\]{}"]+')
_KEY = re.compile(r'[^\s,:\[\]{}"]+')


class FlowError(ValueError):
    """The text is not a relaxed JSON value."""


def parse_flow(text: str) -> Any:
    """The value that the whole text represents."""
    value, end = _value(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise FlowError(f"unexpected {text[end:].strip()!r} after the value in {text!r}")
    return value


def render_flow(value: Any) -> str:
    """Text that `parse_flow` reads as `value`, without blanks outside strings."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_render_key(key)}:{render_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(render_flow(item) for item in value) + "]"
    if isinstance(value, str) and _WORD.fullmatch(value) and _bare(value) == value:
        return value
    return msgspec.json.encode(value).decode()


def _render_key(key: str) -> str:
    return key if _KEY.fullmatch(key) else msgspec.json.encode(key).decode()


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int) -> tuple[Any, int]:
    match text[at : at + 1]:
        case "":
            raise FlowError(f"a value is missing at the end of {text!r}")
        case "[":
            return _sequence(text, at)
        case "{":
            return _mapping(text, at)
        case '"':
            return _string(text, at)
    word = _WORD.match(text, at)
    if word is None:
        raise FlowError(f"unexpected {text[at]!r} in {text!r}")
    return _bare(word.group()), word.end()


def _bare(word: str) -> Any:
    try:
        value = msgspec.json.decode(word)
    except msgspec.DecodeError:
        return word
    return word if isinstance(value, str) else value


def _string(text: str, at: int) -> tuple[str, int]:
    match = _STRING.match(text, at)
    if match is None:
        raise FlowError(f"unfinished string in {text!r}")
    return msgspec.json.decode(match.group(), type=str), match.end()


def _sequence(text: str, at: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        item, at = _value(text, at)
        items.append(item)
        at = _separator(text, at, "]")
    return items, at + 1


def _mapping(text: str, at: int) -> tuple[dict[str, Any], int]:
    items: dict[str, Any] = {}
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        key, at = _key(text, at)
        items[key], at = _value(text, _skip(text, at))
        at = _separator(text, at, "}")
    return items, at + 1


def _key(text: str, at: int) -> tuple[str, int]:
    quoted = text[at : at + 1] == '"'
    match = (_STRING if quoted else _KEY).match(text, at)
    if match is None:
        raise FlowError(f"a key is missing in {text!r}")
    end = _skip(text, match.end())
    if text[end : end + 1] != ":":
        raise FlowError(f"':' is missing after {match.group()!r} in {text!r}")
    return (msgspec.json.decode(match.group(), type=str) if quoted else match.group()), end + 1


def _separator(text: str, at: int, closing: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == ",":
        return _skip(text, at + 1)
    if text[at : at + 1] != closing:
        raise FlowError(f"{closing!r} is missing in {text!r}")
    return at
