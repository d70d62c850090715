"""Pages of a list: one codec for cursors, and the `page_size`, `cursor` and `next_cursor` of the admin wire.

    sorted here, by name                 named_page(entries, name, size, cursor)
    queried from a position, one more    limit, after = page_size(size), requested_position(cursor, START)
                                         page, pagination = cut_page(entries, limit, position)
    queried with the next position       pagination = paginate(page, limit, next_position)

A cursor is a position in a list, as text that clients return unread: base64url of its fields. Page numbers
exist only on the wires whose vendors have them.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sized
from typing import Annotated, Any, TypeVar

import msgspec
from litestar.params import QueryParameter

from oneself.api.http.errors import INVALID_REQUEST, WireError, wire_error

PAGE_SIZE = 50
PAGE_SIZE_MAX = 200
CURSOR_CHARS_MAX = 512

Position = TypeVar("Position", bound=msgspec.Struct)
Entry = TypeVar("Entry")

_POSITIVE = re.compile(r"[1-9][0-9]{0,8}")

#: Decoded by hand, so that an invalid one gets the wire's error.
PageSize = Annotated[
    str | None,
    QueryParameter(
        name="page_size",
        description=f"Entries per page; {PAGE_SIZE} by default, {PAGE_SIZE_MAX} at most.",
        schema_extra={"type": "integer", "minimum": 1},
    ),
]
CursorWord = Annotated[str | None, QueryParameter(description="`next_cursor` of the previous page.")]


class Pagination(msgspec.Struct, frozen=True, omit_defaults=True):
    """`next_cursor` is present only if more entries follow."""

    count: int
    page_size: int
    next_cursor: str = ""


class NameCursor(msgspec.Struct, frozen=True):
    """The position of an entry with a unique name in a list sorted by name."""

    name: str


def encode_text(text: bytes) -> str:
    """Text that a client returns unread: base64url without padding."""
    return urlsafe_b64encode(text).decode().rstrip("=")


def decode_text(word: str, chars_max: int) -> bytes:
    """What `encode_text` encoded; padding is optional. Raises ValueError."""
    if len(word) > chars_max:
        raise ValueError(f"more than {chars_max} characters")
    bare = word.rstrip("=")
    return b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)


#: What comes before the instant in a cursor that carries one.
AS_OF = "as_of"


def encode_cursor(position: msgspec.Struct, at: int | None = None) -> str:
    """The cursor of a position: its fields as a JSON array.

    `at`: the instant as of which the list is, in µs since 1970, after the word `AS_OF`; None: it is of now.
    """
    carried = () if at is None else (AS_OF, at)
    return encode_text(msgspec.json.encode((*msgspec.structs.astuple(position), *carried)))


def decode_cursor(word: str, kind: type[Position]) -> Position:
    """The position that a cursor names; raises WireError."""
    return position_of(cursor_fields(word), kind)


def cursor_fields(word: str) -> list[Any]:
    """The fields of a cursor; raises WireError."""
    try:
        fields: list[Any] = msgspec.json.decode(decode_text(word, CURSOR_CHARS_MAX), type=list)
    except ValueError:  # msgspec's and binascii's errors are ValueErrors
        raise _invalid_cursor() from None
    if not all(map(_is_storable, fields)):
        raise _invalid_cursor()
    return fields


def position_of(fields: list[Any], kind: type[Position]) -> Position:
    """The position that fields of a cursor are; raises WireError."""
    try:
        return msgspec.convert(dict(zip(kind.__struct_fields__, fields, strict=True)), kind)
    except ValueError:
        raise _invalid_cursor() from None


def page_size(text: str | None) -> int:
    """How many entries a page has; raises WireError unless the text is a positive integer."""
    if text is None:
        return PAGE_SIZE
    if not _POSITIVE.fullmatch(text):
        raise wire_error(INVALID_REQUEST, "page_size must be a positive integer.")
    return min(int(text), PAGE_SIZE_MAX)


def requested_position(cursor: str | None, start: Position) -> Position:
    """The position after which the page begins, `start` without a cursor; raises WireError."""
    return decode_cursor(cursor, type(start)) if cursor else start


def named_page(
    entries: Iterable[Entry], name: Callable[[Entry], str], size: str | None, cursor: str | None
) -> tuple[list[Entry], Pagination]:
    """A page of entries with unique names, sorted by name; raises WireError."""
    limit, after = page_size(size), requested_position(cursor, NameCursor("")).name
    following = sorted((entry for entry in entries if name(entry) > after), key=name)
    return cut_page(following, limit, lambda last: NameCursor(name(last)))


def cut_page(
    entries: list[Entry], limit: int, position: Callable[[Entry], msgspec.Struct], at: int | None = None
) -> tuple[list[Entry], Pagination]:
    """The first `limit` entries; a further one shows that another page follows. `at`: as of `paginate`."""
    page = entries[:limit]
    return page, paginate(page, limit, position(page[-1]) if len(entries) > limit else None, at)


def paginate(
    page: Sized, limit: int, next_position: msgspec.Struct | None, at: int | None = None
) -> Pagination:
    """What a page says of itself. `next_position`: where the next one begins, None on the last page. `at`:
    the instant as of which the list is; None: now.
    """
    return Pagination(len(page), limit, "" if next_position is None else encode_cursor(next_position, at))


def _invalid_cursor() -> WireError:
    return wire_error(INVALID_REQUEST, "Invalid cursor. Use `next_cursor` from the previous page.")


def _is_storable(field: object) -> bool:
    """Whether PostgreSQL can compare it with a column: text without NUL, an integer of 64 bits."""
    if isinstance(field, int):
        return -(2**63) <= field < 2**63
    return not isinstance(field, str) or "\x00" not in field
