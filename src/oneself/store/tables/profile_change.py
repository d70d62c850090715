"""The tables `profile_change`, what changed of profiles for other systems that follow, and
`profile_change_floor`, how far it reaches back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec

from oneself.core.fold.profile_changes import ProfileChange
from oneself.core.units import SEQ_MAX, UUID_MAX
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("profile_change")


class StoredChange(msgspec.Struct, frozen=True, array_like=True):
    """A change, and the views that have it, each as a bit."""

    views: int
    change: ProfileChange


_decode = msgspec.json.Decoder(tuple[StoredChange, ...]).decode
_encode = msgspec.json.Encoder().encode


class ChangePosition(msgspec.Struct, frozen=True, order=True):
    """A position in the changes of a dataset; a page begins after it."""

    #: When the change was recorded, in µs since 1970.
    recorded_at: Annotated[int, msgspec.Meta(ge=0, le=SEQ_MAX)]
    observation_id: UUID
    #: How many changes of the observation are before it.
    number: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


#: Before every change, and after every one.
BEGINNING, END = ChangePosition(0, UUID(int=0), 0), ChangePosition(SEQ_MAX, UUID_MAX, 0)


class RecordedChanges(msgspec.Struct, frozen=True):
    """What one observation changed."""

    #: In µs since 1970; later than earlier changes of the same profiles.
    recorded_at: int
    observation_id: UUID
    changes: tuple[StoredChange, ...]


class ProfileChangeTable(Table):
    """The changes of a dataset."""

    __slots__ = ()

    async def put(self, changes: Mapping[tuple[int, UUID], Sequence[StoredChange]]) -> None:
        """Append changes, by their step and their observation; those of a step are before those of the next.

        The transaction has locked the configuration, shared or not, and whatever the changes are about.
        """
        if changes:
            texts = [_encode(found).decode() for found in changes.values()]
            steps, observations = zip(*changes, strict=True)
            await self._executor.execute(_sql.put, self._dataset_id, [*observations], texts, [*steps])

    async def list_after(self, after: ChangePosition, until: int, limit: int) -> list[RecordedChanges]:
        """The changes of the next observations from that of a position on, recorded before `until`, in µs."""
        asked = after.recorded_at, after.observation_id, until, limit
        return [
            RecordedChanges(row["recorded_at"], row["observation_id"], _decode(row["changes"]))
            for row in await self._executor.fetch(_sql.list_after, self._dataset_id, *asked)
        ]

    async def find_floor(self) -> int:
        """The instant, in µs since 1970, before which changes are deleted; 0: none is."""
        return int(await self._executor.fetchval(_sql.find_floor, self._dataset_id))

    async def put_floor(self) -> None:
        """Make everything too old that was recorded up to now, so that whoever follows begins anew."""
        await self._executor.execute(_sql.put_floor, self._dataset_id)

    async def delete_before(self, recorded_at: int, limit: int) -> int:
        """Delete the oldest changes before an instant; returns of how many observations."""
        return int(await self._executor.fetchval(_sql.delete_before, self._dataset_id, recorded_at, limit))


async def find_next_dataset(executor: Executor, after: int) -> int | None:
    """The next dataset with changes, in the order of ids."""
    found: int | None = await executor.fetchval(_sql.find_next_dataset, after)
    return found
