"""Numbers about a dataset as a whole, counted again while somebody looks at them.

    asked ─▶ fresh: at once
          ─▶ none, or too old: counting begins; whoever waits for it at most a moment gets it, or the last one

Invariants: no request scans a dataset. One count runs at a time in a process. The longer a count takes, the
longer its numbers are fresh, so that counting takes at most a twentieth of the time. The numbers are in this
process alone, and contain ids, never values. What erasures took away is in them until they are counted again.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress

import msgspec
import structlog

from oneself.core.units import MINUTE_US
from oneself.errors import OneselfError
from oneself.service.context import DatasetRef
from oneself.store.database import Database
from oneself.store.tables.overview import (
    FrequentRefusal,
    LargeProfile,
    MinuteCount,
    WidelySharedIdentifier,
    begin_counting,
)
from oneself.store.transaction import Tables

__all__ = [
    "CountLimits",
    "DatasetCounts",
    "FrequentRefusal",
    "LargeProfile",
    "LatestCounts",
    "MinuteCount",
    "Overviews",
    "WidelySharedIdentifier",
]

_logger = structlog.get_logger("oneself.overview")
MINUTES = 60
FRESH_S = 10.0
#: Numbers are fresh for so many times as long as counting them took.
FRESH_FACTOR = 20
#: Datasets whose numbers a process has.
DATASETS_MAX = 200
WARNED_MAX = 5


class CountLimits(msgspec.Struct, frozen=True):
    """How much is counted for how long, and from when on a number is named as too large."""

    #: Of the log: an hour of 140 a second. Reading them takes about a second.
    entries_max: int = 500_000
    statement_ms: int = 60_000
    #: How long a request waits for a count that it began.
    wait_s: float = 0.1
    #: A profile of so many parts may be several people; a household or a shared device explains fewer.
    large_parts: int = 20
    shared_parts: int = 20
    frequent_refusals: int = 100


class DatasetCounts(msgspec.Struct, frozen=True):
    """What a dataset has. Instants in µs since 1970."""

    counted_at: int
    took_s: float
    #: Observations since `complete_since`, by interface and minute.
    minutes: tuple[MinuteCount, ...]
    complete_since: int
    #: Kind → profiles of the view `all`: `identified`, `named`, `anonymous`.
    profiles: Mapping[str, int]
    #: Parts → profiles of the view `all` that consist of so many.
    sizes: Mapping[int, int]
    #: Fragments, and what the view `proven` makes of them.
    fragments: int
    proven: int
    #: Reason → profiles that were merged into others.
    merges: Mapping[str, int]
    #: Code → how often a merge or claim was refused.
    refusals: Mapping[str, int]
    #: What may be over-merged.
    largest: tuple[LargeProfile, ...]
    shared: tuple[WidelySharedIdentifier, ...]
    frequent: tuple[FrequentRefusal, ...]

    @property
    def total(self) -> int:
        """How many profiles the view `all` has."""
        return sum(self.profiles.values())

    @property
    def proven_joins(self) -> int:
        """How many joins it takes to make the profiles of the view `proven`."""
        return self.fragments - self.proven

    @property
    def asserted_joins(self) -> int:
        """How many more it takes to make those of the view `all`."""
        return max(0, self.proven - self.total)


class LatestCounts(msgspec.Struct, frozen=True):
    """The numbers of a dataset; None: nobody has looked at them yet, or the first count is not finished."""

    counts: DatasetCounts | None
    #: Whether the last attempt to count failed, or took too long.
    is_interrupted: bool = False


class Overviews:
    """Counts datasets that somebody looks at."""

    def __init__(self, database: Database, limits: CountLimits | None = None) -> None:
        self._database = database
        self._limits = limits or CountLimits()
        #: Dataset → its numbers, and until when (monotonic seconds) it is not counted again.
        self._counted: OrderedDict[int, tuple[LatestCounts, float]] = OrderedDict()
        self._counting: dict[int, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(1)

    async def latest(self, dataset_ref: DatasetRef) -> LatestCounts:
        """The numbers, as they were counted last."""
        dataset_id = dataset_ref.dataset_id
        if time.monotonic() >= self._known(dataset_id)[1]:
            if dataset_id not in self._counting:
                self._counting[dataset_id] = asyncio.create_task(self._count_in_turn(dataset_ref))
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._counting[dataset_id]), self._limits.wait_s)
        return self._known(dataset_id)[0]

    async def count(self, dataset_ref: DatasetRef) -> DatasetCounts:
        """Count now. Raises Unavailable if a statement takes longer than the limit."""
        began_s, now = time.monotonic(), time.time_ns() // 1000
        limits, since = self._limits, now // MINUTE_US * MINUTE_US - (MINUTES - 1) * MINUTE_US
        async with begin_counting(self._database, limits.statement_ms) as connection:
            tables = Tables(connection, dataset_ref.dataset_id)
            overview = tables.overview
            minutes, complete_since = await overview.count_by_minute(since, limits.entries_max)
            fragments, proven = await overview.count_parts()
            sizes, largest = await overview.count_sizes(limits.large_parts, WARNED_MAX)
            return DatasetCounts(
                counted_at=now,
                minutes=tuple(item for item in minutes if item.minute * MINUTE_US >= complete_since),
                complete_since=complete_since,
                profiles=await overview.count_profiles(),
                sizes=sizes,
                fragments=fragments,
                proven=proven,
                merges=await overview.count_merges(),
                refusals=await tables.refusals.count(),
                largest=tuple(largest),
                shared=tuple(await overview.find_shared(limits.shared_parts, WARNED_MAX)),
                frequent=tuple(await overview.find_refused(limits.frequent_refusals)),
                took_s=time.monotonic() - began_s,
            )

    def _known(self, dataset_id: int) -> tuple[LatestCounts, float]:
        return self._counted.get(dataset_id, (LatestCounts(None), 0.0))

    async def _count_in_turn(self, dataset_ref: DatasetRef) -> None:
        dataset_id, began_s = dataset_ref.dataset_id, time.monotonic()
        try:
            async with self._turn:
                latest = LatestCounts(await self.count(dataset_ref))
        except OneselfError as error:
            _logger.warning("not_counted", cause=error.message)
            latest = LatestCounts(self._known(dataset_id)[0].counts, is_interrupted=True)
        finally:
            del self._counting[dataset_id]
        now_s = time.monotonic()
        self._counted[dataset_id] = latest, now_s + max(FRESH_S, FRESH_FACTOR * (now_s - began_s))
        self._counted.move_to_end(dataset_id)
        if len(self._counted) > DATASETS_MAX:
            self._counted.popitem(last=False)
