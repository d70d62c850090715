"""Events of a person: those of the survivor and of everybody that it stands for, page by page.

Law of this module: newest first means last recorded first, because that is the order of the log and of its
index. When an event says that it happened is shown, and can be filtered by. A call walks a bounded number of
entries, whatever the filter leaves of them: a page may be short, or empty, and have a next one.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec

from oneself.core.resolution.observation import Observation
from oneself.service.context import DatasetRef
from oneself.service.profiles.profiles import ProfileView
from oneself.store.database import Database
from oneself.store.queries import Queries

_sql = Queries("events.sql")

PAGE_SIZE_MAX = 200
#: Entries that one call looks at, shared out among the profiles of the person; some tens of milliseconds.
ENTRIES_WALKED_MAX = 10_000
EVENT_ID_CHARS = 24
#: Nothing is recorded before it happened, as far as the clocks of the service and the database agree.
CLOCKS_APART_US = 24 * 3600 * 1_000_000
EVER_US = 2**62


class EventPosition(msgspec.Struct, frozen=True):
    """A place in the log; pages begin beyond it."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=EVER_US)]
    observation_id: UUID


NOW = EventPosition(EVER_US, UUID(int=2**128 - 1))


class EventFilter(msgspec.Struct, frozen=True):
    """Which events: called `name`, that happened from `since` to `until`, both in µs since 1970."""

    name: str | None = None
    since: int | None = None
    until: int | None = None


class ListedEvent(msgspec.Struct, frozen=True):
    """One event. Instants in µs since 1970; `body`: what was sent, without tokens."""

    event_id: str
    name: str | None
    occurred_at: int
    received_at: int
    face: str
    application: str | None
    body: Any


class EventPage(msgspec.Struct, frozen=True):
    """Events, the last recorded first; `following`: where the next page begins, None at the end."""

    events: tuple[ListedEvent, ...]
    following: EventPosition | None


class _Found(msgspec.Struct, frozen=True):
    place: EventPosition
    event: ListedEvent


class PersonEvents:
    """Reads what a person did."""

    def __init__(self, database: Database, *, entries_walked_max: int = ENTRIES_WALKED_MAX) -> None:
        self._database = database
        self._entries_walked_max = entries_walked_max

    async def page(
        self,
        dataset_ref: DatasetRef,
        view: ProfileView,
        wanted: EventFilter,
        *,
        before: EventPosition = NOW,
        size: int,
    ) -> EventPage:
        """Up to `size` events of the person, at most PAGE_SIZE_MAX, before a place."""
        everybody = [view.survivor.profile_id, *(each.profile_id for each in view.absorbed)]
        earliest = 0 if wanted.since is None else wanted.since - CLOCKS_APART_US
        walk = (dataset_ref.dataset_id, everybody, before.seq, before.observation_id, earliest)
        limit = min(size, PAGE_SIZE_MAX)
        walked = max(self._entries_walked_max // len(everybody), limit + 1)
        found = [
            _read(row)
            for row in await self._database.fetch(
                _sql.find_events,
                *walk,
                wanted.name,
                -EVER_US if wanted.since is None else wanted.since,
                EVER_US if wanted.until is None else wanted.until,
                walked,
                limit + 1,
            )
        ]
        if len(found) > limit and len(everybody) == 1:
            return _page(found, limit, None)
        row = await self._database.fetchrow(_sql.find_horizon, *walk, walked)
        return _page(
            found, limit, EventPosition(row["seq"], row["observation_id"]) if row is not None else None
        )


def _page(found: list[_Found], limit: int, horizon: EventPosition | None) -> EventPage:
    """What lies before the horizon of the walk: beyond it there may be events that were not seen yet."""
    seen = [each for each in found if horizon is None or _order(each.place) > _order(horizon)]
    events = tuple(each.event for each in seen[:limit])
    if len(seen) > limit:
        return EventPage(events, seen[limit - 1].place)
    if horizon is None:
        return EventPage(events, None)
    return EventPage(events, EventPosition(horizon.seq, UUID(int=horizon.observation_id.int + 1)))


def _order(place: EventPosition) -> tuple[int, UUID]:
    return place.seq, place.observation_id


def _read(row: Any) -> _Found:
    observation = msgspec.json.decode(row["content"], type=Observation)
    place = EventPosition(row["seq"], row["observation_id"])
    event = ListedEvent(
        event_id=observation.observation_id.hex[:EVENT_ID_CHARS],
        name=observation.name,
        occurred_at=row["occurred_at"],
        received_at=observation.received_at or row["seq"],
        face=observation.interface,
        application=observation.application,
        body=observation.body,
    )
    return _Found(place, event)
