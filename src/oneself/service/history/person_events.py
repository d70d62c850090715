"""Events of a person: those of the survivor and of every profile that it absorbed, page by page; in the views
`own` and `proven`, those of the fragments of the profile.

Invariants: newest first means last recorded first, because that is the order of the log and of its index. The
instant at which an event happened is shown and can be filtered by. A call looks at a bounded number of
entries, whatever the filter leaves of them: a page may be short, or empty, and have a next one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.resolution.observation import event_id_of
from oneself.service.context import DatasetRef
from oneself.service.history.view_history import find_fragments
from oneself.service.profiles.profiles import ProfileView
from oneself.store.database import Database
from oneself.store.tables.event import NOW, EventFilter, EventPosition, EventTable, RecordedEvent
from oneself.store.transaction import Tables

__all__ = ["EventFilter", "EventPage", "EventPosition", "ListedEvent", "PersonEvents"]

PAGE_SIZE_MAX = 200
#: Entries that one call looks at, divided among the profiles of the person; some tens of milliseconds.
SCANNED_MAX = 10_000
#: An event is recorded after it happened, as far as the clocks of the service and the database agree.
CLOCK_SKEW_MAX_US = 24 * 3600 * 1_000_000


class ListedEvent(msgspec.Struct, frozen=True):
    """One event. Instants in µs since 1970."""

    event_id: str
    name: str | None
    occurred_at: int
    received_at: int
    interface: str
    application: str | None
    #: What was sent, without tokens.
    body: Any


class EventPage(msgspec.Struct, frozen=True):
    """Events, the last recorded first."""

    events: tuple[ListedEvent, ...]
    #: The position after which the next page begins; None at the end.
    next_position: EventPosition | None


class PersonEvents:
    """Reads the events of a person."""

    def __init__(self, database: Database, *, scanned_max: int = SCANNED_MAX) -> None:
        self._database = database
        self._scanned_max = scanned_max

    async def page(
        self,
        dataset_ref: DatasetRef,
        view: ProfileView,
        event_filter: EventFilter,
        *,
        before: EventPosition = NOW,
        size: int,
    ) -> EventPage:
        """Up to `size` events of the person before a position, at most PAGE_SIZE_MAX."""
        tables, limit = Tables(self._database, dataset_ref.dataset_id), min(size, PAGE_SIZE_MAX)
        ids = view.profile_ids
        if view.view != "all":
            ids = [item.fragment_id for item in await find_fragments(tables, view)]
        find, find_end = _statements(tables.events, view)
        earliest = 0 if event_filter.since is None else event_filter.since - CLOCK_SKEW_MAX_US
        scanned = max(self._scanned_max // max(len(ids), 1), limit + 1)
        found = await find(ids, before, earliest, event_filter, scanned_max=scanned, limit=limit + 1)
        if len(found) > limit and len(ids) == 1:
            return _page(found, limit, None)
        return _page(found, limit, await find_end(ids, before, earliest, scanned_max=scanned))


def _statements(events: EventTable, view: ProfileView) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What finds the events of a view, and the end of the scan; both by profiles or by fragments."""
    if view.view == "all":
        return events.find_of_profiles, events.find_scan_end
    return events.find_of_fragments, events.find_scan_end_of_fragments


def _page(found: list[RecordedEvent], limit: int, scan_end: EventPosition | None) -> EventPage:
    """The events before the end of the scan: after it there may be events that were not looked at."""
    seen = [event for event in found if scan_end is None or _order(event.position) > _order(scan_end)]
    events = tuple(_listed(event) for event in seen[:limit])
    if len(seen) > limit:
        return EventPage(events, seen[limit - 1].position)
    return EventPage(events, None if scan_end is None else _just_after(scan_end))


def _order(position: EventPosition) -> tuple[int, int]:
    return position.seq, position.observation_id.int


def _just_after(position: EventPosition) -> EventPosition:
    return EventPosition(position.seq, UUID(int=position.observation_id.int + 1))


def _listed(event: RecordedEvent) -> ListedEvent:
    observation = event.observation
    return ListedEvent(
        event_id=event_id_of(observation.observation_id),
        name=observation.name,
        occurred_at=event.occurred_at,
        received_at=observation.received_at or event.position.seq,
        interface=observation.interface,
        application=observation.application,
        body=observation.body,
    )
