"""Customer Data → Profiles: search by anything, else the newest profiles.

Invariants: ids and identifiers are found at once. Values are looked for part by part; a script asks for the
next part, or whoever has none follows a link.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response

from oneself.console.context import ConsoleContext, console_context, requires
from oneself.console.formats import value_text
from oneself.console.forms import page
from oneself.console.handlers import page_at
from oneself.console.profile_reading import ProfileQuery
from oneself.console.profile_words import addresses_in
from oneself.console.query import optional_id, query_number, query_search
from oneself.console.sample_data import sample_offer
from oneself.core.identity.identifier import visible_value
from oneself.core.values.schema import Schema
from oneself.core.values.visibility import visible_values
from oneself.service.context import DEFAULT_DATASET
from oneself.service.profiles.search import NamedProfile, PagePosition, leaves
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
SEE = requires("see_profiles")
SEARCH_CHARACTERS_MAX = 512
#: As many values as tell profiles of a list apart.
LISTED_VALUES_MAX = 3


class ProfileRow(msgspec.Struct, frozen=True):
    """A profile in a list. `facts`: what tells it apart, each with its name."""

    url: str
    title: str
    facts: list[tuple[str, str]]
    created_at: int | None = None


@page_at("/profiles", SEE)
async def profile_list(request: AnyRequest) -> AnyResponse:
    """Show the search field and what it finds; without a text, the newest profiles."""
    context = await console_context(request).in_dataset()
    text = query_search(request, "q", SEARCH_CHARACTERS_MAX)
    search, ref = context.services.profiles.search, context.dataset_ref
    schema = (await context.config()).schema
    found = [_named_row(context, schema, item) for item in await search.named(ref, text)] if text else []
    newest, further = ([], "") if text else await _newest(context)
    datasets = await context.services.schema.datasets.list(context.dataset_ref)
    return page(
        context,
        "profiles.html",
        text=text,
        found=found,
        newest=newest,
        further=further,
        is_first=_position(request) is None,
        list_url=_url(context),
        values_url=_url(context, "/values", q=text),
        dataset=ref.dataset,
        datasets=[item.name for item in datasets],
        offer=await sample_offer(context),
    )


@page_at("/profiles/values", SEE)
async def profiles_with_value(request: AnyRequest) -> AnyResponse:
    """List profiles with a text in their values, reading a part of the profiles at a time."""
    context = await console_context(request).in_dataset()
    text = query_search(request, "q", SEARCH_CHARACTERS_MAX)
    search = context.services.profiles.search
    position = _position(request)
    read = await (
        search.with_value(context.dataset_ref, text)
        if position is None
        else search.with_value(context.dataset_ref, text, position)
    )
    seen = query_number(request, "seen") + read.seen
    further = ""
    if read.next_position is not None:
        at = read.next_position
        further = _url(context, "/values", q=text, created=at.created_at, after=at.profile_id, seen=seen)
    rows = [
        ProfileRow(
            profile_url(context, item.profile_id),
            title_of(item.profile_id, item.user_id, item.values),
            [(path, value_text(value)) for path, value in item.matches],
        )
        for item in read.found
    ]
    template = "profile_values_part.html" if context.is_part else "profile_values.html"
    values: dict[str, Any] = {
        "text": text,
        "rows_found": rows,
        "read": read.seen,
        "seen": seen,
        "further": further,
    }
    return page(context, template, back=_url(context, q=text), **values)


def profile_url(context: ConsoleContext, profile_id: UUID) -> str:
    """The URL of a profile."""
    return ProfileQuery(context.home, context.dataset_ref.dataset, str(profile_id)).url()


async def _newest(context: ConsoleContext) -> tuple[list[ProfileRow], str]:
    """A page of the newest profiles, and the URL of the next one."""
    position, search = _position(context.request), context.services.profiles.search
    found = await (
        search.newest(context.dataset_ref)
        if position is None
        else search.newest(context.dataset_ref, position)
    )
    rows = [
        ProfileRow(
            profile_url(context, item.profile_id),
            title_of(item.profile_id, item.user_id, item.values),
            telling_values(item.values),
            item.created_at,
        )
        for item in found.items
    ]
    if found.next_position is None:
        return rows, ""
    following = found.next_position
    return rows, _url(context, created=following.created_at, after=following.profile_id)


def telling_values(values: dict[str, Any]) -> list[tuple[str, str]]:
    """A few values that tell a profile apart: identity attributes first."""
    found = [(path, value) for path, value in leaves(values) if not isinstance(value, dict)]
    return [(path.partition(".")[2], value_text(value)[:80]) for path, value in found[:LISTED_VALUES_MAX]]


def title_of(profile_id: UUID, user_id: str | None, values: dict[str, Any]) -> str:
    """What names a profile for people: an address of theirs, its user, or its id."""
    return next(iter(addresses_in(values)), user_id or str(profile_id))


def _named_row(context: ConsoleContext, schema: Schema, found: NamedProfile) -> ProfileRow:
    profile = found.profile
    facts = [("primary id", profile.primary_id)]
    if found.identifier is not None:
        facts.insert(0, (found.identifier.namespace, visible_value(found.identifier)))
    title = title_of(profile.profile_id, profile.user_id, visible_values(schema, profile.record.values))
    return ProfileRow(profile_url(context, profile.profile_id), title, facts, profile.created_at)


def _position(request: AnyRequest) -> PagePosition | None:
    created, after = query_number(request, "created"), optional_id(request, "after")
    return None if after is None else PagePosition(created, after)


def _url(context: ConsoleContext, page: str = "", **query: object) -> str:
    if context.dataset_ref.dataset != DEFAULT_DATASET:
        query["dataset"] = context.dataset_ref.dataset
    given = {name: value for name, value in query.items() if value != ""}
    return f"{context.home}/profiles{page}" + (f"?{urlencode(given)}" if given else "")


ROUTES = (profile_list, profiles_with_value)
