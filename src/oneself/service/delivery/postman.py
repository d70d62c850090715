"""The postman: sends what is in the outbox, each channel by its carrier.

    due ─▶ composed ─▶ carried ─▶ accepted or rejected: deleted
                               ├▶ deferred: due again later, until it expires
                               └▶ nothing to carry it by: the development outbox

Lives here: taking, composing and retrying. Must not know: what a mail says (`Compose`), and a protocol.

Invariants: a delivery is sent at least once until it expires, with the same id each time. Nothing waits for a
server but the postman, and no channel waits for another one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol, cast

import structlog

from oneself.adapters.mail import OutgoingMail
from oneself.errors import DeliveryDeferred, DeliveryRejected, OneselfError
from oneself.service.delivery.outbox import CHANNELS, SECOND_US, Channel, Content, MailText, Outbox
from oneself.service.delivery.retries import FAILURE_CHARACTERS_MAX, wait_s
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.delivery import DueDelivery

_logger = structlog.get_logger("oneself.delivery")

#: Deliveries that a process sends at a time.
BATCH_MAX = 20
#: Longer than an attempt takes. A delivery whose process died is taken again afterwards.
LEASE_US = 120 * SECOND_US
#: The time to the second attempt of a mail. It doubles with each, up to the longest.
RETRY_FIRST_S = 30.0
RETRY_LONGEST_S = 3_600.0

#: Says what a letter says, in a transaction; None: there is nothing to say any more.
Compose = Callable[[DirectoryTables, DueDelivery], Awaitable[Content | None]]


class Carrier(Protocol):
    """Sends the deliveries of one channel."""

    @property
    def retry_first_s(self) -> float:
        """The time to the second attempt."""

    async def carry(self, delivery: DueDelivery, content: Content) -> bool:
        """Send a delivery; False if nothing is set up that it could be sent by.

        Raises DeliveryDeferred, DeliveryRejected.
        """


class Mailer(Protocol):
    """Hands mails to a server."""

    async def send(self, mail: OutgoingMail) -> None:
        """Raises DeliveryDeferred, DeliveryRejected."""


class MailCarrier:
    """Sends mails through the server of the deployment. `mailer`: None: there is none."""

    def __init__(self, mailer: Mailer | None, *, retry_first_s: float = RETRY_FIRST_S) -> None:
        self._mailer = mailer
        self.retry_first_s = retry_first_s

    async def carry(self, delivery: DueDelivery, content: Content) -> bool:
        """As `Carrier.carry`."""
        assert isinstance(content, MailText)
        if self._mailer is None:
            return False
        mail = OutgoingMail(
            str(delivery.delivery_id),
            content.recipient or delivery.recipient,
            content.subject,
            content.text,
            content.html,
            delivery.name,
        )
        await self._mailer.send(mail)
        return True


class Postman:
    """Sends what is in the outbox, from time to time and when it is woken."""

    def __init__(
        self,
        directory: Directory,
        outbox: Outbox,
        carriers: Mapping[Channel, Carrier],
        compose: Mapping[str, Compose],
    ) -> None:
        """`compose`: for each kind of letter."""
        self._directory = directory
        self._outbox = outbox
        self._carriers = carriers
        self._compose = compose

    async def count_waiting(self, channel: Channel) -> int:
        """How many deliveries of a channel could not be sent yet."""
        return await self._directory.delivery_queue.count_waiting(channel, time.time_ns() // 1000)

    async def run(self) -> None:
        """Work until cancelled. Another process takes over what is interrupted."""
        await asyncio.gather(*(self._run(channel) for channel in CHANNELS))

    async def _run(self, channel: Channel) -> None:
        while True:
            try:
                while await self.deliver_due((channel,)):
                    pass
            except OneselfError as error:
                _logger.warning("delivery_interrupted", channel=channel, cause=type(error).__name__)
            await self._outbox.wait(channel)

    async def deliver_due(self, channels: Collection[Channel] = CHANNELS) -> int:
        """Try to send what is due next, beside each other; how much there was."""
        now = time.time_ns() // 1000
        due = await self._directory.delivery_queue.take_due(now, now + LEASE_US, channels, BATCH_MAX)
        await asyncio.gather(*(self._deliver(delivery) for delivery in due))
        return len(due)

    async def _deliver(self, delivery: DueDelivery) -> None:
        """Try one. Whatever happens to it holds up no other one; it is due again after LEASE_US."""
        try:
            content = await self._content_of(delivery)
            if content is None:
                await self._directory.of(delivery.org_id).deliveries.delete(delivery.delivery_id)
            else:
                await self._carry(delivery, content)
        except Exception as error:
            _logger.warning("delivery_failed", **_described(delivery), cause=type(error).__name__)

    async def _carry(self, delivery: DueDelivery, content: Content) -> None:
        deliveries = self._directory.of(delivery.org_id).deliveries
        carrier = self._carriers[cast(Channel, delivery.channel)]
        try:
            if not await carrier.carry(delivery, content):
                await deliveries.put_delivered(delivery.delivery_id, time.time_ns() // 1000)
                return
        except DeliveryRejected as error:
            # Addresses are typed by people, so most rejected mails are misspelled; a webhook has a fault.
            log = _logger.info if delivery.channel == "mail" else _logger.warning
            log("delivery_rejected", **_described(delivery), cause=error.cause)
        except DeliveryDeferred as error:
            described = _described(delivery)
            _logger.warning("delivery_deferred", **described, attempts=delivery.attempts, cause=error.cause)
            wait_us = int(wait_s(carrier.retry_first_s, delivery.attempts, RETRY_LONGEST_S) * SECOND_US)
            failure, due_at = error.message[:FAILURE_CHARACTERS_MAX], time.time_ns() // 1000 + wait_us
            await deliveries.put_failure(delivery.delivery_id, failure, due_at)
            return
        await deliveries.delete(delivery.delivery_id)

    async def _content_of(self, delivery: DueDelivery) -> Content | None:
        """What a delivery says. It is made once: a later attempt sends the same links and codes."""
        if delivery.content is not None:
            return self._outbox.decrypt(delivery.delivery_id, delivery.channel, delivery.content)
        async with self._directory.transaction() as tables:
            content = await self._compose[delivery.kind](tables, delivery)
            if content is not None:
                encrypted = self._outbox.encrypt(delivery.delivery_id, content)
                await tables.of(delivery.org_id).deliveries.put_content(delivery.delivery_id, encrypted)
        return content


def _described(delivery: DueDelivery) -> dict[str, str]:
    """What the log says of a delivery: nothing personal."""
    return {"channel": delivery.channel, "kind": delivery.kind, "org": delivery.handle}
