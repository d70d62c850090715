"""Whoever follows a stream: the batches after a position, until the process stops.

Invariants: a follower is a position and nothing else. So a slow one holds up nobody, and one that continues
from its last position misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol, TypeVar

POLL_S = 0.5
#: Of one process. Each queries the database twice a second.
FOLLOWERS_MAX = 100


class Batch(Protocol):
    """What one query of a stream finds."""

    @property
    def more(self) -> bool:
        """Whether more can be read now."""


BatchT = TypeVar("BatchT", bound=Batch)


class Followers:
    """Counts the followers of one process, and ends them when it stops."""

    def __init__(self, *, poll_s: float = POLL_S, followers_max: int = FOLLOWERS_MAX) -> None:
        self._poll_s = poll_s
        self._followers_max = followers_max
        self._closed = asyncio.Event()
        self._number = 0

    @property
    def is_full(self) -> bool:
        """Whether this process serves its maximum of followers."""
        return self._number >= self._followers_max

    def close(self) -> None:
        """End every follower, because the process stops."""
        self._closed.set()

    async def follow(self, next_batch: Callable[[], Awaitable[BatchT]]) -> AsyncGenerator[BatchT, None]:
        """One batch after another, every POLL_S if there is no more. Raises what `next_batch` raises."""
        self._number += 1
        try:
            while not self._closed.is_set():
                batch = await next_batch()
                yield batch
                if not batch.more:
                    await self._pause()
        finally:
            self._number -= 1

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._closed.wait()
        except TimeoutError:
            return
