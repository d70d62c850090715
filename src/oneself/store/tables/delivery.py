"""The table `delivery`: what is to be sent, and what is in the development outbox."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, structs_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("delivery")


class DueDelivery(msgspec.Struct, frozen=True):
    """A delivery that is due, and its organisation."""

    org_id: int
    #: The organisation's handle and name.
    handle: str
    name: str
    delivery_id: UUID
    #: `mail` or `webhook`.
    channel: str
    kind: str
    recipient: str
    #: The account that it is about; None: whichever has the address by then.
    user_id: UUID | None
    facts: dict[str, str]
    #: Encrypted; None: not made yet.
    content: bytes | None
    #: In µs since 1970, as `expires_at`.
    created_at: int
    expires_at: int
    #: How often it was taken, this time included.
    attempts: int


class DeliveredRow(msgspec.Struct, frozen=True):
    """A delivery in the development outbox."""

    delivery_id: UUID
    channel: str
    recipient: str
    #: Encrypted.
    content: bytes
    #: In µs since 1970.
    created_at: int


class DeliveryQueue:
    """The deliveries of every organisation that wait."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def take_due(
        self, now: int, until: int, channels: Collection[str], limit: int
    ) -> list[DueDelivery]:
        """What is due on some channels, and nobody else takes before `until` (µs since 1970)."""
        due = await self._executor.fetch(_sql.take_due, now, until, list(channels), limit)
        return structs_of(DueDelivery, due)

    async def count_waiting(self, channel: str, now: int) -> int:
        """How many deliveries on a channel were tried and could not be sent yet."""
        return int(await self._executor.fetchval(_sql.count_waiting, channel, now))


class DeliveryTable(OrganisationTable):
    """The deliveries of an organisation."""

    __slots__ = ()

    async def put(
        self,
        delivery_id: UUID,
        channel: str,
        kind: str,
        recipient: str,
        user_id: UUID | None,
        facts: Mapping[str, str],
        now: int,
        expires_at: int,
    ) -> None:
        """Insert something to send at once; instants in µs since 1970."""
        asked = delivery_id, channel, kind, recipient, user_id, dict(facts), now, expires_at
        await self._executor.execute(_sql.put, self._org_id, *asked)

    async def put_content(self, delivery_id: UUID, content: bytes) -> None:
        """Store what a delivery says, encrypted."""
        await self._executor.execute(_sql.put_content, self._org_id, delivery_id, content)

    async def put_failure(self, delivery_id: UUID, failure: str, due_at: int) -> None:
        """Record why a delivery failed, and when it is due again (µs since 1970)."""
        await self._executor.execute(_sql.put_failure, self._org_id, delivery_id, failure, due_at)

    async def put_delivered(self, delivery_id: UUID, now: int) -> None:
        """Record that the development outbox has a delivery."""
        await self._executor.execute(_sql.put_delivered, self._org_id, delivery_id, now)

    async def delete(self, delivery_id: UUID) -> None:
        """Delete a delivery."""
        await self._executor.execute(_sql.delete, self._org_id, delivery_id)

    async def delete_waiting(self, user_id: UUID, kind: str) -> None:
        """Delete the deliveries of a kind about an account that have not been sent."""
        await self._executor.execute(_sql.delete_waiting, self._org_id, user_id, kind)

    async def list_delivered(self, limit: int) -> list[DeliveredRow]:
        """The newest deliveries in the development outbox."""
        return structs_of(DeliveredRow, await self._executor.fetch(_sql.list_delivered, self._org_id, limit))

    async def count_failing(self, channel: str, now: int) -> int:
        """How many deliveries on a channel were tried and could not be sent yet. `now`: µs since 1970."""
        return int(await self._executor.fetchval(_sql.count_failing, self._org_id, channel, now))
