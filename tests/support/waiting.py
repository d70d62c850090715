"""Waiting for what happens elsewhere: until something holds, and never longer than a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

DEADLINE_S = 60.0
POLL_S = 0.02

Found = TypeVar("Found")
Otherwise = str | Callable[[], object]


def until(
    condition: Callable[[], Found | None],
    otherwise: Otherwise,
    deadline_s: float = DEADLINE_S,
    ignoring: type[Exception] | tuple[()] = (),
) -> Found:
    """What the condition gives, as soon as it is true; an exception of the type `ignoring` means not yet.

    Raises AssertionError with `otherwise` after the deadline.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            if found := condition():
                return found
        except ignoring:
            pass
        assert time.monotonic() < deadline, _told(otherwise)
        time.sleep(POLL_S)


async def until_async(
    condition: Callable[[], Awaitable[Found | None]], otherwise: Otherwise, deadline_s: float = DEADLINE_S
) -> Found:
    """The same where the condition is awaited."""
    deadline = time.monotonic() + deadline_s
    while not (found := await condition()):
        assert time.monotonic() < deadline, _told(otherwise)
        await asyncio.sleep(POLL_S)
    return found


def _told(otherwise: Otherwise) -> object:
    return otherwise if isinstance(otherwise, str) else otherwise()
