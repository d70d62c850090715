"""Overview: what happens in a dataset, what it consists of, what may be wrong, and whether everything works.

    numbers    as they were counted last; a script asks again while they are counted for the first time
    stream     the newest events; a script asks again every few seconds, unless the user has paused it

Invariants: every role may look, and nothing here changes anything.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response

from oneself.console.context import ConsoleContext, console_context, requires
from oneself.console.forms import page
from oneself.console.handlers import page_at
from oneself.console.overview_plots import bars, by_minute, group_sizes, plain_bars, ranked
from oneself.console.profile_reading import ProfileQuery
from oneself.console.profile_words import REFUSALS, interface_of
from oneself.console.query import query_choice
from oneself.console.sample_data import sample_offer
from oneself.core.units import MINUTE_US
from oneself.service.context import DEFAULT_DATASET
from oneself.service.history.event_stream import Decision, StreamedEvent
from oneself.service.history.person_events import EventFilter
from oneself.service.overview.counts import MINUTES, DatasetCounts
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
SEE = requires("see_overview")
EVENTS_MAX = 12
KINDS = {"identified": "with a user", "named": "known by an identifier", "anonymous": "anonymous"}


class ListedWarning(msgspec.Struct, frozen=True):
    """Something that looks over-merged. `link`: URL and text."""

    sentence: str
    link: tuple[str, str]


class StreamRow(msgspec.Struct, frozen=True):
    """An event in the stream. `profile_url`: empty if the profile was erased."""

    at: int
    name: str
    interface: str
    effect: str
    profile: str
    profile_url: str


@page_at("/overview", SEE)
async def overview(request: AnyRequest) -> AnyResponse:
    """Show a dataset as a whole."""
    context = await console_context(request).in_dataset()
    datasets = await context.services.schema.datasets.list(context.dataset_ref)
    slowest = request.app.state.metrics.slow_requests.list(context.dataset_ref.handle)
    times = plain_bars((f"{item.method} {item.route}", round(item.duration_s * 1000)) for item in slowest)
    return page(
        context,
        "overview.html",
        datasets=[item.name for item in datasets],
        dataset=context.dataset_ref.dataset,
        health=await context.services.overview.health.look(context.dataset_ref),
        slowest=list(zip(slowest, times, strict=True)),
        jobs=await context.services.rules.rules.progress(context.dataset_ref),
        rule_names={rule.rule_id: rule.rule_name for rule in (await context.config()).rules.values()},
        offer=await sample_offer(context),
        **await _numbers(context),
        **await _stream(context),
    )


@page_at("/overview/numbers", SEE)
async def overview_numbers(request: AnyRequest) -> AnyResponse:
    """The part with the numbers, for a script that waits for the first count."""
    context = await console_context(request).in_dataset()
    return page(context, "overview_numbers.html", **await _numbers(context))


@page_at("/overview/stream", SEE)
async def overview_stream(request: AnyRequest) -> AnyResponse:
    """The part with the newest events."""
    context = await console_context(request).in_dataset()
    return page(context, "overview_stream.html", **await _stream(context))


def overview_url(context: ConsoleContext, part: str = "", **query: str) -> str:
    """The URL of the overview of a dataset, or of a part of it."""
    if context.dataset_ref.dataset != DEFAULT_DATASET:
        query["dataset"] = context.dataset_ref.dataset
    return f"{context.home}/overview{part}" + (f"?{urlencode(query)}" if query else "")


async def _numbers(context: ConsoleContext) -> dict[str, Any]:
    latest = await context.services.overview.overviews.latest(context.dataset_ref)
    counts = latest.counts
    found: dict[str, Any] = {
        "counts": counts,
        "is_interrupted": latest.is_interrupted,
        "numbers_url": overview_url(context, "/numbers"),
        "page_url": overview_url(context),
    }
    if counts is None:
        return found
    covered = (counts.counted_at - counts.complete_since) // MINUTE_US + 1
    return {
        **found,
        "minutes": by_minute(counts, interface_of),
        "minutes_covered": min(MINUTES, covered),
        "kinds": bars((name, counts.profiles[kind]) for kind, name in KINDS.items()),
        "merges": ranked(counts.merges),
        "refusals": ranked(counts.refusals, lambda code: REFUSALS.get(code, code)),
        "sizes": group_sizes(counts),
        "joins": bars([("proven", counts.proven_joins), ("asserted", counts.asserted_joins)]),
        "warnings": _warnings(context, counts),
    }


def _warnings(context: ConsoleContext, counts: DatasetCounts) -> list[ListedWarning]:
    large = [
        ListedWarning(
            f"A profile consists of {item.parts:,} parts. It may be several people.",
            (
                _profile_url(context, item.profile_id, "joins"),
                f"See why these {item.parts} parts are one person",
            ),
        )
        for item in counts.largest
    ]
    shared = [
        ListedWarning(
            f"{item.parts:,} parts have the same {item.namespace}. It may not belong to one person, or be a "
            "placeholder.",
            (
                _profile_url(context, item.fragment_id, "identifiers"),
                f"See the identifiers of a profile that has this {item.namespace}",
            ),
        )
        for item in counts.shared
    ]
    frequent = [
        ListedWarning(
            f"{item.number:,} merges were refused because {REFUSALS.get(item.code, item.code)}. "
            "A value or a rule may not identify one person.",
            (
                _profile_url(context, item.profile_id, "history"),
                f"See the last profile that was not merged because {REFUSALS.get(item.code, item.code)}",
            ),
        )
        for item in counts.frequent
    ]
    return [*large, *shared, *frequent]


async def _stream(context: ConsoleContext) -> dict[str, Any]:
    stream = context.services.history.event_stream
    found = await stream.page(context.dataset_ref, EventFilter(), size=EVENTS_MAX)
    is_paused = query_choice(context.request, "stream", ("", "paused"), "") == "paused"
    return {
        "events": [_listed(context, event) for event in found.events],
        "is_paused": is_paused,
        "stream_url": overview_url(context, "/stream"),
        "other_url": overview_url(context) if is_paused else overview_url(context, stream="paused"),
    }


def _listed(context: ConsoleContext, event: StreamedEvent) -> StreamRow:
    url = "" if event.primary_id is None else _profile_url(context, event.primary_id, "events")
    name, interface = event.name or "no name", interface_of(event.interface)
    return StreamRow(event.received_at, name, interface, _effect(event.decision), event.primary_id or "", url)


def _effect(decision: Decision) -> str:
    words = {
        "created": "a new profile",
        "promoted": "the profile became known",
        "merged": f"{decision.merged} profile{'' if decision.merged == 1 else 's'} merged in",
        "attached": "",
    }
    refused = [f"not merged: {REFUSALS.get(code, code)}" for code in decision.refusals]
    return "; ".join(filter(None, (words[decision.effect], *refused)))


def _profile_url(context: ConsoleContext, profile_id: UUID | str, tab: str) -> str:
    return ProfileQuery(context.home, context.dataset_ref.dataset, str(profile_id)).url(tab)


ROUTES = (overview, overview_numbers, overview_stream)
