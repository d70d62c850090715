"""Request coalescing: callers that arrive while a call is in flight share the next one.

A result is never older than the request for it: a caller does not join a call that was already in flight.
Under load, hundreds of callers share a round trip; a lone caller does not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Coalesced(Generic[T]):
    """`await shared()` is `await ask()`; what `ask` raises, all who share it get."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._waiting: list[asyncio.Future[T]] = []
        self._served: list[asyncio.Future[T]] | None = None
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._serve())
        return await answer

    async def join(self) -> T:
        """The answer of the question that is on its way, which may be older than this call, else of a new
        one."""
        if self._served is None:
            return await self()
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._served.append(answer)
        return await answer

    async def _serve(self) -> None:
        while self._waiting:
            served = self._served = self._waiting
            self._waiting = []
            try:
                found = await self._ask()
            except Exception as error:
                for answer in served:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            finally:
                self._served = None
            for answer in served:
                if not answer.done():
                    answer.set_result(found)
