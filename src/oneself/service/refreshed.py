"""A value that is read again before it is too old, so that under steady load no request waits for it.

    age            an asker gets
    < soon         the value
    < life_s       the value, while one read in the background replaces it
    ≥ life_s       what the one read that is on its way, or begins now, brings

Age counts from the begin of the read, so no caller gets a value older than `life_s`, however long a read
takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from oneself.service.coalesce import Coalesced

T = TypeVar("T")
_logger = structlog.get_logger("oneself.refreshed")

#: The share of its life after which a value is read again in the background.
SOON = 2 / 3
#: Between two reads in the background that fail, as a share of the life.
RETRY = 1 / 30


class Refreshed(Generic[T]):
    """`await refreshed()` is the value, at most `life_s` old. Callers that wait for a read get what it
    raises; a failed read in the background is logged and tried again."""

    def __init__(
        self, read: Callable[[], Awaitable[T]], life_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = read
        self._life_s = life_s
        self._clock = clock
        self._read = Coalesced(self._reread)
        self._value: T | None = None
        self._read_at = self._tried_at = float("-inf")
        self._background: asyncio.Task[None] | None = None

    async def __call__(self) -> T:
        age_s = self.age_s
        if self._value is None or age_s >= self._life_s:
            return await self._read.join()
        if age_s >= self._life_s * SOON:
            self._refresh()
        return self._value

    @property
    def age_s(self) -> float:
        """Since the read of the value began; infinite before the first."""
        return self._clock() - self._read_at

    async def newest(self) -> T:
        """The value as a read brings it that begins from now on."""
        return await self._read()

    def _refresh(self) -> None:
        if self._background is not None or self._clock() - self._tried_at < self._life_s * RETRY:
            return
        self._tried_at = self._clock()
        self._background = asyncio.create_task(self._read_in_background())

    async def _read_in_background(self) -> None:
        try:
            await self._read.join()
        except Exception as error:
            _logger.warning("refresh_failed", read=repr(self._ask), cause=str(error))
        finally:
            self._background = None

    async def _reread(self) -> T:
        began_at = self._clock()
        value = await self._ask()
        if began_at >= self._read_at:
            self._value, self._read_at = value, began_at
        return value
