"""Pages of these resources: `page_size`, `cursor` and `next_cursor`, as everywhere (DESIGN §9).

    sorted here, by a name              named_page(found, name, size, cursor)
    found from a place on, one more     limit, after = page_size(size), asked_place(cursor, START)
                                        page, pagination = cut_page(found, limit, place)
    found with the place that follows   pagination = paginate(page, limit, following)

`cursor` is a place, written down as nobody should read it.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sized
from typing import Annotated, TypeVar

import msgspec
from litestar.params import QueryParameter

from oneself.api.http.errors import wire_error

PAGE_SIZE = 50
PAGE_SIZE_MAX = 200
CURSOR_CHARS_MAX = 512

Place = TypeVar("Place", bound=msgspec.Struct)
Entry = TypeVar("Entry")

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")

#: Read by hand: one word of the query, whatever else it repeats.
PageSize = Annotated[
    str | None,
    QueryParameter(
        name="page_size",
        description=f"{PAGE_SIZE} if absent; above {PAGE_SIZE_MAX} it is read as that.",
        schema_extra={"type": "integer", "minimum": 1},
    ),
]
CursorWord = Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")]


class Pagination(msgspec.Struct, frozen=True, omit_defaults=True):
    """`next_cursor` is there only if more follow."""

    count: int
    page_size: int
    next_cursor: str = ""


def page_size(asked: str | None) -> int:
    """How many entries a page has; raises WireError for what is no positive number."""
    if asked is None:
        return PAGE_SIZE
    if not _NUMBER.fullmatch(asked):
        raise wire_error("10001", "page_size must be a positive integer.")
    return min(int(asked), PAGE_SIZE_MAX)


def requested_position(cursor: str | None, start: Place) -> Place:
    """The place that a page is asked from, `start` if none is named; raises WireError."""
    return decode_cursor(cursor, type(start)) if cursor else start


class NameCursor(msgspec.Struct, frozen=True):
    """The place of what has a name of its own, in a list by name."""

    name: str


def named_page(
    found: Iterable[Entry], name: Callable[[Entry], str], size: str | None, cursor: str | None
) -> tuple[list[Entry], Pagination]:
    """A page of what has a name of its own, by name; raises WireError as the words of the query are read."""
    limit, after = page_size(size), requested_position(cursor, NameCursor("")).name
    following = sorted((one for one in found if name(one) > after), key=name)
    return cut_page(following, limit, lambda last: NameCursor(name(last)))


def cut_page(
    found: list[Entry], limit: int, place: Callable[[Entry], msgspec.Struct]
) -> tuple[list[Entry], Pagination]:
    """The first `limit` of what was found, more of which only tells that they go on; `place`: of an entry."""
    page = found[:limit]
    return page, paginate(page, limit, place(page[-1]) if len(found) > limit else None)


def paginate(page: Sized, limit: int, following: msgspec.Struct | None) -> Pagination:
    """What is said beside a page; `following`: the place that the next one is asked from, None at the end."""
    return Pagination(len(page), limit, "" if following is None else encode_cursor(following))


def encode_cursor(place: msgspec.Struct) -> str:
    """The word for a place in a list."""
    return urlsafe_b64encode(msgspec.json.encode(msgspec.structs.astuple(place))).decode().rstrip("=")


def decode_cursor(word: str, kind: type[Place]) -> Place:
    """The place that a word names; raises WireError."""
    try:
        if len(word) > CURSOR_CHARS_MAX:
            raise ValueError(word)
        raw = urlsafe_b64decode(word + "=" * (-len(word) % 4))
        fields = msgspec.json.decode(raw, type=list)
        if not all(map(_is_storable, fields)):
            raise ValueError(word)
        return msgspec.convert(dict(zip(kind.__struct_fields__, fields, strict=True)), kind)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise wire_error("10001", "cursor is none of ours.") from None


def _is_storable(field: object) -> bool:
    """Whether PostgreSQL can compare it with what it holds: text without NUL, an integer of 64 bits."""
    if isinstance(field, int):
        return -(2**63) <= field < 2**63
    return not isinstance(field, str) or "\x00" not in field
