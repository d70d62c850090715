"""The events of a dataset, of all its people: the newest ones, and following them as they become durable.

    horizon ─▶ all before it is settled ─▶ told once, in the order of the log ─▶ the place to go on from

Law of this module: nobody misses an event and nobody is told one twice, across breaks as well, because a
place in the log is all that there is to remember. The order of the log is that of the clock at which batches
looked, and a batch that looked earlier may commit later: whoever followed what is visible would pass over it.
So only what lies before the horizon is told, where nothing can be added any more:

    * whoever puts events into the log shares the dataset's lock from before they look at the clock until what
      they wrote can be seen (`service.working_set`: take, then find_header);
    * the horizon is the instant before the locks were looked at, or when the oldest transaction that holds
      this lock began: who holds it has looked at the clock since, who does not hold it has either committed,
      and is seen by the statements that come after, or will look at the clock later than that instant.

An event is told when the batches that began before it have ended: some milliseconds, and POLL_S. A database
whose clock is set back by hand hides from followers what it records until the clock has come as far again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.core.resolution.observation import Observation, SenderTrust
from oneself.core.resolution.plan import Plan
from oneself.service.context import DatasetRef
from oneself.service.history.person_events import (
    CLOCKS_APART_US,
    ENTRIES_WALKED_MAX,
    EVENT_ID_CHARS,
    EVER_US,
    NOW,
    PAGE_SIZE_MAX,
    EventFilter,
    EventPosition,
)
from oneself.store import rows
from oneself.store.database import Database
from oneself.store.queries import Queries

_sql = Queries("tail.sql")
WALK_ON = _sql.walk.replace("/* beyond */", _sql.beyond_on).replace("/* order */", _sql.order_on)
WALK_BACK = _sql.walk.replace("/* beyond */", _sql.beyond_back).replace("/* order */", _sql.order_back)

POLL_S = 0.5
#: Entries of one statement; a few milliseconds.
WALKED_AT_ONCE = 500
#: Of one process. Each asks the database twice a second.
FOLLOWERS_MAX = 100
NO_ONE = UUID(int=0)

Effect = Literal["created", "promoted", "merged", "attached"]


class Decision(msgspec.Struct, frozen=True):
    """What an event did to the profiles. `merged`: how many were absorbed; `refusals`: codes, each once."""

    effect: Effect
    merged: int = 0
    refusals: tuple[str, ...] = ()


class StreamedEvent(msgspec.Struct, frozen=True):
    """One event. Instants in µs since 1970.

    `primary_id`: of the person by now, None if there is nobody any more. `identity_types`: that the event
    itself named somebody by. `body`: what was sent, without tokens; None unless it was asked for.
    """

    place: EventPosition
    event_id: str
    name: str | None
    occurred_at: int
    received_at: int
    face: str
    trust: SenderTrust
    primary_id: str | None
    identity_types: tuple[str, ...]
    decision: Decision
    body: Any = None


class StreamPage(msgspec.Struct, frozen=True):
    """Events, the last recorded first; `following`: where the next page begins, None at the end."""

    events: tuple[StreamedEvent, ...]
    following: EventPosition | None


class EventBatch(msgspec.Struct, frozen=True):
    """Events in the order of the log, often none. `place`: everything up to there has been told. `more`: the
    horizon is further on."""

    events: tuple[StreamedEvent, ...]
    place: EventPosition
    more: bool


class EventStream:
    """Reads what happens in a dataset."""

    def __init__(
        self,
        database: Database,
        *,
        poll_s: float = POLL_S,
        followers_max: int = FOLLOWERS_MAX,
        entries_walked_max: int = ENTRIES_WALKED_MAX,
        walked_at_once: int = WALKED_AT_ONCE,
    ) -> None:
        self._database = database
        self._poll_s = poll_s
        self._followers_max = followers_max
        self._entries_walked_max = entries_walked_max
        self._walked_at_once = walked_at_once
        self._closed = asyncio.Event()
        self._followers = 0

    @property
    def is_full(self) -> bool:
        """Whether as many follow as one process serves."""
        return self._followers >= self._followers_max

    def close(self) -> None:
        """End everything that follows: the service stops."""
        self._closed.set()

    async def horizon(self, dataset_ref: DatasetRef) -> EventPosition:
        """The place before which nothing can be added to the log of the dataset any more."""
        lock = rows.config_hash(dataset_ref.dataset_id)
        return EventPosition(await self._database.fetchval(_sql.find_horizon, lock), NO_ONE)

    async def page(
        self,
        dataset_ref: DatasetRef,
        wanted: EventFilter,
        *,
        before: EventPosition = NOW,
        size: int,
        with_body: bool = False,
    ) -> StreamPage:
        """Up to `size` events, at most PAGE_SIZE_MAX, before a place; a page may be short, or empty, and have
        a next one."""
        limit, found = min(size, PAGE_SIZE_MAX), list[StreamedEvent]()
        earliest = 0 if wanted.since is None else max(0, wanted.since - CLOCKS_APART_US)
        at_once = limit + 1 if wanted == EventFilter() else self._walked_at_once
        for _ in range(self._entries_walked_max // self._walked_at_once):
            walked = await self._walk(WALK_BACK, dataset_ref, before, earliest, wanted, with_body, at_once)
            found += _events(walked)
            if len(found) > limit:
                return StreamPage(tuple(found[:limit]), found[limit - 1].place)
            if len(walked) < at_once:
                return StreamPage(tuple(found), None)
            before = _place(walked[-1])
        return StreamPage(tuple(found), before)

    async def news(
        self, dataset_ref: DatasetRef, wanted: EventFilter, *, after: EventPosition, with_body: bool = False
    ) -> EventBatch:
        """What is settled after a place, as far as one statement comes."""
        horizon = await self.horizon(dataset_ref)
        if horizon.seq <= after.seq:
            return EventBatch((), after, more=False)
        at_once = self._walked_at_once
        walked = await self._walk(WALK_ON, dataset_ref, after, horizon.seq, wanted, with_body, at_once)
        more = len(walked) == at_once
        return EventBatch(tuple(_events(walked)), _place(walked[-1]) if more else horizon, more)

    async def follow(
        self, dataset_ref: DatasetRef, wanted: EventFilter, *, after: EventPosition, with_body: bool = False
    ) -> AsyncGenerator[EventBatch, None]:
        """The news after a place, every POLL_S until `close`. Raises Unavailable when the database is away;
        whoever follows on from the last place misses nothing."""
        self._followers += 1
        try:
            while not self._closed.is_set():
                news = await self.news(dataset_ref, wanted, after=after, with_body=with_body)
                after = news.place
                yield news
                if not news.more:
                    await self._pause()
        finally:
            self._followers -= 1

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._closed.wait()
        except TimeoutError:
            return

    async def _walk(
        self,
        sql: str,
        dataset_ref: DatasetRef,
        place: EventPosition,
        limit_seq: int,
        wanted: EventFilter,
        with_body: bool,
        at_once: int,
    ) -> list[Any]:
        return await self._database.fetch(
            sql,
            dataset_ref.dataset_id,
            place.seq,
            place.observation_id,
            limit_seq,
            wanted.name,
            -EVER_US if wanted.since is None else wanted.since,
            EVER_US if wanted.until is None else wanted.until,
            with_body,
            at_once,
        )


def _place(row: Any) -> EventPosition:
    return EventPosition(row["seq"], row["observation_id"])


def _events(walked: list[Any]) -> list[StreamedEvent]:
    return [_told(row) for row in walked if row["content"] is not None]


def _told(row: Any) -> StreamedEvent:
    event = msgspec.json.decode(row["content"], type=Observation)
    persons = (each.namespace for each in event.identifiers if not each.is_device)
    return StreamedEvent(
        place=_place(row),
        event_id=event.observation_id.hex[:EVENT_ID_CHARS],
        name=event.name,
        occurred_at=event.occurred_at or event.received_at or row["seq"],
        received_at=event.received_at or row["seq"],
        face=event.interface,
        trust=event.trust,
        primary_id=row["primary_id"],
        identity_types=tuple(dict.fromkeys(persons)),
        decision=_decision(row["plan"]),
        body=event.body,
    )


def _decision(plan_json: str | None) -> Decision:
    if plan_json is None:
        return Decision("attached")
    plan = msgspec.json.decode(plan_json, type=Plan)
    refusals = tuple(dict.fromkeys(refusal.code for refusal in plan.refusals))
    return Decision(_effect(plan), len(plan.merges), refusals)


def _effect(plan: Plan) -> Effect:
    if plan.merges:
        return "merged"
    if plan.creates:
        return "created"
    return "promoted" if plan.promotes else "attached"
