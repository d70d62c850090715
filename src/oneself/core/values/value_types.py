"""The eight value types: the JSON values that each accepts, and the equality of JSON values.

A valid value is stored as written, with three exceptions: an integer loses a ".0", an epoch loses its quotes,
and an integral decimal beyond 64 bits becomes a float.

Invariants: this module does not know attributes, scopes or profiles.

Source: docs/wire/cds.md §7 (value types), §8 (JSON types), §12 (claims arrive as text).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable
from datetime import UTC, date, datetime
from typing import Any

from oneself.core.text import is_storable

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
# Years 1 to 9999, the range of Python and SQL dates. Microseconds sent by mistake fall outside it.
EPOCH_MS_MIN, EPOCH_MS_MAX = -62_135_596_800_000, 253_402_300_799_999
# A value must stay cheap to compare, index and display.
TEXT_LENGTH_MAX = 65_536
ELEMENTS_MAX = 10_000

TYPE_MISMATCH = "type mismatch"
NOT_CANONICAL = "value not in canonical values"
BAD_TEXT = "text must not contain NUL or unpaired surrogates"
TEXT_TOO_LONG = f"text longer than {TEXT_LENGTH_MAX} characters"
TOO_MANY_ELEMENTS = f"more than {ELEMENTS_MAX} elements"

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_EPOCH = re.compile(r"-?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")

Validator = Callable[[Any], Any]


class TypeMismatch(Exception):
    """A value is not valid for its type. `problem`: the wording of docs/wire/cds.md §8."""

    def __init__(self, problem: str = TYPE_MISMATCH) -> None:
        super().__init__(problem)
        self.problem = problem


def validate_string(value: Any) -> str:
    """Text without NUL or unpaired surrogates, which PostgreSQL and UTF-8 cannot store."""
    if type(value) is not str:
        raise TypeMismatch
    if not is_storable(value):
        raise TypeMismatch(BAD_TEXT)
    return value


def validate_integer(value: Any) -> int:
    """A 64-bit integer. JSON has only numbers, so 5.0 is the integer 5."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not INTEGER_MIN <= value <= INTEGER_MAX:
        raise TypeMismatch
    return value


def validate_decimal(value: Any) -> int | float:
    """A finite number; an integer beyond 64 bits becomes a float."""
    if type(value) is int and INTEGER_MIN <= value <= INTEGER_MAX:
        return value
    if type(value) is int:
        value = _float(value)
    if type(value) is not float or not math.isfinite(value):
        raise TypeMismatch
    return value


def validate_boolean(value: Any) -> bool:
    """Only `true` or `false`, not 1, 0 or text."""
    if type(value) is not bool:
        raise TypeMismatch
    return value


def validate_date(value: Any) -> str:
    """A valid calendar date such as `2026-06-05`, as written."""
    if type(value) is not str or not _DATE.fullmatch(value):
        raise TypeMismatch
    return _on_the_calendar(date, value)


def validate_date_time(value: Any) -> str:
    """A valid time such as `2026-06-05T03:38Z`, as written; seconds, fraction and offset are optional."""
    if type(value) is not str or not _DATE_TIME.fullmatch(value):
        raise TypeMismatch
    return _on_the_calendar(datetime, value)


def validate_epoch(value: Any) -> int:
    """Milliseconds since 1970. Older clients send the digits in quotes (docs/wire/cds.md §15)."""
    if type(value) is str and _EPOCH.fullmatch(value):
        value = int(value)
    number = validate_integer(value)
    if not EPOCH_MS_MIN <= number <= EPOCH_MS_MAX:
        raise TypeMismatch
    return number


def validate_complex(value: Any) -> dict[str, Any]:
    """An object. Its members are attributes of their own, which the caller validates."""
    if type(value) is not dict:
        raise TypeMismatch
    return value


VALIDATORS: dict[str, Validator] = {
    "string": validate_string,
    "integer": validate_integer,
    "decimal": validate_decimal,
    "boolean": validate_boolean,
    "date": validate_date,
    "date_time": validate_date_time,
    "epoch": validate_epoch,
    "complex": validate_complex,
}


def enum_of(allowed: frozenset[str], fit: Validator) -> Validator:
    """A validator that accepts only the canonical values `allowed`."""

    def fit_canonical(value: Any) -> Any:
        fitted = fit(value)
        if fitted not in allowed:
            raise TypeMismatch(NOT_CANONICAL)
        return fitted

    return fit_canonical


def check_size(value: Any) -> None:
    """Raises TypeMismatch if a text or list is too large. Only for new values; stored ones may be larger."""
    if type(value) is str:
        if len(value) > TEXT_LENGTH_MAX:
            raise TypeMismatch(TEXT_TOO_LONG)
    elif type(value) is list:
        if len(value) > ELEMENTS_MAX:
            raise TypeMismatch(TOO_MANY_ELEMENTS)
        for element in value:
            check_size(element)
    elif type(value) is dict:
        for member in value.values():
            check_size(member)


def parse_text(value_type: str, text: str) -> Any:
    """A claim's text as a value of the type; the text unchanged if it does not parse.

    Source: docs/wire/cds.md §12.
    """
    reader = _READERS.get(value_type)
    return text if reader is None else reader(text.strip(), text)


def same(a: Any, b: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, but true does not equal 1."""
    if type(a) is dict:
        return type(b) is dict and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if type(a) is list:
        return type(b) is list and len(a) == len(b) and all(map(same, a, b))
    return (type(a) is bool) is (type(b) is bool) and bool(a == b)


def canonical_key(value: Any) -> Hashable:
    """A hashable key. The keys of two values are equal exactly if the values are the `same`."""
    if type(value) is dict:
        return "object", frozenset((key, canonical_key(member)) for key, member in value.items())
    if type(value) is list:
        return "array", tuple(map(canonical_key, value))
    return ("boolean", value) if type(value) is bool else value


def is_empty(value: Any) -> bool:
    """Whether the value is '', [], {} or null. An empty value never replaces another in a merge.

    Source: docs/concepts/merging.md, "Attributes".
    """
    return value is None or (type(value) in (str, list, dict) and not value)


def instant(text: str) -> datetime:
    """A valid date or date_time as an instant; without an offset it is in UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        raise TypeMismatch from None


def _on_the_calendar(kind: type[date], text: str) -> str:
    try:
        kind.fromisoformat(text)
    except ValueError:
        raise TypeMismatch from None
    return text


def _read_integer(text: str, original: str) -> Any:
    return int(text) if _INTEGER.fullmatch(text) else original


def _read_decimal(text: str, original: str) -> Any:
    return float(text) if _DECIMAL.fullmatch(text) else _read_integer(text, original)


def _read_boolean(text: str, original: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), original)


def _read_trimmed(text: str, original: str) -> Any:
    return text


_READERS: dict[str, Callable[[str, str], Any]] = {
    "integer": _read_integer,
    "decimal": _read_decimal,
    "boolean": _read_boolean,
    "date": _read_trimmed,
    "date_time": _read_trimmed,
    "epoch": _read_trimmed,
}
