"""JSON that can be stored: syntax, nesting, NUL, sizes of numbers, keys. The limits are each wire's own.

    parse_json     bytes → value                    syntax, truncated, surrogate, number, depth
    check_json     value within JsonLimits          depth, keys, nul, integer
    check_keys     no key twice in one object       duplicate_key

Invariants: nothing here words an error for a client; a wire turns the code of a JsonProblem into its own
response. PostgreSQL's `jsonb` takes neither NUL nor numbers without limit, and every reader has a stack.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import msgspec

Code = Literal[
    "syntax", "truncated", "surrogate", "number", "depth", "keys", "nul", "integer", "duplicate_key"
]

# Every string of a JSON text, with the colon behind it if it is a key. Possessive, so linear in time.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+(:?)', re.DOTALL)
# msgspec has one exception for all syntax errors and tells them apart by these words only.
_TRUNCATED, _SURROGATE = "Input data was truncated", "surrogate"


class JsonProblem(Exception):
    """A JSON text that is invalid or cannot be stored. `detail`: where, in the parser's words."""

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class JsonLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a wire accepts. The outermost value is at level 1."""

    #: The deepest level at which an object or array may stand.
    container_level_max: int
    #: The deepest level at which any value may stand.
    value_level_max: int
    #: Of the absolute value of an integer.
    integer_max: int
    #: Of all objects together; None is no limit.
    keys_max: int | None = None


def parse_json(raw: bytes) -> Any:
    """The value of a JSON text; a key given twice has its last value. Raises JsonProblem."""
    try:
        return msgspec.json.decode(raw)
    except RecursionError:
        raise JsonProblem("depth") from None
    except msgspec.ValidationError as error:
        raise JsonProblem("number", str(error)) from None
    except ValueError as error:
        raise JsonProblem(_syntax_code(raw, str(error)), str(error)) from None


def check_json(document: Any, limits: JsonLimits) -> int:
    """The number of keys in all objects; raises JsonProblem for the first value beyond a limit, by level."""
    level, depth, keys = [document], 0, 0
    while level:
        depth += 1
        if depth > limits.value_level_max:
            raise JsonProblem("depth")
        keys += sum(len(value) for value in level if isinstance(value, dict))
        if limits.keys_max is not None and keys > limits.keys_max:
            raise JsonProblem("keys")
        for value in level:
            _check_value(value, limits)
        level = [child for value in level for child in _children(value, depth, limits)]
    return keys


def check_keys(raw: bytes, keys: int) -> None:
    """Raise JsonProblem if the text has more keys than its value: an object has one of them twice."""
    if _STRINGS.findall(raw).count(b":") != keys:
        raise JsonProblem("duplicate_key")


def _syntax_code(raw: bytes, message: str) -> Code:
    if message == _TRUNCATED:
        return "surrogate" if _is_complete(raw) else "truncated"
    return "surrogate" if _SURROGATE in message else "syntax"


def _is_complete(raw: bytes) -> bool:
    """Whether the text is complete for a reader that accepts unpaired surrogate escapes.

    msgspec calls a text truncated if it ends less than six bytes after the first half of a pair.
    """
    try:
        json.loads(raw.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _check_value(value: Any, limits: JsonLimits) -> None:
    match value:
        case str():
            has_nul = "\x00" in value
        case dict():
            has_nul = any("\x00" in key for key in value)
        case int() if not -limits.integer_max <= value <= limits.integer_max:
            raise JsonProblem("integer")
        case _:
            return
    if has_nul:
        raise JsonProblem("nul")


def _children(value: Any, depth: int, limits: JsonLimits) -> list[Any]:
    if not isinstance(value, dict | list):
        return []
    if depth > limits.container_level_max:
        raise JsonProblem("depth")
    return list(value.values()) if isinstance(value, dict) else value
