"""The publisher: sends changes of profiles to a stream of a message broker.

    lease ─▶ connection ─▶ each view that is behind ─▶ a page of the feed ─▶ stored ─▶ position moved

One process publishes for the deployment. The last message of a view in the stream is where it continues, so
that nothing is missing or twice after a process or the broker died. The database has the position as well,
for streams whose messages have left.

Invariants: changes of a view are in the stream in the order of the feed, each once while the stream has
them. What cannot be published stays in the feed; nothing waits in memory. A change that is too old is lost,
and the log and `oneself doctor` say so.

Source: docs/guides/change-feed.md, docs/decisions/0049-changes-over-nats.md.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence

import msgspec
import structlog

from oneself.adapters.change_event import FeedSource, position_of, render_change
from oneself.adapters.nats import BrokerMessage, NatsBroker, Published, subject_word
from oneself.core.identity_graph.joins import View
from oneself.errors import BrokerFailed, Expired, OneselfError
from oneself.service.context import DatasetRef
from oneself.service.delivery.retries import FAILURE_CHARACTERS_MAX, wait_s
from oneself.service.history.change_feed import ChangeFeed, FeedChange, FeedPage
from oneself.store.directory import Directory
from oneself.store.tables.broker import FeedBehind
from oneself.store.tables.profile_change import ChangePosition
from oneself.telemetry import Telemetry

_logger = structlog.get_logger("oneself.publisher")

POLL_S = 1.0
#: A process that died publishes no more after so long. The other ones look at the lease less often.
LEASE_S = 15.0
RENEW_S = 5.0
#: Changes that are published beside each other, and pages before another dataset has its turn.
CHANGES_PER_PAGE = 200
PAGES_PER_TURN = 10
VIEWS_PER_TURN = 100
RETRY_FIRST_S = 1.0
RETRY_LONGEST_S = 60.0


class Publisher:
    """Publishes changes while it has the lease. `broker`: None: there is none."""

    def __init__(
        self,
        directory: Directory,
        feed: ChangeFeed,
        broker: NatsBroker | None,
        telemetry: Telemetry,
        *,
        views: Sequence[View],
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
        retry_first_s: float = RETRY_FIRST_S,
    ) -> None:
        self._directory = directory
        self._feed = feed
        self._broker = broker
        self._telemetry = telemetry
        self._views = views
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._retry_first_s = retry_first_s
        self._holder = uuid.uuid4()
        self._leased_s: float | None = None
        self._failures = 0
        self._cause: str | None = None
        #: Whether the database says that nothing fails since this process has the lease.
        self._is_noted = False
        #: The views whose last message in the stream has been read since it was connected.
        self._resumed: set[tuple[int, View]] = set()

    async def run(self) -> None:
        """Publish until cancelled."""
        if self._broker is None:
            return
        try:
            while True:
                pause_s = await self._turn(self._broker)
                await asyncio.sleep(pause_s)
        finally:
            await self._broker.close()
            await self._release()

    async def publish_due(self) -> int:
        """Publish what can be published now; how many changes. Raises BrokerFailed."""
        broker = self._broker
        if broker is None or not await self._has_lease():
            return 0
        behind = await self._directory.broker.list_behind(self._views, VIEWS_PER_TURN)
        oldest = min((item.next_at for item in behind), default=None)
        self._telemetry.publication_behind(0.0 if oldest is None else time.time() - oldest / 1_000_000)
        if not broker.is_connected:
            self._resumed.clear()
            await broker.connect()
        return sum([await self._publish(broker, item) for item in behind])

    async def _turn(self, broker: NatsBroker) -> float:
        """Publish what is due; the seconds until the next turn."""
        try:
            number = await self.publish_due()
            await self._note_success(broker)
        except BrokerFailed as error:
            return await self._note_failure(broker, error)
        except OneselfError as error:
            _logger.warning("publisher_interrupted", cause=type(error).__name__)
            self._leased_s = None
            return self._poll_s
        except Exception:
            _logger.exception("publisher_failed")
            await broker.close()
            return RETRY_LONGEST_S
        if self._leased_s is None:
            await broker.close()
            return self._lease_s / 3
        return 0.0 if number else self._poll_s

    async def _has_lease(self) -> bool:
        now_s = time.monotonic()
        if self._leased_s is None or now_s - self._leased_s > min(RENEW_S, self._lease_s / 3):
            leased = await self._directory.broker.lease(self._holder, self._lease_s)
            self._is_noted = self._is_noted and self._leased_s is not None
            self._leased_s = now_s if leased else None
        return self._leased_s is not None

    async def _publish(self, broker: NatsBroker, behind: FeedBehind) -> int:
        """Publish some pages of a view; how many changes."""
        at = DatasetRef(behind.org_id, behind.handle, behind.dataset_id, behind.dataset)
        position, number = await self._begin(broker, at, behind), 0
        for _ in range(PAGES_PER_TURN):
            if not await self._has_lease():
                break
            page, lost_at = await self._next_page(at, behind.view, position)
            published = await broker.publish(_messages(broker, at, behind.view, page.changes))
            number += published.stored
            self._telemetry.changes_published(published.stored)
            reached = _reached(position, page, published)
            if reached != position and not await self._directory.broker.advance(
                self._holder, at.dataset_id, behind.view, reached, lost_at
            ):
                self._leased_s = None
            position = reached
            if published.failure is not None:
                raise published.failure
            if not page.more:
                break
        return number

    async def _begin(self, broker: NatsBroker, at: DatasetRef, behind: FeedBehind) -> ChangePosition:
        """Where to continue: after the last message of the view in the stream, if it says so."""
        if (at.dataset_id, behind.view) in self._resumed:
            return behind.position
        last = await broker.find_last(f"{_subject(broker, at, behind.view)}.>")
        stored = None if last is None else position_of(last)
        self._resumed.add((at.dataset_id, behind.view))
        if stored is None or stored < await self._feed.floor(at):
            return behind.position
        # A position that is not reached yet is of another database.
        return stored if stored <= await self._feed.now(at) else behind.position

    async def _next_page(
        self, at: DatasetRef, view: View, after: ChangePosition
    ) -> tuple[FeedPage, int | None]:
        """The changes after a position, and when others before them were lost; None: none was."""
        try:
            return await self._feed.page(at, view, after=after, size=CHANGES_PER_PAGE), None
        except Expired:
            _logger.warning("changes_lost", org=at.handle, dataset=at.dataset, view=view)
            return FeedPage((), await self._feed.floor(at), more=True), time.time_ns() // 1000

    async def _note_success(self, broker: NatsBroker) -> None:
        if self._leased_s is None or self._is_noted:
            return
        # The failure may be that of a process that had the lease before.
        await self._directory.broker.put_failure(self._holder, None)
        self._is_noted = True
        if self._failures:
            self._failures, self._cause = 0, None
            _logger.info("broker_answers_again", stream=broker.stream)

    async def _note_failure(self, broker: NatsBroker, error: BrokerFailed) -> float:
        """Let another process try; the seconds until the next attempt."""
        self._failures, self._is_noted = self._failures + 1, False
        self._telemetry.publication_failed(error.cause)
        if error.cause != self._cause:
            self._cause = error.cause
            _logger.warning("changes_not_published", cause=error.cause, reason=error.message)
        await broker.close()
        try:
            await self._directory.broker.put_failure(self._holder, error.message[:FAILURE_CHARACTERS_MAX])
            await self._release()
        except OneselfError:
            self._leased_s = None
        return wait_s(self._retry_first_s, self._failures, RETRY_LONGEST_S)

    async def _release(self) -> None:
        if self._leased_s is not None:
            self._leased_s = None
            await self._directory.broker.release(self._holder)


def _reached(former: ChangePosition, page: FeedPage, published: Published) -> ChangePosition:
    """Up to where the changes of a page are in the stream."""
    if published.failure is None:
        return page.position
    return page.changes[published.stored - 1].position if published.stored else former


def _messages(
    broker: NatsBroker, at: DatasetRef, view: View, changes: Sequence[FeedChange]
) -> list[BrokerMessage]:
    source, subject = FeedSource(at.handle, at.dataset, view), _subject(broker, at, view)
    documents = (render_change(item.change, item.position, item.observation_id, source) for item in changes)
    return [
        BrokerMessage(
            f"{subject}.{document.type.removeprefix('profile.')}",
            f"{at.handle}/{at.dataset}/{view}/{document.cursor}",
            msgspec.json.encode(document),
        )
        for document in documents
    ]


def _subject(broker: NatsBroker, at: DatasetRef, view: View) -> str:
    return ".".join((broker.root, subject_word(at.handle), subject_word(at.dataset), view))
