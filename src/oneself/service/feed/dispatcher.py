"""The dispatcher: sends changes of profiles to webhooks.

    feed ─▶ deliveries, up to BACKLOG_MAX ─▶ due, the first of each profile ─▶ accepted: delivered
                                                                          ├▶ else due again later
                                                                          └▶ after three days: dead

Invariants: a change is sent at least once, with the same id each time; two changes that share a profile never
beside each other or out of order. One process serves a webhook at a time, for as long as it renews its lease,
and no webhook waits for another. Changes stay in the feed while many deliveries wait. What a process had in
hand that died is sent again.

Source: docs/guides/change-feed.md, docs/decisions/0046-webhooks-follow-the-feed.md.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import msgspec
import structlog

from oneself.adapters.change_event import FeedSource, profile_ids, render_change
from oneself.adapters.webhook import WebhookClient
from oneself.errors import DeliveryDeferred, DeliveryRejected, Expired, OneselfError, Unavailable
from oneself.service.context import DatasetRef
from oneself.service.delivery.retries import FAILURE_CHARACTERS_MAX, wait_s
from oneself.service.feed.webhooks import SECOND_US, TRIED_US, Webhooks, signing
from oneself.service.history.change_feed import ChangeFeed, FeedChange
from oneself.store.directory import Directory
from oneself.store.tables.webhook import DueChange, LeasedWebhook, NewDelivery, WebhookTable

_logger = structlog.get_logger("oneself.webhooks")

POLL_S = 1.0
#: Webhooks that one process serves beside each other.
SERVED_MAX = 20
#: Deliveries of a webhook that wait, and that are sent beside each other.
BACKLOG_MAX = 300
SENT_AT_ONCE = 10
CHANGES_PER_PAGE = 100
#: A webhook whose process died is served again afterwards.
LEASE_S = 15.0
TURN_S = 60.0
RETRY_FIRST_S = 5.0
RETRY_LONGEST_S = 3_600.0
#: For so long, finished deliveries are listed.
LISTED_US = 30 * 24 * 3600 * SECOND_US


class _Lease:
    """That this process alone serves a webhook."""

    def __init__(self, table: WebhookTable, webhook: LeasedWebhook, lease_s: float) -> None:
        self._table = table
        self._webhook_id = webhook.webhook_id
        self._until = webhook.leased_until
        self._lease_s = lease_s

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renew it meanwhile and give it back. Raises TimeoutError once it is lost or not renewed in time."""
        async with asyncio.timeout(self._lease_s) as lost:
            renewing = asyncio.create_task(self._renew(lost))
            try:
                yield
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
                # Others may take the webhook from now on.
                await self._table.renew(self._webhook_id, self._until, 0)

    async def _renew(self, lost: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._lease_s / 3)
            asked_s = loop.time()
            with suppress(Unavailable):
                until = await self._table.renew(self._webhook_id, self._until, self._lease_s)
                if until is None:
                    lost.reschedule(asked_s)
                    return
                self._until = until
                lost.reschedule(asked_s + self._lease_s)


