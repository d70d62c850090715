"""Batches: what arrives while one is being committed forms the next one (DESIGN §7).

Law of this module: an item is answered when its batch is committed, never before; a lone item does not wait;
items that name the same thing are never in two batches at once and keep the order of arrival. What a commit
is, `ingest` knows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

import msgspec

from oneself.errors import Contended, OneselfError

#: The tracking wire's own cap on one batch, and far below what locks of one transaction cost.
ITEMS_PER_BATCH_MAX = 500
#: While one waits for PostgreSQL the other is judged.
BATCHES_IN_FLIGHT_MAX = 2
#: Fewer are not worth a second batch: its round trips would cost more than they gain.
ITEMS_PER_SECOND_BATCH_MIN = 64
#: Beyond it the caller is told to come back.
ITEMS_WAITING_MAX = 20_000

Item = TypeVar("Item")
Result = TypeVar("Result")
ConflictKeys = frozenset[Hashable]


class _QueuedItem(msgspec.Struct, Generic[Item, Result], frozen=True, eq=False):
    item: Item
    names: ConflictKeys
    outcome: asyncio.Future[Result]


class Batcher(Generic[Item, Result]):
    """Commits items together.

    `commit`: a batch → the outcome of each, in the same order; an outcome that is an exception is raised to
    that one's caller. `names`: what an item is about.
    """

    def __init__(
        self,
        commit: Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]],
        names: Callable[[Item], ConflictKeys],
    ) -> None:
        self._commit = commit
        self._names = names
        self._waiting: deque[_QueuedItem[Item, Result]] = deque()
        self._workers: list[asyncio.Task[None]] = []
        self._busy: list[ConflictKeys] = []
        self._is_blocked = False

    async def submit(self, item: Item) -> Result:
        """The outcome of the item. Raises Contended when too many wait."""
        if len(self._waiting) >= ITEMS_WAITING_MAX:
            raise Contended("Too many observations are waiting.")
        outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(_QueuedItem(item, self._names(item), outcome))
        self._workers = [worker for worker in self._workers if not worker.done()]
        if self._has_room():
            self._workers.append(asyncio.create_task(self._drain()))
        return await outcome

    async def idle(self) -> None:
        """Wait until everything that was taken has been answered."""
        while unfinished := [worker for worker in self._workers if not worker.done()]:
            await asyncio.wait(unfinished)

    def _has_room(self) -> bool:
        """True if another batch should start: the first at once, a second one when it is worth it."""
        if not self._workers:
            return True
        is_worth_it = len(self._waiting) >= ITEMS_PER_SECOND_BATCH_MIN and not self._is_blocked
        return is_worth_it and len(self._workers) < BATCHES_IN_FLIGHT_MAX

    async def _drain(self) -> None:
        # An empty batch: all that waits is about what is in flight, whose worker takes it up.
        while self._waiting and (batch := self._take()):
            names: ConflictKeys = frozenset().union(*(waiting.names for waiting in batch))
            self._busy.append(names)
            try:
                await self._answer(batch)
            finally:
                self._busy.remove(names)

    def _take(self) -> list[_QueuedItem[Item, Result]]:
        """The next batch. What another one is busy with stays, and so does what comes after that about the
        same: in the database it would wait for a lock, and everything beside it as well."""
        size = self._size()
        busy = set().union(*self._busy)
        taken: list[_QueuedItem[Item, Result]] = []
        left: list[_QueuedItem[Item, Result]] = []
        for _ in range(min(len(self._waiting), 2 * size)):
            waiting = self._waiting.popleft()
            if len(taken) < size and busy.isdisjoint(waiting.names):
                taken.append(waiting)
            else:
                left.append(waiting)
                busy |= waiting.names
        self._waiting.extendleft(reversed(left))
        self._is_blocked = not taken
        return taken

    def _size(self) -> int:
        """Of the next batch: half of what waits while a second batch could take the other half."""
        waiting = len(self._waiting)
        if not self._busy and not self._is_blocked and waiting >= 2 * ITEMS_PER_SECOND_BATCH_MIN:
            waiting = (waiting + 1) // 2
        return min(waiting, ITEMS_PER_BATCH_MAX)

    async def _answer(self, batch: list[_QueuedItem[Item, Result]]) -> None:
        """Commit a batch and tell everybody who waits for it."""
        outcomes: Sequence[Result | Exception]
        try:
            outcomes = await self._commit([waiting.item for waiting in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, OneselfError):
                # One item brings a bug to light: the others must not suffer for it.
                for waiting in batch:
                    await self._answer([waiting])
                return
            outcomes = [error] * len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.outcome.done():
                continue
            if isinstance(outcome, Exception):
                waiting.outcome.set_exception(outcome)
            else:
                waiting.outcome.set_result(outcome)
