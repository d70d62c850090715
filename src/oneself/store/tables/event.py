"""Events in the table `log`, for reading: those of profiles, and scans through the whole log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
import msgspec

from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan
from oneself.core.units import SEQ_MAX, UUID_MAX
from oneself.store.queries import Queries
from oneself.store.rows import config_hash
from oneself.store.tables.table import Table

_sql = Queries("event")

Direction = Literal["forwards", "backwards"]
_RANGES = {
    "forwards": "(seq, observation_id) > ($2, $3) AND seq < $4",
    "backwards": "(seq, observation_id) < ($2, $3) AND seq >= $4",
}
_ORDERS = {"forwards": "seq, observation_id", "backwards": "seq DESC, observation_id DESC"}


class EventPosition(msgspec.Struct, frozen=True):
    """A position in the log; a page begins after it."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=SEQ_MAX)]
    observation_id: UUID


#: After every entry.
NOW = EventPosition(SEQ_MAX, UUID_MAX)


class EventFilter(msgspec.Struct, frozen=True):
    """Which events: with this name, that happened from `since` to `until`, both in µs since 1970."""

    name: str | None = None
    since: int | None = None
    until: int | None = None

    @property
    def parameters(self) -> tuple[str | None, int, int]:
        """Name and both instants, for a statement."""
        since = -SEQ_MAX if self.since is None else self.since
        return self.name, since, SEQ_MAX if self.until is None else self.until


class RecordedEvent(msgspec.Struct, frozen=True):
    """An event of a profile."""

    position: EventPosition
    observation: Observation
    #: In µs since 1970.
    occurred_at: int


class ScannedEntry(msgspec.Struct, frozen=True):
    """An entry that a scan passed; one that the filter leaves out has nothing but its position."""

    position: EventPosition
    #: Without body and values unless the scan reads them.
    observation: Observation | None
    plan: Plan | None
    #: Of the profile that stands for the person now.
    primary_id: str | None


def scan_statement(direction: Direction) -> str:
    """The statement of a scan in one direction."""
    sql = _sql.scan.replace("/* range by $2, $3 and $4 */", _RANGES[direction])
    return sql.replace("/* order */", _ORDERS[direction])


_SCANS: dict[Direction, str] = {
    "forwards": scan_statement("forwards"),
    "backwards": scan_statement("backwards"),
}


class EventTable(Table):
    """The events of a dataset."""

    __slots__ = ()

    async def find_of_profiles(
        self,
        profile_ids: Sequence[UUID],
        before: EventPosition,
        earliest_seq: int,
        event_filter: EventFilter,
        *,
        scanned_max: int,
        limit: int,
    ) -> list[RecordedEvent]:
        """Events of profiles before a position, the last recorded first;

        looks at `scanned_max` entries of each.
        """
        found = await self._executor.fetch(
            _sql.find_of_profiles,
            self._dataset_id, list(profile_ids), before.seq, before.observation_id, earliest_seq,
            *event_filter.parameters, scanned_max, limit,
        )  # fmt: skip
        return [_recorded(row) for row in found]

    async def find_of_fragments(
        self,
        fragment_ids: Sequence[UUID],
        before: EventPosition,
        earliest_seq: int,
        event_filter: EventFilter,
        *,
        scanned_max: int,
        limit: int,
    ) -> list[RecordedEvent]:
        """Events of fragments before a position, the last recorded first;

        looks at `scanned_max` entries of each.
        """
        found = await self._executor.fetch(
            _sql.find_of_fragments,
            self._dataset_id, list(fragment_ids), before.seq, before.observation_id, earliest_seq,
            *event_filter.parameters, scanned_max, limit,
        )  # fmt: skip
        return [_recorded(row) for row in found]

    async def count_of_fragments(self, fragment_ids: Collection[UUID]) -> int:
        """How many events fragments have."""
        count: int = await self._executor.fetchval(
            _sql.count_of_fragments, self._dataset_id, sorted(fragment_ids)
        )
        return count

    async def find_scan_end_of_fragments(
        self, fragment_ids: Sequence[UUID], before: EventPosition, earliest_seq: int, *, scanned_max: int
    ) -> EventPosition | None:
        """A position just after the latest entry that `find_of_fragments` does not look at; None if it looks
        at every entry.
        """
        seq = await self._executor.fetchval(
            _sql.find_scan_end_of_fragments,
            self._dataset_id, list(fragment_ids), before.seq, earliest_seq, scanned_max,
        )  # fmt: skip
        return None if seq is None else EventPosition(seq + 1, UUID(int=0))

    async def find_scan_end(
        self, profile_ids: Sequence[UUID], before: EventPosition, earliest_seq: int, *, scanned_max: int
    ) -> EventPosition | None:
        """The latest entry that `find_of_profiles` does not look at; None if it looks at every entry."""
        row = await self._executor.fetchrow(
            _sql.find_scan_end,
            self._dataset_id, list(profile_ids), before.seq, before.observation_id, earliest_seq, scanned_max,
        )  # fmt: skip
        return None if row is None else EventPosition(row["seq"], row["observation_id"])

    async def find_watermark(self) -> int:
        """The seq in µs below which nothing can be added to the log any more."""
        return int(await self._executor.fetchval(_sql.find_watermark, config_hash(self._dataset_id)))

    async def scan(
        self,
        direction: Direction,
        position: EventPosition,
        limit_seq: int,
        event_filter: EventFilter,
        *,
        with_body: bool,
        limit: int,
    ) -> list[ScannedEntry]:
        """The next entries from a position: up to but without `limit_seq` forwards, down to it backwards."""
        found = await self._executor.fetch(
            _SCANS[direction],
            self._dataset_id, position.seq, position.observation_id, limit_seq,
            *event_filter.parameters, with_body, limit,
        )  # fmt: skip
        return [
            ScannedEntry(
                EventPosition(row["seq"], row["observation_id"]),
                msgspec.json.decode(row["content"], type=Observation) if row["content"] else None,
                msgspec.json.decode(row["plan"], type=Plan) if row["plan"] else None,
                row["primary_id"],
            )
            for row in found
        ]


def _recorded(row: asyncpg.Record) -> RecordedEvent:
    return RecordedEvent(
        EventPosition(row["seq"], row["observation_id"]),
        msgspec.json.decode(row["content"], type=Observation),
        row["occurred_at"],
    )
