"""The parameters in the address of a page.

    absent or empty                          the default of the page; 400 if the page needs it
    a value that the page cannot have        400, which says what it can be, and links to the page without it
    a parameter that the page does not know  ignored

Invariants: pages read their query by these functions alone. What a valid parameter names may not exist: that
is NoSuchPage, which the page decides.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID

from oneself.core.units import SEQ_MAX
from oneself.web.forms import AnyRequest

TEXT_CHARACTERS_MAX = 512
#: Counts, and instants in µs.
NUMBER_MAX = 10**16
#: How many values a sentence names, where there are many.
NAMED_MAX = 20
Word = TypeVar("Word", bound=str)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class InvalidParameter(Exception):
    """A parameter has a value that its page cannot have. `allowed`: what it can be; empty: it is missing.

    `is_required`: the page cannot do without it. `sentence`: all of it for people.
    """

    def __init__(self, name: str, allowed: str = "", *, is_required: bool = False) -> None:
        self.name, self.is_required = name, is_required or not allowed
        self.sentence = f"The parameter “{name}” is {f'wrong. {allowed}' if allowed else 'missing.'}"
        super().__init__(self.sentence)


def query_search(request: AnyRequest, name: str, characters_max: int) -> str:
    """What somebody searches for: any text, cut to a length; empty if there is none."""
    return _value(request, name)[:characters_max]


def query_text(request: AnyRequest, name: str, *, is_required: bool = False) -> str:
    """A text; empty if there is none. Raises InvalidParameter."""
    text = _value(request, name)
    if len(text) > TEXT_CHARACTERS_MAX or "\x00" in text:
        allowed = f"It has at most {TEXT_CHARACTERS_MAX} characters, none of them null."
        raise InvalidParameter(name, allowed, is_required=is_required)
    return text


def required_text(request: AnyRequest, name: str) -> str:
    """A text that the page needs. Raises InvalidParameter."""
    text = query_text(request, name, is_required=True)
    if not text:
        raise InvalidParameter(name)
    return text


def query_choice(request: AnyRequest, name: str, words: Collection[Word], default: Word) -> Word:
    """One of a few words. Raises InvalidParameter."""
    text = _value(request, name)
    for word in words:
        if text == word:
            return word
    if text:
        raise InvalidParameter(name, f"It can be {alternatives([word for word in words if word])}.")
    return default


def query_number(request: AnyRequest, name: str, default: int = 0, most: int = NUMBER_MAX) -> int:
    """A whole number that is not negative. Raises InvalidParameter."""
    text = _value(request, name)
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most):
        raise InvalidParameter(name, f"It is a whole number from 0 to {most}.")
    return int(text)


def query_id(request: AnyRequest, name: str) -> UUID:
    """An id that the page needs. Raises InvalidParameter."""
    found = optional_id(request, name, is_required=True)
    if found is None:
        raise InvalidParameter(name)
    return found


def optional_id(request: AnyRequest, name: str, *, is_required: bool = False) -> UUID | None:
    """An id; None if there is none. Raises InvalidParameter."""
    text = _value(request, name)
    try:
        return UUID(text) if text else None
    except ValueError:
        allowed = "It is an id, such as 6f1e2a34-5b6c-4d7e-8f90-a1b2c3d4e5f6."
        raise InvalidParameter(name, allowed, is_required=is_required) from None


def query_instant(request: AnyRequest, name: str) -> int | None:
    """An instant in µs since 1970; of UTC if it does not say. None: none. Raises InvalidParameter."""
    text = _value(request, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found = (known - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        found = -1
    if not 0 <= found <= SEQ_MAX:
        raise InvalidParameter(name, "It is a date and a time, such as 2026-06-05T03:38, or a date alone.")
    return found


def alternatives(words: Collection[str]) -> str:
    """Words for a sentence: `own, proven or all`."""
    *others, last = [*words][:NAMED_MAX]
    end = f"{last}, or another one" if len(words) > NAMED_MAX else last
    return f"{', '.join(others)} or {end}" if others else end


def without_parameter(request: AnyRequest, name: str) -> str:
    """The address of a request without a parameter."""
    others = [(key, value) for key, value in request.query_params.multi_items() if key != name]
    return request.scope["path"] + (f"?{urlencode(others)}" if others else "")


def _value(request: AnyRequest, name: str) -> str:
    values = [str(value).strip() for value in request.query_params.getall(name, [])]
    if len(values) > 1:
        raise InvalidParameter(name, "The address has it more than once.")
    return values[0] if values else ""
