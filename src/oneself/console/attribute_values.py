"""Values that profiles store: how many an attribute has, and which no longer fit their attribute.

Invariants: one request reads a few thousand profiles, so none is long. Its answer contains what was counted
so far, and the next request continues from there; a script sends it, or whoever has none follows a link.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response

from oneself.console.attributes import SEE, asked_attribute, attribute_url
from oneself.console.context import ConsoleContext, console_context
from oneself.console.forms import page
from oneself.console.handlers import page_at
from oneself.console.query import InvalidParameter, optional_id, query_number, query_search
from oneself.service.profiles.invalid_values import START, InvalidValuesPage
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
#: As many as a page shows, and as a URL holds.
PATHS_MAX = 40
#: A longer URL is not accepted by every browser and proxy.
FOUND_CHARACTERS_MAX = 100_000


class CountedPath(msgspec.Struct, frozen=True, array_like=True):
    """Values at one path that do not fit, for one reason. `profiles`: how many have one."""

    path: str
    problem: str
    profiles: int


@page_at("/attributes/count", SEE)
async def count_values(request: AnyRequest) -> AnyResponse:
    """Count the profiles with a value of an attribute, a part of the profiles at a time."""
    context = console_context(request)
    attribute = asked_attribute(await context.config(), request)
    counted = await context.services.profiles.stored_values.count_page(
        context.dataset_ref, attribute, _after(request)
    )
    profiles = query_number(request, "profiles") + counted.profiles
    seen = query_number(request, "seen") + counted.seen
    further = ""
    if counted.last is not None:
        query = urlencode({"after": str(counted.last), "profiles": profiles, "seen": seen})
        further = f"{attribute_url(context, attribute, 'count')}&{query}"
    template = "count_part.html" if context.is_part else "count.html"
    values: dict[str, Any] = {"profiles": profiles, "seen": seen, "further": further}
    return page(context, template, attribute=attribute, back=attribute_url(context, attribute), **values)


@page_at("/attributes/check", SEE)
async def check_values(request: AnyRequest) -> AnyResponse:
    """List values that no longer fit their attribute, reading a part of the profiles at a time."""
    context = console_context(request)
    invalid = context.services.profiles.invalid_values
    read = await invalid.page(context.dataset_ref, _after(request))
    found = _added(_found(request), read)
    seen = query_number(request, "seen") + read.seen
    template = "check_part.html" if context.is_part else "check.html"
    return page(
        context,
        template,
        found=found[:PATHS_MAX],
        has_more=len(found) > PATHS_MAX,
        seen=seen,
        further=_further(context, read, found[:PATHS_MAX], seen),
    )


def _further(context: ConsoleContext, read: InvalidValuesPage, found: list[CountedPath], seen: int) -> str:
    if read.last is None:
        return ""
    query = {"after": str(read.last), "seen": seen, "found": msgspec.json.encode(found).decode()}
    return f"{context.home}/attributes/check?{urlencode(query)}"


def _added(before: list[CountedPath], read: InvalidValuesPage) -> list[CountedPath]:
    counts = {(item.path, item.problem): item.profiles for item in before}
    for item in read.found:
        counts[item.path, item.problem] = counts.get((item.path, item.problem), 0) + item.profiles
    return [CountedPath(*key, number) for key, number in sorted(counts.items())]


def _found(request: AnyRequest) -> list[CountedPath]:
    text = query_search(request, "found", FOUND_CHARACTERS_MAX)
    try:
        return msgspec.json.decode(text or "[]", type=list[CountedPath])
    except msgspec.DecodeError:
        raise InvalidParameter("found", "It is what the page before has counted.") from None


def _after(request: AnyRequest) -> UUID:
    return optional_id(request, "after") or START


ROUTES = (count_values, check_values)
