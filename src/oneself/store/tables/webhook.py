"""The tables `webhook`, who receives changes of profiles, and `webhook_delivery`, what they receive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec

from oneself.core.identity_graph.joins import View
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.profile_change import ChangePosition
from oneself.store.tables.table import OrganisationTable, structs_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("webhook")

DeliveryState = Literal["waiting", "delivered", "dead"]


class WebhookRow(msgspec.Struct, frozen=True):
    """A webhook as it is stored. Instants in µs since 1970."""

    webhook_id: UUID
    dataset_id: int
    #: The name of the dataset.
    dataset: str
    url: str
    view: View
    #: Empty: all.
    types: list[str]
    secrets_encrypted: bytes
    is_active: bool
    created_at: int
    updated_at: int
    #: When changes that it had not received were last deleted.
    lost_at: int | None = None
    waiting: int = 0
    dead: int = 0


class LeasedWebhook(msgspec.Struct, frozen=True):
    """A webhook that this process serves."""

    org_id: int
    #: The organisation's handle.
    handle: str
    webhook_id: UUID
    dataset_id: int
    #: The name of the dataset.
    dataset: str
    url: str
    view: View
    types: list[str]
    secrets_encrypted: bytes
    recorded_at: int
    observation_id: UUID
    number: int
    #: In µs since 1970. It names the lease.
    leased_until: int

    @property
    def position(self) -> ChangePosition:
        """Up to where its changes are deliveries."""
        return ChangePosition(self.recorded_at, self.observation_id, self.number)


class NewDelivery(msgspec.Struct, frozen=True):
    """A change to deliver."""

    delivery_id: UUID
    position: ChangePosition
    profile_ids: Sequence[UUID]
    type: str
    body: str


class DueChange(msgspec.Struct, frozen=True):
    """A delivery that is due."""

    delivery_id: UUID
    body: str
    #: Those before.
    attempts: int
    #: In µs since 1970.
    expires_at: int


class DeliveryRow(msgspec.Struct, frozen=True):
    """A delivery as it is listed. Instants in µs since 1970."""

    delivery_id: UUID
    recorded_at: int
    observation_id: UUID
    number: int
    type: str
    body: str
    state: DeliveryState
    attempts: int
    created_at: int
    due_at: int
    finished_at: int | None
    failure: str | None

    @property
    def position(self) -> ChangePosition:
        """Of the change."""
        return ChangePosition(self.recorded_at, self.observation_id, self.number)


class WebhookQueue:
    """The webhooks of every organisation, to be served."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def lease(self, lease_s: float, limit: int) -> list[LeasedWebhook]:
        """Take webhooks that nobody serves, for `lease_s` seconds."""
        return structs_of(LeasedWebhook, await self._executor.fetch(_sql.lease, lease_s, limit))

    async def delete_finished(self, before: int) -> int:
        """Delete deliveries that were finished before an instant; returns how many."""
        return int(await self._executor.fetchval(_sql.delete_finished, before))


class WebhookTable(OrganisationTable):
    """The webhooks of an organisation, and their deliveries."""

    __slots__ = ()

    async def put(self, row: WebhookRow, recorded_at: int = 0) -> None:
        """Insert or replace a webhook. `recorded_at`: the position from which a new one receives changes."""
        await self._executor.execute(
            _sql.put, self._org_id, row.webhook_id, row.dataset_id, row.url, row.view, row.types,
            row.secrets_encrypted, row.is_active, row.created_at, row.updated_at, recorded_at,
        )  # fmt: skip

    async def find(self, webhook_id: UUID | None = None) -> list[WebhookRow]:
        """The webhooks, the oldest first, or the one with an id."""
        return structs_of(WebhookRow, await self._executor.fetch(_sql.list, self._org_id, webhook_id))

    async def delete(self, webhook_id: UUID) -> bool:
        """Delete a webhook; False if there is none."""
        return await self._executor.fetchval(_sql.delete, self._org_id, webhook_id) is not None

    async def renew(self, webhook_id: UUID, leased_until: int, lease_s: float) -> int | None:
        """Keep a webhook for `lease_s` seconds more (0: others may take it); until when, None: it is lost."""
        renewed: int | None = await self._executor.fetchval(
            _sql.renew, self._org_id, webhook_id, leased_until, lease_s
        )
        return renewed

    async def advance(
        self,
        webhook_id: UUID,
        former: ChangePosition,
        position: ChangePosition,
        lost_at: int | None = None,
    ) -> bool:
        """Move the position; False if it is not the former one any more."""
        asked = *msgspec.structs.astuple(former), *msgspec.structs.astuple(position), lost_at
        moved = await self._executor.fetchval(_sql.advance, self._org_id, webhook_id, *asked)
        return moved is not None

    async def put_deliveries(
        self, webhook_id: UUID, new: Sequence[NewDelivery], now: int, expires_at: int
    ) -> None:
        """Add deliveries that are due at once."""
        if new:
            columns = rows.columns(7, map(_row, new))
            await self._executor.execute(
                _sql.put_deliveries, self._org_id, webhook_id, now, expires_at, *columns
            )

    async def count_waiting(self, webhook_id: UUID) -> int:
        """How many deliveries wait."""
        return int(await self._executor.fetchval(_sql.count_waiting, self._org_id, webhook_id))

    async def list_due(self, webhook_id: UUID, now: int, limit: int) -> list[DueChange]:
        """The next deliveries that can be sent beside each other."""
        found = await self._executor.fetch(_sql.list_due, self._org_id, webhook_id, now, limit)
        return structs_of(DueChange, found)

    async def put_outcome(
        self,
        webhook_id: UUID,
        delivery_id: UUID,
        state: DeliveryState,
        due_at: int,
        finished_at: int | None,
        failure: str | None,
    ) -> None:
        """Record the outcome of an attempt."""
        asked = webhook_id, delivery_id, state, due_at, finished_at, failure
        await self._executor.execute(_sql.put_outcome, self._org_id, *asked)

    async def list_deliveries(
        self, webhook_id: UUID, state: str | None, before: ChangePosition, limit: int
    ) -> list[DeliveryRow]:
        """Deliveries before a position, the last first."""
        asked = webhook_id, state, *msgspec.structs.astuple(before), limit
        return structs_of(DeliveryRow, await self._executor.fetch(_sql.list_deliveries, self._org_id, *asked))

    async def send_again(
        self, webhook_id: UUID, delivery_ids: Sequence[UUID] | None, now: int, expires_at: int
    ) -> int:
        """Make finished deliveries due again, or all dead ones; returns how many."""
        ids = None if delivery_ids is None else [*delivery_ids]
        asked = webhook_id, ids, now, expires_at
        return len(await self._executor.fetch(_sql.send_again, self._org_id, *asked))


def _row(new: NewDelivery) -> tuple[object, ...]:
    ids = msgspec.json.encode(list(new.profile_ids)).decode()
    return new.delivery_id, *msgspec.structs.astuple(new.position), ids, new.type, new.body
