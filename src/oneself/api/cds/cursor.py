"""Cursors of the profile list: where a page begins, as text that clients return unread.

    base64url( created_at | profile_id | next or previous )

`created_at` is an RFC 3339 instant with microseconds. The error for an invalid cursor names the invalid part.
Source: docs/wire/cds.md §5.2.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from oneself.api.documents.paging import decode_text, encode_text
from oneself.api.http.timestamps import instant_of, rfc3339

Direction = Literal["next", "previous"]
DIRECTIONS: tuple[Direction, ...] = ("next", "previous")
#: A valid one has 112 characters.
CURSOR_CHARS_MAX = 256


class InvalidCursor(ValueError):
    """The text is not a cursor; `str(error)` names the invalid part."""


class Cursor(msgspec.Struct, frozen=True):
    """The profile at the edge of a page (`created_at` in µs), and which way to go from it."""

    created_at: int
    profile_id: UUID
    direction: Direction


def encode_cursor(cursor: Cursor) -> str:
    """The text of a cursor."""
    text = f"{rfc3339(cursor.created_at)}|{cursor.profile_id}|{cursor.direction}"
    return encode_text(text.encode())


def decode_cursor(word: str) -> Cursor:
    """The cursor in a text; raises InvalidCursor."""
    parts = _text(word).split("|")
    if len(parts) != len(Cursor.__struct_fields__):
        raise InvalidCursor("invalid cursor format")
    created_at, profile_id, direction = parts
    return Cursor(_instant(created_at), _profile_id(profile_id), _direction(direction))


def _text(word: str) -> str:
    try:
        return decode_text(word, CURSOR_CHARS_MAX).decode()
    except ValueError:
        raise InvalidCursor("invalid cursor encoding") from None


def _instant(text: str) -> int:
    instant = instant_of(text)
    if instant is None:
        raise InvalidCursor("invalid cursor timestamp")
    return instant


def _profile_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidCursor("invalid cursor profile_id") from None


def _direction(text: str) -> Direction:
    for direction in DIRECTIONS:
        if text == direction:
            return direction
    raise InvalidCursor("invalid cursor direction")
