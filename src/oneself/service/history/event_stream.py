"""The events of a dataset: the newest ones, and following them as they become durable.

    watermark ─▶ nothing is added before it any more ─▶ each event once, in log order ─▶ the next position

Invariants: exactly-once delivery across reconnects, because the log position is the only cursor state. The
order of the log is that of the clock at which batches decided, and a batch that decided earlier may commit
later: a reader of what is visible would miss it. So only events before the watermark are delivered:

    * a transaction that writes events shares the dataset's lock from before it reads the clock until its
      writes are visible (`store.transaction`: lock_identifiers, then read_clock);
    * the watermark is the instant before the locks were read, or the begin of the oldest transaction that
      holds this lock. A holder has read the clock since then. Any other writer has committed, and later
      statements see it, or will read the clock later than that instant.

An event is delivered when the batches that began before it have ended, after some milliseconds, and
`followers.POLL_S`.
If the clock of the database is set back, followers do not see what it records until the clock is as far
again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.core.identity_graph.joins import View
from oneself.core.resolution.observation import SenderTrust, event_id_of
from oneself.core.resolution.plan import Plan
from oneself.service.context import DatasetRef
from oneself.service.history.followers import Followers
from oneself.service.history.person_events import (
    CLOCK_SKEW_MAX_US,
    PAGE_SIZE_MAX,
    SCANNED_MAX,
)
from oneself.service.profiles.view_lookup import find_names
from oneself.store.database import Database
from oneself.store.tables.event import NOW, EventFilter, EventPosition, EventTable, ScannedEntry
from oneself.store.transaction import Tables, snapshot

#: Entries of one statement; a few milliseconds.
ENTRIES_PER_SCAN = 500

Effect = Literal["created", "promoted", "merged", "attached"]


class Decision(msgspec.Struct, frozen=True):
    """What an event did to profiles."""

    effect: Effect
    #: How many profiles were absorbed.
    merged: int = 0
    #: Codes, each once.
    refusals: tuple[str, ...] = ()


class StreamedEvent(msgspec.Struct, frozen=True):
    """One event. Instants in µs since 1970."""

    position: EventPosition
    event_id: str
    name: str | None
    occurred_at: int
    received_at: int
    interface: str
    trust: SenderTrust
    #: Of the profile now, in the view; None if it was erased.
    primary_id: str | None
    #: The namespaces of the person identifiers in the event.
    identity_types: tuple[str, ...]
    #: In the view `all`.
    decision: Decision
    #: What was sent, without tokens; None unless it was requested.
    body: Any = None


class StreamPage(msgspec.Struct, frozen=True):
    """Events, the last recorded first."""

    events: tuple[StreamedEvent, ...]
    #: The position after which the next page begins; None at the end.
    next_position: EventPosition | None


class EventBatch(msgspec.Struct, frozen=True):
    """Events in the order of the log, often none."""

    events: tuple[StreamedEvent, ...]
    #: Everything up to here has been delivered.
    position: EventPosition
    #: Whether the watermark is further on.
    more: bool


class EventStream:
    """Reads the events of a dataset."""

    def __init__(
        self,
        database: Database,
        *,
        followers: Followers | None = None,
        scanned_max: int = SCANNED_MAX,
        scanned_at_once: int = ENTRIES_PER_SCAN,
    ) -> None:
        self._database = database
        self._scanned_max = scanned_max
        self._scanned_at_once = scanned_at_once
        self.followers = followers or Followers()

    async def watermark(self, dataset_ref: DatasetRef) -> EventPosition:
        """The position before which nothing can be added to the dataset's log any more."""
        return EventPosition(await self._events(dataset_ref).find_watermark(), UUID(int=0))

    async def page(
        self,
        dataset_ref: DatasetRef,
        event_filter: EventFilter,
        *,
        before: EventPosition = NOW,
        size: int,
        with_body: bool = False,
        view: View = "all",
    ) -> StreamPage:
        """Up to `size` events before a position, at most PAGE_SIZE_MAX.

        A page may be short, or empty, and have a next one.
        """
        events, found = self._events(dataset_ref), list[StreamedEvent]()
        limit = min(size, PAGE_SIZE_MAX)
        earliest = 0 if event_filter.since is None else max(0, event_filter.since - CLOCK_SKEW_MAX_US)
        at_once = limit + 1 if event_filter == EventFilter() else self._scanned_at_once
        for _ in range(self._scanned_max // self._scanned_at_once):
            scanned = await events.scan(
                "backwards", before, earliest, event_filter, with_body=with_body, limit=at_once
            )
            found += await self._streamed(dataset_ref, scanned, view)
            if len(found) > limit:
                return StreamPage(tuple(found[:limit]), found[limit - 1].position)
            if len(scanned) < at_once:
                return StreamPage(tuple(found), None)
            before = scanned[-1].position
        return StreamPage(tuple(found), before)

    async def next_batch(
        self,
        dataset_ref: DatasetRef,
        event_filter: EventFilter,
        *,
        after: EventPosition,
        with_body: bool = False,
        view: View = "all",
    ) -> EventBatch:
        """The events between a position and the watermark, as many as one statement reads."""
        watermark = await self.watermark(dataset_ref)
        if watermark.seq <= after.seq:
            return EventBatch((), after, more=False)
        limit = self._scanned_at_once
        scanned = await self._events(dataset_ref).scan(
            "forwards", after, watermark.seq, event_filter, with_body=with_body, limit=limit
        )
        more = len(scanned) == limit
        position = scanned[-1].position if more else watermark
        return EventBatch(tuple(await self._streamed(dataset_ref, scanned, view)), position, more)

    async def follow(
        self,
        dataset_ref: DatasetRef,
        event_filter: EventFilter,
        *,
        after: EventPosition,
        with_body: bool = False,
        view: View = "all",
    ) -> AsyncGenerator[EventBatch, None]:
        """The batches after a position, until the process stops.

        Raises Unavailable if the database is away. A follower that continues from its last position misses
        nothing.
        """

        async def next_batch() -> EventBatch:
            nonlocal after
            batch = await self.next_batch(
                dataset_ref, event_filter, after=after, with_body=with_body, view=view
            )
            after = batch.position
            return batch

        async with aclosing(self.followers.follow(next_batch)) as batches:
            async for batch in batches:
                yield batch

    async def _streamed(
        self, dataset_ref: DatasetRef, scanned: list[ScannedEntry], view: View
    ) -> list[StreamedEvent]:
        """The events among scanned entries, with the names that their profiles have in a view."""
        events = _streamed_events(scanned)
        if view == "all" or not events:
            return events
        keys = [(event.position.seq, event.position.observation_id) for event in events]
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            heads = await tables.fragments.find_heads(view, keys)
            names = await find_names(tables, sorted(set(heads.values())), view)
        called = {item.profile_id: item.primary_id for item in names}
        found = [called.get(heads[key]) if key in heads else None for key in keys]
        return [
            msgspec.structs.replace(event, primary_id=primary_id)
            for event, primary_id in zip(events, found, strict=True)
        ]

    def _events(self, dataset_ref: DatasetRef) -> EventTable:
        return Tables(self._database, dataset_ref.dataset_id).events


def _streamed_events(scanned: list[ScannedEntry]) -> list[StreamedEvent]:
    return [event for entry in scanned if (event := _streamed(entry)) is not None]


def _streamed(entry: ScannedEntry) -> StreamedEvent | None:
    event = entry.observation
    if event is None:
        return None
    persons = (identifier.namespace for identifier in event.identifiers if not identifier.is_device)
    return StreamedEvent(
        position=entry.position,
        event_id=event_id_of(event.observation_id),
        name=event.name,
        occurred_at=event.occurred_at or event.received_at or entry.position.seq,
        received_at=event.received_at or entry.position.seq,
        interface=event.interface,
        trust=event.trust,
        primary_id=entry.primary_id,
        identity_types=tuple(dict.fromkeys(persons)),
        decision=_decision(entry.plan),
        body=event.body,
    )


def _decision(plan: Plan | None) -> Decision:
    if plan is None:
        return Decision("attached")
    refusals = tuple(dict.fromkeys(refusal.code for refusal in plan.refusals))
    return Decision(_effect(plan), len(plan.merges), refusals)


def _effect(plan: Plan) -> Effect:
    if plan.merges:
        return "merged"
    if plan.creates:
        return "created"
    return "promoted" if plan.promotes else "attached"
