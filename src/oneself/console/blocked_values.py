"""Identity → Blocked Values and Limits: which values identify nobody, and how much one observation may merge.

Blocked values are listed for every identifier of the dataset `default`, or for one identity type in every
dataset.

Invariants: a page calls the use-cases of protection and identity types that the REST wire calls, with the
user as the actor. What may join or part stored profiles is confirmed beneath its preview.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from litestar import Response

from oneself.console.change_review import (
    IN_BACKGROUND,
    DatasetChange,
    ReviewNeeded,
    ReviewTexts,
    fingerprint,
    review_page,
    reviewed,
    unless_changed,
)
from oneself.console.context import ConsoleContext, console_context, requires
from oneself.console.formats import api_request
from oneself.console.forms import accepted_form, first, page, see_done
from oneself.console.handlers import form_at, page_at
from oneself.console.identity_types import change_everywhere
from oneself.console.query import InvalidParameter, alternatives, query_search, query_text
from oneself.core.identity.identity_type import PROFILE_ID, IdentityType
from oneself.errors import InvalidInput, PreconditionFailed
from oneself.service.profiles.refusals import (
    LIMIT_MAX,
    Protection,
    find_problem,
    plan_protection,
    protection_of,
)
from oneself.web.forms import AnyRequest, Parameters

AnyResponse = Response[Any]
SEE, CHANGE = requires("see_identity"), requires("change_identity")
ADDED = "The values identify nobody from now on. What servers have joined by them stays joined."
REMOVED = "The value is no longer blocked. Stored profiles follow in the background."
#: How many entries a page lists; the search finds the others.
LISTED_MAX = 200
SEARCH_CHARACTERS_MAX = 512
Kind = Literal["blocked_values", "blocked_patterns"]
LIMITS = ("profiles_per_merge_max", "values_per_namespace_max")


class BlockedList(msgspec.Struct, frozen=True):
    """What is blocked for one identity type; without one, for every identifier of the dataset `default`."""

    protection: Protection
    identity_type: IdentityType | None = None

    def entries(self, kind: Kind) -> tuple[str, ...]:
        """The blocked values or patterns."""
        if self.identity_type is None:
            return getattr(self.protection, kind)  # type: ignore[no-any-return]
        return self.identity_type.blocked_values if kind == "blocked_values" else ()

    @property
    def name(self) -> str:
        """What the values are of."""
        return self.identity_type.label if self.identity_type else "every identifier of the dataset default"

    def url(self, home: str, path: str = "blocked", **query: str) -> str:
        """The URL of a page about this list."""
        if self.identity_type is not None:
            query = {"type": self.identity_type.type_id, **query}
        return f"{home}/{path}" + (f"?{urlencode(query)}" if query else "")


@page_at("/blocked", SEE)
async def blocked_list(request: AnyRequest) -> AnyResponse:
    """List blocked values and patterns."""
    context = console_context(request)
    return await _list_page(context, await _asked(context))


@form_at("/blocked/add", CHANGE)
async def block_values(request: AnyRequest) -> AnyResponse:
    """Block values or patterns."""
    context, entered = console_context(request), ""
    listed = await _asked(context)
    kind: Kind = "blocked_values"
    try:
        async with accepted_form(context) as form:
            entered, kind = first(form, "entries"), _kind(form)
            lines = [line for text in entered.splitlines() if (line := text.strip())]
            if not lines:
                raise InvalidInput("entries", "Enter at least one value.")
            known = listed.entries(kind)
            folded = {entry.casefold() for entry in known}
            new = dict.fromkeys(line for line in lines if line.casefold() not in folded)
            if new:
                await _change(context, form, listed, kind, (*known, *new))
    except ReviewNeeded as needed:
        return review_page(context, needed, _texts(context, listed, "Block these values?", "Block them"))
    except InvalidInput as rejected:
        problem = rejected.description
        return await _list_page(context, listed, entered=entered, kind=kind, problem=problem, status=400)
    return see_done(context, listed.url(context.home), ADDED)


@form_at("/blocked/remove", CHANGE)
async def unblock_value(request: AnyRequest) -> AnyResponse:
    """Block a value or pattern no longer, beneath the preview of whom it joins."""
    context = console_context(request)
    listed, entry = await _asked(context), ""
    try:
        async with accepted_form(context) as form:
            kind, entry = _kind(form), form.get("entry", [""])[0]
            known = listed.entries(kind)
            if entry in known:
                others = tuple(item for item in known if item != entry)
                await _change(context, form, listed, kind, others)
    except ReviewNeeded as needed:
        heading = f"No longer block “{entry}”?"
        return review_page(context, needed, _texts(context, listed, heading, "No longer block it"))
    return see_done(context, listed.url(context.home), REMOVED)


@page_at("/limits", SEE)
async def show_limits(request: AnyRequest) -> AnyResponse:
    """Show how much one observation may merge; whoever may change it gets a form."""
    context = console_context(request)
    return await _limits_page(context, _limits_of(await _protection(context)))


@form_at("/limits", CHANGE)
async def change_limits(request: AnyRequest) -> AnyResponse:
    """Change the limits, unless somebody else did since the form was opened."""
    context = console_context(request)
    entered = _limits_of(await _protection(context))
    try:
        async with accepted_form(context) as form:
            entered = {name: first(form, name) for name in LIMITS}
            changes = {name: _number(name, text) for name, text in entered.items()}
            await _protect(context, form, changes, first(form, "version"), _limits_of)
    except ReviewNeeded as needed:
        texts = ReviewTexts(
            section="limits",
            heading="Change the limits?",
            button="Save",
            cancel=f"{context.home}/limits",
            notes=(IN_BACKGROUND,),
            request={"protection": {name: int(text) for name, text in entered.items()}},
        )
        return review_page(context, needed, texts)
    except PreconditionFailed:
        return await _limits_page(context, entered, is_stale=True, status=409)
    except InvalidInput as invalid:
        problems = {invalid.code: invalid.description}
        return await _limits_page(context, entered, problems=problems, status=400)
    return see_done(context, f"{context.home}/limits", "The limits were changed.")


async def _asked(context: ConsoleContext) -> BlockedList:
    """The list that a page is about. Raises InvalidParameter."""
    protection, name = await _protection(context), query_text(context.request, "type")
    if not name:
        return BlockedList(protection)
    types = await context.services.schema.identity_types.list(context.dataset_ref)
    known = {item.type_id: item for item in types}
    if name not in known:
        raise InvalidParameter("type", f"It can be {alternatives(known)}.")
    return BlockedList(protection, known[name])


async def _protection(context: ConsoleContext) -> Protection:
    return await context.services.profiles.refusals.protection(context.dataset_ref)


async def _change(
    context: ConsoleContext, form: Parameters, listed: BlockedList, kind: Kind, entries: Sequence[str]
) -> None:
    """Replace the entries of a list that nobody changed since it was read.

    Raises ReviewNeeded, InvalidInput, PreconditionFailed.
    """
    changes: dict[str, Any] = {kind: tuple(entries)}
    if (known := listed.identity_type) is not None:
        await change_everywhere(context, form, known.type_id, changes, fingerprint(known))
        return
    await _protect(context, form, changes, fingerprint(listed.protection), lambda protection: protection)


async def _protect(
    context: ConsoleContext,
    form: Parameters,
    changes: dict[str, Any],
    version: str,
    part: Callable[[Protection], Any],
) -> None:
    """Change the protection. `version`: the fingerprint of a part of it, as its author saw it."""
    problem = find_problem(changes)
    if problem is not None:
        raise InvalidInput("entries", problem)
    planned = unless_changed(plan_protection(**changes), version, lambda config: part(protection_of(config)))
    expected = await reviewed(context, form, [DatasetChange(context.dataset_ref, planned)])
    await context.services.profiles.refusals.protect(
        context.dataset_ref, actor=context.actor, expected=expected, **changes
    )


def _kind(form: Parameters) -> Kind:
    return "blocked_patterns" if first(form, "kind") == "blocked_patterns" else "blocked_values"


def _limits_of(protection: Protection) -> dict[str, str]:
    return {name: str(getattr(protection, name)) for name in LIMITS}


def _number(name: str, text: str) -> int:
    """The limit that a text means. Raises InvalidInput."""
    if (
        not (text.isascii() and text.isdecimal() and len(text) <= len(str(LIMIT_MAX)))
        or not 1 <= int(text) <= LIMIT_MAX
    ):
        raise InvalidInput(name, f"Enter a whole number from 1 to {LIMIT_MAX}.")
    return int(text)


def _texts(context: ConsoleContext, listed: BlockedList, heading: str, button: str) -> ReviewTexts:
    return ReviewTexts(
        section="blocked",
        heading=heading,
        button=button,
        cancel=listed.url(context.home),
        notes=(f"It concerns {listed.name}.", IN_BACKGROUND),
    )


async def _list_page(
    context: ConsoleContext,
    listed: BlockedList,
    *,
    entered: str = "",
    kind: Kind = "blocked_values",
    problem: str = "",
    status: int = 200,
) -> AnyResponse:
    search = query_search(context.request, "q", SEARCH_CHARACTERS_MAX)
    kinds: tuple[Kind, ...] = ("blocked_values", "blocked_patterns")
    entries = [(word, entry) for word in kinds for entry in sorted(listed.entries(word), key=str.casefold)]
    found = [item for item in entries if search.casefold() in item[1].casefold()]
    types = await context.services.schema.identity_types.list(context.dataset_ref)
    known = listed.identity_type
    return page(
        context,
        "blocked_values.html",
        status=status,
        listed=listed,
        types=[item for item in types if item.type_id != PROFILE_ID],
        type_id=known.type_id if known else "",
        found=found[:LISTED_MAX],
        found_count=len(found),
        total=len(entries),
        search=search,
        entered=entered,
        kind=kind,
        problems={"entries": problem} if problem else {},
        list_url=listed.url(context.home),
        add_url=listed.url(context.home, "blocked/add"),
        remove_url=listed.url(context.home, "blocked/remove"),
        api=api_request(context, f"identity-types/{known.type_id}" if known else "protection"),
    )


async def _limits_page(
    context: ConsoleContext,
    entered: dict[str, str],
    *,
    problems: dict[str, str] | None = None,
    is_stale: bool = False,
    status: int = 200,
) -> AnyResponse:
    stored = _limits_of(await _protection(context))
    return page(
        context,
        "limits.html",
        status=status,
        entered=entered,
        stored=stored,
        problems=problems or {},
        is_stale=is_stale,
        version=fingerprint(stored),
        api=api_request(context, "protection"),
    )


ROUTES = (blocked_list, block_values, unblock_value, show_limits, change_limits)
