"""What happened to a profile: its events as a timeline, its identifiers, its history, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Response

from oneself.console.formats import as_json, value_text, when
from oneself.console.forms import page
from oneself.console.handlers import page_at
from oneself.console.profile_reading import ProfileReading, open_profile
from oneself.console.profile_search import SEE
from oneself.console.profile_words import interface_of, step_words, trust_of
from oneself.console.query import optional_id, query_instant, query_number, query_text
from oneself.core.values.visibility import visible_values
from oneself.service.explain.values import SourceObservation
from oneself.service.history.entries import HistoryEntry, ValueStep
from oneself.service.history.person_events import EventFilter, EventPosition
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
ENTRIES_PER_PAGE = 25


class ListedStep(msgspec.Struct, frozen=True):
    """A step of a history in words. `before` and `after`: of a value."""

    at: int
    title: str
    details: str
    before: str
    after: str
    source: str


class ListedIdentifier(msgspec.Struct, frozen=True):
    """An identifier. `value`: None if it may not be shown."""

    namespace: str
    value: str | None
    trust: str
    since: int
    until: int | None


@page_at("/profiles/events", SEE)
async def profile_events(request: AnyRequest) -> AnyResponse:
    """List the events of a profile, the latest first."""
    async with open_profile(request) as reading:
        asked, before = _filter(request), _before(request)
        ref, events = reading.context.dataset_ref, reading.person_events
        if before is not None:
            found = await events.page(ref, reading.view, asked, before=before, size=ENTRIES_PER_PAGE)
        else:
            found = await events.page(ref, reading.view, asked, size=ENTRIES_PER_PAGE)
    chosen = {name: query_text(request, name) for name in ("name", "since", "until")}
    further = ""
    if (following := found.next_position) is not None:
        position = {"seq": following.seq, "after": following.observation_id}
        further = reading.query.url("events", **chosen, **position)
    return page(
        reading.context,
        "profile_events.html",
        reading=reading,
        tab="events",
        events=[(event, as_json(reading.body(event.body))) for event in found.events],
        interface_of=interface_of,
        chosen=chosen,
        further=further,
        is_first=before is None,
        api=reading.api_request("/events", **chosen),
    )


@page_at("/profiles/identifiers", SEE)
async def profile_identifiers(request: AnyRequest) -> AnyResponse:
    """List every identifier that a profile has or had, the oldest first."""
    offset = query_number(request, "offset")
    async with open_profile(request) as reading:
        found = await reading.timeline.identifiers(
            reading.context.dataset_ref, reading.view, offset=offset, limit=ENTRIES_PER_PAGE + 1
        )
    listed = [
        ListedIdentifier(
            item.identifier.namespace,
            reading.visible_value_of(item.identifier),
            trust_of(item.trust),
            item.since,
            item.until,
        )
        for item in found[:ENTRIES_PER_PAGE]
    ]
    return page(
        reading.context,
        "profile_identifiers.html",
        reading=reading,
        tab="identifiers",
        identifiers=listed,
        further=_next(reading, "identifiers", offset, found),
        is_first=offset == 0,
        api=reading.api_request("/identifiers"),
    )


@page_at("/profiles/history", SEE)
async def profile_history(request: AnyRequest) -> AnyResponse:
    """List what happened to a profile, the oldest first."""
    offset = query_number(request, "offset")
    async with open_profile(request, is_now=True) as reading:
        ref = reading.context.dataset_ref
        person = await reading.lookup.person_in(ref, reading.view)
        found = await reading.timeline.steps(
            ref, reading.view, person, offset=offset, limit=ENTRIES_PER_PAGE + 1
        )
    steps = [_listed(reading, step, observation) for step, observation in found.steps[:ENTRIES_PER_PAGE]]
    return page(
        reading.context,
        "profile_history.html",
        reading=reading,
        tab="history",
        steps=steps,
        is_complete=found.is_complete,
        further=_next(reading, "history", offset, found.steps),
        is_first=offset == 0,
        api=reading.api_request("/history"),
    )


def source_words(observation: SourceObservation | None) -> str:
    """The observation that did something, in words."""
    if observation is None:
        return "by something that was erased"
    name = f" “{observation.name}”" if observation.name else ""
    through = f" through {interface_of(observation.interface)}" if observation.interface else ""
    by = f" by {observation.application}" if observation.application else ""
    return f"{observation.kind.replace('_', ' ')}{name}{through}{by}, {when(observation.at)} UTC"


def _filter(request: AnyRequest) -> EventFilter:
    """The events that the query asks for. Raises InvalidParameter."""
    since, until = query_instant(request, "since"), query_instant(request, "until")
    return EventFilter(query_text(request, "name") or None, since, until)


def _before(request: AnyRequest) -> EventPosition | None:
    """Where the page before ended; None: there is none. Raises InvalidParameter."""
    seq, after = query_number(request, "seq"), optional_id(request, "after")
    return None if after is None else EventPosition(seq, after)


def _next(reading: ProfileReading, list_page: str, offset: int, found: Sequence[object]) -> str:
    if len(found) <= ENTRIES_PER_PAGE:
        return ""
    return reading.query.url(list_page, offset=offset + ENTRIES_PER_PAGE)


def _listed(reading: ProfileReading, step: HistoryEntry, observation: SourceObservation | None) -> ListedStep:
    title, details = step_words(step)
    before = after = ""
    if isinstance(step, ValueStep):
        before, after = (_visible(reading, step.path, value) for value in (step.before, step.after))
    return ListedStep(step.at, title, details, before, after, source_words(observation))


def _visible(reading: ProfileReading, path: Sequence[str], value: Any) -> str:
    """A value that stood at a path, as far as it may be shown; empty: not at all."""
    nested = value
    for key in reversed(path):
        nested = {key: nested}
    for config in reading.configs:
        nested = visible_values(config.schema, nested)
    for key in path:
        nested = nested.get(key) if isinstance(nested, dict) else None
    return "" if nested is None else value_text(nested)


ROUTES = (profile_events, profile_identifiers, profile_history)
