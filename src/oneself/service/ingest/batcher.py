"""Batches: items that arrive while one batch is being committed form the next one.

Invariants: an item gets its outcome when its batch is committed, never before. A lone item does not wait.
Items with a conflict key in common are never in two batches at once, and keep the order of arrival. This
module does not know what a commit is. Source: docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from itertools import islice
from typing import Generic, TypeVar

import msgspec

from oneself.errors import Contended, OneselfError

#: The tracking wire's own cap on one batch, and far below what locks of one transaction cost.
ITEMS_PER_BATCH_MAX = 500
#: A transaction locks every key. 500 events have at most eight each; PostgreSQL has room for 6 400 locks by
#: default.
KEYS_PER_BATCH_MAX = 4_000
#: While one batch waits for PostgreSQL, the other one is decided.
BATCHES_IN_FLIGHT_MAX = 2
#: Fewer items are not worth a second batch: its round trips cost more than they gain.
ITEMS_PER_SECOND_BATCH_MIN = 64
#: Beyond it, callers get Contended.
ITEMS_WAITING_MAX = 20_000

Item = TypeVar("Item")
Result = TypeVar("Result")
ConflictKeys = frozenset[Hashable]


class BatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many items and batches there may be at once."""

    items_per_batch_max: int = ITEMS_PER_BATCH_MAX
    keys_per_batch_max: int = KEYS_PER_BATCH_MAX
    batches_in_flight_max: int = BATCHES_IN_FLIGHT_MAX
    items_per_second_batch_min: int = ITEMS_PER_SECOND_BATCH_MIN
    items_waiting_max: int = ITEMS_WAITING_MAX


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
        limits: BatchLimits | None = None,
    ) -> None:
        self._commit = commit
        self._names = names
        self._limits = limits or BatchLimits()
        self._waiting: deque[_QueuedItem[Item, Result]] = deque()
        self._workers: list[asyncio.Task[None]] = []
        self._busy: list[ConflictKeys] = []
        self._is_blocked = False

    async def submit(self, item: Item) -> Result:
        """The outcome of the item. Raises Contended when too many wait."""
        if len(self._waiting) >= self._limits.items_waiting_max:
            raise Contended("Too many observations are waiting.")
        outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(_QueuedItem(item, self._names(item), outcome))
        self._workers = [worker for worker in self._workers if not worker.done()]
        if self._has_room():
            self._workers.append(asyncio.create_task(self._drain()))
        return await outcome

    async def idle(self) -> None:
        """Wait until every submitted item has its outcome."""
        while unfinished := [worker for worker in self._workers if not worker.done()]:
            await asyncio.wait(unfinished)

    def _has_room(self) -> bool:
        """True if another batch should start: the first at once, a second one when it is worth it."""
        if not self._workers:
            return True
        is_worth_it = len(self._waiting) >= self._limits.items_per_second_batch_min and not self._is_blocked
        return is_worth_it and len(self._workers) < self._limits.batches_in_flight_max

    async def _drain(self) -> None:
        # The batch is empty when every queued item conflicts with one in flight; the worker of that batch
        # takes them up when it is finished.
        while self._waiting and (batch := self._next_batch()):
            names: ConflictKeys = frozenset().union(*(waiting.names for waiting in batch))
            self._busy.append(names)
            try:
                await self._commit_batch(batch)
            finally:
                self._busy.remove(names)

    def _next_batch(self) -> list[_QueuedItem[Item, Result]]:
        """The next batch.

        Skips items that conflict with a batch in flight or have too many keys for this one, and later items
        that conflict with a skipped one: they would block the whole transaction on a row lock. An item with
        more than `keys_per_batch_max` keys is a batch of its own.
        """
        size, keys, keys_max = self._size(), 0, self._limits.keys_per_batch_max
        busy = set().union(*self._busy)
        batch: list[_QueuedItem[Item, Result]] = []
        left: list[_QueuedItem[Item, Result]] = []
        for _ in range(min(len(self._waiting), 2 * size)):
            waiting = self._waiting.popleft()
            is_within_limits = len(batch) < size and (not batch or keys + len(waiting.names) <= keys_max)
            if is_within_limits and busy.isdisjoint(waiting.names):
                batch.append(waiting)
                keys += len(waiting.names)
            else:
                left.append(waiting)
                busy |= waiting.names
        self._waiting.extendleft(reversed(left))
        self._is_blocked = not batch
        return batch

    def _size(self) -> int:
        """Of the next batch: half of what waits while a second batch could take the other half."""
        waiting, limits = len(self._waiting), self._limits
        could_divide = not self._busy and not self._is_blocked
        if could_divide and waiting >= 2 * limits.items_per_second_batch_min and not self._all_conflict():
            waiting = (waiting + 1) // 2
        return min(waiting, limits.items_per_batch_max)

    def _all_conflict(self) -> bool:
        """True if the next items have a key in common, so that a second batch could take none of them."""
        shared = self._waiting[0].names
        for waiting in islice(self._waiting, 1, self._limits.items_per_batch_max):
            if not (shared := shared & waiting.names):
                return False
        return True

    async def _commit_batch(self, batch: list[_QueuedItem[Item, Result]]) -> None:
        """Commit a batch and set the outcome of each item."""
        outcomes: Sequence[Result | Exception]
        try:
            outcomes = await self._commit([waiting.item for waiting in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, OneselfError):
                # One item reveals a bug; the other items are committed one by one.
                for waiting in batch:
                    await self._commit_batch([waiting])
                return
            outcomes = [error] * len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.outcome.done():
                continue
            if isinstance(outcome, Exception):
                waiting.outcome.set_exception(outcome)
            else:
                waiting.outcome.set_result(outcome)