class Dispatcher:
    """Sends changes to webhooks."""

    def __init__(
        self,
        directory: Directory,
        feed: ChangeFeed,
        webhooks: Webhooks,
        client: WebhookClient,
        *,
        retry_first_s: float = RETRY_FIRST_S,
        poll_s: float = POLL_S,
        turn_s: float = TURN_S,
        lease_s: float = LEASE_S,
    ) -> None:
        self._directory = directory
        self._feed = feed
        self._webhooks = webhooks
        self._client = client
        self._retry_first_s = retry_first_s
        self._poll_s = poll_s
        self._turn_s = turn_s
        self._lease_s = lease_s
        self._serving: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                try:
                    await self.begin()
                except OneselfError as error:
                    _logger.warning("webhooks_interrupted", cause=type(error).__name__)
                await asyncio.sleep(self._poll_s)
        finally:
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def begin(self) -> None:
        """Begin to serve the webhooks that nobody serves, each beside the others."""
        self._serving = {task for task in self._serving if not task.done()}
        free = SERVED_MAX - len(self._serving)
        for webhook in await self._directory.webhook_queue.lease(self._lease_s, free) if free else ():
            self._serving.add(asyncio.create_task(self._serve(webhook)))

    async def serve_all(self) -> None:
        """Serve each webhook that nobody serves, once."""
        await self.begin()
        await asyncio.gather(*self._serving)

    async def sweep(self) -> int:
        """Delete deliveries that were finished long ago; returns how many."""
        return await self._directory.webhook_queue.delete_finished(time.time_ns() // 1000 - LISTED_US)

    async def _serve(self, webhook: LeasedWebhook) -> None:
        """One turn, with the lease."""
        lease = _Lease(self._directory.of(webhook.org_id).webhooks, webhook, self._lease_s)
        try:
            async with lease.renewed():
                await self._take_turn(webhook)
        except TimeoutError:
            _logger.warning("webhook_lease_lost", org=webhook.handle)
        except OneselfError as error:
            _logger.warning("webhook_interrupted", org=webhook.handle, cause=type(error).__name__)
        except Exception:
            _logger.exception("webhook_failed", org=webhook.handle)

    async def _take_turn(self, webhook: LeasedWebhook) -> None:
        """Send what is due until nothing is, or the turn is over."""
        ends_s, busy = time.monotonic() + self._turn_s, True
        while busy and time.monotonic() < ends_s:
            webhook, added = await self._fill(webhook)
            busy = await self._send_due(webhook) > 0 or added

    async def _fill(self, webhook: LeasedWebhook) -> tuple[LeasedWebhook, bool]:
        """Make deliveries of the next changes, unless many wait; the webhook then, and whether it moved."""
        table = self._directory.of(webhook.org_id).webhooks
        if await table.count_waiting(webhook.webhook_id) >= BACKLOG_MAX:
            return webhook, False
        at = DatasetRef(webhook.org_id, webhook.handle, webhook.dataset_id, webhook.dataset)
        now, lost_at = time.time_ns() // 1000, None
        try:
            page = await self._feed.page(at, webhook.view, after=webhook.position, size=CHANGES_PER_PAGE)
            changes, position = page.changes, page.position
        except Expired:
            changes, position, lost_at = (), await self._feed.floor(at), now
            _logger.warning("webhook_lost_changes", org=webhook.handle)
        new = self._deliveries(webhook, at, changes)
        if position == webhook.position:
            return webhook, False
        async with self._directory.transaction() as transaction:
            inside = transaction.of(webhook.org_id).webhooks
            if not await inside.advance(webhook.webhook_id, webhook.position, position, lost_at):
                return webhook, False
            await inside.put_deliveries(webhook.webhook_id, new, now, now + TRIED_US)
        moved = msgspec.structs.replace(
            webhook,
            recorded_at=position.recorded_at,
            observation_id=position.observation_id,
            number=position.number,
        )
        return moved, bool(changes) or lost_at is not None

    def _deliveries(
        self, webhook: LeasedWebhook, at: DatasetRef, changes: Sequence[FeedChange]
    ) -> list[NewDelivery]:
        source, new = FeedSource(at.handle, at.dataset, webhook.view), list[NewDelivery]()
        for item in changes:
            document = render_change(item.change, item.position, item.observation_id, source)
            if not webhook.types or document.type in webhook.types:
                body = msgspec.json.encode(document).decode()
                ids = profile_ids(item.change)
                new.append(NewDelivery(uuid.uuid4(), item.position, ids, document.type, body))
        return new

    async def _send_due(self, webhook: LeasedWebhook) -> int:
        """Send what is due next, beside each other; how much there was."""
        table = self._directory.of(webhook.org_id).webhooks
        due = await table.list_due(webhook.webhook_id, time.time_ns() // 1000, SENT_AT_ONCE)
        if due:
            known = self._webhooks.secrets_of(webhook.org_id, webhook.webhook_id, webhook.secrets_encrypted)
            texts = signing(known, time.time_ns() // 1000)
            await asyncio.gather(*(self._send(webhook, texts, item) for item in due))
        return len(due)

    async def _send(self, webhook: LeasedWebhook, texts: Sequence[str], due: DueChange) -> None:
        table, failure = self._directory.of(webhook.org_id).webhooks, None
        try:
            await self._client.post(webhook.url, texts, str(due.delivery_id), due.body.encode())
        except (DeliveryDeferred, DeliveryRejected) as error:
            failure = error.message[:FAILURE_CHARACTERS_MAX]
            _logger.info("change_not_delivered", org=webhook.handle, attempts=due.attempts + 1)
        now = time.time_ns() // 1000
        if failure is None:
            await table.put_outcome(webhook.webhook_id, due.delivery_id, "delivered", now, now, None)
            return
        wait = wait_s(self._retry_first_s, due.attempts + 1, RETRY_LONGEST_S)
        due_at = now + int(wait * SECOND_US)
        is_dead = due_at > due.expires_at
        await table.put_outcome(
            webhook.webhook_id,
            due.delivery_id,
            "dead" if is_dead else "waiting",
            due_at,
            now if is_dead else None,
            failure,
        )
