"""Polls a condition until it is true or a deadline passes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from oneself.store.database import Database

DEADLINE_S = 60.0
POLL_S = 0.02

Found = TypeVar("Found")
FailureMessage = str | Callable[[], object]


def until(
    condition: Callable[[], Found | None],
    message: FailureMessage,
    deadline_s: float = DEADLINE_S,
    ignoring: type[Exception] | tuple[()] = (),
) -> Found:
    """Wait until the condition returns a true value, and return that value.

    An exception of the type `ignoring` counts as false. After the deadline, raises AssertionError with
    `message`.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            if found := condition():
                return found
        except ignoring:
            pass
        assert time.monotonic() < deadline, _text_of(message)
        time.sleep(POLL_S)


async def until_async(
    condition: Callable[[], Awaitable[Found | None]], message: FailureMessage, deadline_s: float = DEADLINE_S
) -> Found:
    """Like `until`, for a condition that is awaited."""
    deadline = time.monotonic() + deadline_s
    while not (found := await condition()):
        assert time.monotonic() < deadline, _text_of(message)
        await asyncio.sleep(POLL_S)
    return found


async def is_waited_for(database: Database) -> bool:
    """Whether a transaction on this database waits for another one."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await database.fetch(waiting))


def _text_of(message: FailureMessage) -> object:
    return message if isinstance(message, str) else message()
