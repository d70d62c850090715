"""The tables `broker`, who publishes changes to a message broker, and `broker_position`, up to where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.core.identity_graph.joins import View
from oneself.store.queries import Queries
from oneself.store.tables.profile_change import ChangePosition
from oneself.store.tables.table import struct_of, structs_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("broker")
#: The only kind of broker.
NATS = "nats"


class BrokerState(msgspec.Struct, frozen=True):
    """Whether publishing fails. `failing_since`: in µs since 1970."""

    failing_since: int | None = None
    failure: str | None = None


class FeedBehind(msgspec.Struct, frozen=True):
    """A view of a dataset that has changes to publish. `next_at`: when the first was recorded, in µs."""

    org_id: int
    #: The organisation's handle.
    handle: str
    dataset_id: int
    #: The name of the dataset.
    dataset: str
    view: View
    recorded_at: int
    observation_id: UUID
    number: int
    next_at: int

    @property
    def position(self) -> ChangePosition:
        """Up to where its changes are published."""
        return ChangePosition(self.recorded_at, self.observation_id, self.number)


class LostChanges(msgspec.Struct, frozen=True):
    """A view of a dataset of which changes were deleted before they were published."""

    handle: str
    dataset: str
    view: View
    #: In µs since 1970.
    lost_at: int


class BrokerTable:
    """The lease of the process that publishes, and its positions in every dataset."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def lease(self, holder: UUID, seconds: float) -> bool:
        """Take or renew the lease; False if another process has it."""
        return await self._executor.fetchval(_sql.lease, NATS, holder, seconds) is not None

    async def release(self, holder: UUID) -> None:
        """Let others take the lease, if this process has it."""
        await self._executor.execute(_sql.release, NATS, holder)

    async def put_failure(self, holder: UUID, failure: str | None) -> None:
        """Record why publishing fails; None: it does not any more."""
        await self._executor.execute(_sql.put_failure, NATS, holder, failure)

    async def find(self) -> BrokerState:
        """Whether publishing fails."""
        found = struct_of(BrokerState, await self._executor.fetchrow(_sql.find, NATS))
        return found or BrokerState()

    async def list_behind(self, views: Sequence[View], limit: int) -> list[FeedBehind]:
        """The views of datasets that have changes to publish, those that wait for longest first."""
        found = await self._executor.fetch(_sql.list_behind, [*views], limit)
        return structs_of(FeedBehind, found)

    async def advance(
        self,
        holder: UUID,
        dataset_id: int,
        view: View,
        position: ChangePosition,
        lost_at: int | None = None,
    ) -> bool:
        """Move a position; False if this process has the lease no more."""
        asked = dataset_id, view, *msgspec.structs.astuple(position), lost_at
        return await self._executor.fetchval(_sql.advance, NATS, holder, *asked) is not None

    async def list_lost(self, limit: int) -> list[LostChanges]:
        """The views of datasets of which changes were lost, the last first."""
        return structs_of(LostChanges, await self._executor.fetch(_sql.list_lost, limit))
