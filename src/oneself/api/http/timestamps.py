"""Instants on the REST wires: RFC 3339, UTC, microseconds. Inside the service they are µs since 1970.

Source: docs/wire/cds.md §1.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta

#: An instant in the published API description.
Timestamp = Annotated[
    str, Meta(extra_json_schema={"format": "date-time"}, examples=["2026-06-05T03:38:04.834627Z"])
]
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


def rfc3339(instant: int) -> str:
    """`2026-06-05T03:38:04.834627Z` for an instant in µs."""
    return (_EPOCH + timedelta(microseconds=instant)).isoformat(timespec="microseconds") + "Z"


def instant_of(text: str) -> int | None:
    """The instant in µs of an RFC 3339 text with an offset; None if the text is not valid."""
    try:
        moment = datetime.fromisoformat(text)
        since = moment.astimezone(UTC).replace(tzinfo=None) - _EPOCH
        return since // _MICROSECOND if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
