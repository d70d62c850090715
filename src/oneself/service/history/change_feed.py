"""The change feed: what changed of profiles, in order, for other systems that follow.

    page ─▶ the changes of a view after a position, up to the watermark ─▶ the next position

Invariants: as in `event_stream`, nothing is added before the watermark any more, so that a reader who
continues from its position misses nothing and sees nothing twice. Changes of one profile are in the order in
which they were committed. A position that is too old is an error, never a gap.

Source: docs/guides/change-feed.md, docs/decisions/0045-the-change-feed.md.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from uuid import UUID

import msgspec
import structlog

from oneself.core.fold.profile_changes import VIEW_BITS, ProfileChange
from oneself.core.identity_graph.joins import View
from oneself.errors import Expired, OneselfError
from oneself.service.background import run_steps
from oneself.service.context import DatasetRef
from oneself.service.history.followers import Followers
from oneself.store.database import Database
from oneself.store.tables.profile_change import (
    BEGINNING,
    ChangePosition,
    ProfileChangeTable,
    RecordedChanges,
    find_next_dataset,
)
from oneself.store.transaction import Tables

_logger = structlog.get_logger("oneself.change_feed")

#: Observations that one page reads, if few of their changes are in the view.
OBSERVATIONS_PER_PAGE = 1_000
#: Changes that a follower reads at once.
FOLLOWED_AT_ONCE = 250
DAY_US = 24 * 3600 * 1_000_000
#: Changes are deleted so much later than they may be: a page that is being read keeps its rows.
GRACE_US = 3600 * 1_000_000
SWEEP_S = 600.0
DELETED_AT_ONCE = 5_000


class FeedChange(msgspec.Struct, frozen=True):
    """A change of a view, and the position after it."""

    position: ChangePosition
    observation_id: UUID
    change: ProfileChange


class FeedPage(msgspec.Struct, frozen=True):
    """Changes in order, often none."""

    changes: tuple[FeedChange, ...]
    #: Everything of the view up to here has been read.
    position: ChangePosition
    #: Whether more can be read now.
    more: bool


class ChangeFeed:
    """Reads and deletes the changes of datasets."""

    def __init__(
        self,
        database: Database,
        *,
        days: int,
        followers: Followers | None = None,
        observations_per_page: int = OBSERVATIONS_PER_PAGE,
    ) -> None:
        """`days`: how long changes are stored."""
        self._database = database
        self.followers = followers or Followers()
        self._life_us = days * DAY_US
        self._observations_per_page = observations_per_page

    async def now(self, dataset_ref: DatasetRef) -> ChangePosition:
        """The position after everything that can be read now."""
        return await self._watermark(dataset_ref.dataset_id)

    async def floor(self, dataset_ref: DatasetRef) -> ChangePosition:
        """The position after which no change is deleted yet."""
        table = self._tables(dataset_ref.dataset_id).profile_changes
        return ChangePosition(await table.find_floor(), UUID(int=0), 0)

    async def page(
        self, dataset_ref: DatasetRef, view: View, *, after: ChangePosition = BEGINNING, size: int
    ) -> FeedPage:
        """Up to `size` changes of a view after a position. Raises Expired if changes after it are deleted."""
        table, dataset_id = self._tables(dataset_ref.dataset_id).profile_changes, dataset_ref.dataset_id
        start = after
        if after == BEGINNING:
            start = await self.floor(dataset_ref)
        watermark = await self._watermark(dataset_id)
        page = await self._scan(table, view, start, watermark, size)
        if after != BEGINNING and after.recorded_at < await table.find_floor():
            raise Expired(
                "Changes after this cursor were deleted. Read the profiles again, then follow from now on.",
                code="cursor_expired",
                message="The cursor is too old.",
            )
        return page

    async def _scan(
        self,
        table: ProfileChangeTable,
        view: View,
        start: ChangePosition,
        watermark: ChangePosition,
        size: int,
    ) -> FeedPage:
        """Up to `size` changes of a view, among those of OBSERVATIONS_PER_PAGE observations or more."""
        changes, position, scanned = list[FeedChange](), start, 0
        while scanned < self._observations_per_page:
            found = await table.list_after(position, watermark.recorded_at, size + 1)
            changes += _in_view(found, view, position)
            if len(changes) > size:
                return FeedPage(tuple(changes[:size]), changes[size - 1].position, more=True)
            if len(found) <= size:
                return FeedPage(tuple(changes), max(start, watermark), more=False)
            last, scanned = found[-1], scanned + len(found)
            position = ChangePosition(last.recorded_at, last.observation_id, len(last.changes))
        return FeedPage(tuple(changes), position, more=True)

    async def follow(
        self, dataset_ref: DatasetRef, view: View, *, after: ChangePosition
    ) -> AsyncGenerator[FeedPage, None]:
        """The pages after a position, until the process stops. Raises as `page`."""

        async def next_page() -> FeedPage:
            nonlocal after
            found = await self.page(dataset_ref, view, after=after, size=FOLLOWED_AT_ONCE)
            after = found.position
            return found

        async with aclosing(self.followers.follow(next_page)) as pages:
            async for found in pages:
                yield found

    async def run(self) -> None:
        """Delete what is too old until cancelled."""
        await run_steps(self._sweep_all, SWEEP_S, _note_interruption)

    async def sweep(self) -> int:
        """Delete the changes that are too old, in every dataset; returns of how many observations."""
        before = time.time_ns() // 1000 - self._life_us - GRACE_US
        deleted, dataset_id = 0, -1
        while (following := await find_next_dataset(self._database, dataset_id)) is not None:
            dataset_id, table = following, self._tables(following).profile_changes
            while number := await table.delete_before(before, DELETED_AT_ONCE):
                deleted += number
        return deleted

    async def _sweep_all(self) -> bool:
        await self.sweep()
        return False

    async def _watermark(self, dataset_id: int) -> ChangePosition:
        return ChangePosition(await self._tables(dataset_id).events.find_watermark(), UUID(int=0), 0)

    def _tables(self, dataset_id: int) -> Tables:
        return Tables(self._database, dataset_id)


def _in_view(found: Iterable[RecordedChanges], view: View, after: ChangePosition) -> Iterator[FeedChange]:
    """The changes that a view has, without those before a position."""
    for recorded in found:
        is_first = (recorded.recorded_at, recorded.observation_id) == (
            after.recorded_at,
            after.observation_id,
        )
        for number, stored in enumerate(recorded.changes, 1):
            if stored.views & VIEW_BITS[view] and not (is_first and number <= after.number):
                position = ChangePosition(recorded.recorded_at, recorded.observation_id, number)
                yield FeedChange(position, recorded.observation_id, stored.change)


def _note_interruption(error: OneselfError) -> None:
    _logger.warning("change_sweep_interrupted", cause=type(error).__name__)
