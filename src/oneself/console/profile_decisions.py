"""Split a profile, and merge two: always after a dry run that shows both sides.

    choose ─▶ dry run: every side, with a version ─▶ the same decision, if it still comes to that version

Invariants: nothing is decided that its author has not seen.

Source: docs/decisions/0042-splits-and-merges-by-hand.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response

from oneself.console.context import requires
from oneself.console.formats import api_request, value_text
from oneself.console.forms import accepted_form, first, page, see_done
from oneself.console.handlers import form_at, page_at
from oneself.console.profile_reading import (
    NoSuchProfile,
    ProfileReading,
    id_in,
    open_profile,
)
from oneself.console.query import InvalidParameter, query_number, query_text
from oneself.core.identity.identifier import Identifier, visible_value
from oneself.core.values.visibility import visible_values
from oneself.errors import Conflict, InvalidInput, RequestError
from oneself.service.by_hand.asked import (
    REASON_CHARS_MAX,
    Decided,
    DecidedProfile,
    GivenUp,
    SplitAbsorbed,
    SplitAsked,
    SplitBrowser,
    SplitIdentifier,
    SplitSources,
    Why,
)
from oneself.service.profiles.readable import is_readable
from oneself.service.profiles.search import leaves
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
DECIDE = requires("decide_profiles")
CHOICES_PER_PAGE = 25
#: As much of each side as tells it apart; the profile's own pages have everything.
LISTED_MAX = 12
#: What can be taken out, as the query names it.
WHAT = "It is everything, profile: and an id, browser: and an id, or identifier: and its name and value."
SPLIT = "The profile was split. This is what stayed; the history says what went."
CHANGED = "The profiles changed since you looked at them. Nothing was done. Look at what it comes to now."


class SplitChoice(msgspec.Struct, frozen=True):
    """What can be taken out. `what`: as the query names it."""

    what: str
    text: str


class DecidedSide(msgspec.Struct, frozen=True):
    """A profile as a decision would leave it."""

    profile_id: UUID
    user_id: str | None
    parts: int
    events: int
    values: list[tuple[str, str]]
    identifiers: list[tuple[str, str]]


class Outcome(msgspec.Struct, frozen=True):
    """What a decision would come to. `version`: what makes it another one."""

    sides: list[DecidedSide]
    version: str
    given_up: GivenUp | None


@page_at("/profiles/split", DECIDE)
async def choose_split(request: AnyRequest) -> AnyResponse:
    """Let the user choose what to take out, then show what would be left and what would go."""
    async with open_profile(request, is_now=True) as reading:
        what = query_text(request, "what")
        return await (_split_page(reading, what) if what else _choices_page(reading))


@form_at("/profiles/split", DECIDE)
async def split_profile(request: AnyRequest) -> AnyResponse:
    """Split a profile, if it comes to what the user has seen."""
    async with open_profile(request, is_now=True) as reading:
        what = query_text(request, "what")
        try:
            async with accepted_form(reading.context) as form:
                why = _why(reading, first(form, "reason"), first(form, "version"))
                await _split(reading, what, why)
        except RequestError as error:
            return await _split_page(reading, what, error, first(form, "reason"))
    return see_done(reading.context, reading.query.url(), SPLIT)


@page_at("/profiles/merge", DECIDE)
async def choose_merge(request: AnyRequest) -> AnyResponse:
    """Let the user name the other profile, then show what the two would be together."""
    async with open_profile(request, is_now=True) as reading:
        return await _merge_page(reading, query_text(request, "with"), query_text(request, "gives_up"))


@form_at("/profiles/merge", DECIDE)
async def merge_profiles(request: AnyRequest) -> AnyResponse:
    """Merge two profiles, if it comes to what the user has seen."""
    async with open_profile(request, is_now=True) as reading:
        other, gives_up = query_text(request, "with"), query_text(request, "gives_up")
        try:
            async with accepted_form(reading.context) as form:
                why = _why(reading, first(form, "reason"), first(form, "version"))
                decided = await _merge(reading, other, gives_up, why)
        except RequestError as error:
            return await _merge_page(reading, other, gives_up, error, first(form, "reason"))
    survivor = reading.query.url(id=decided.profiles[0].view.survivor.profile_id)
    return see_done(reading.context, survivor, "The profiles were merged.")


async def _choices_page(reading: ProfileReading) -> AnyResponse:
    offset, ref, view = (
        query_number(reading.context.request, "offset"),
        reading.context.dataset_ref,
        reading.view,
    )
    until = offset + CHOICES_PER_PAGE
    identifiers = await reading.timeline.identifiers(ref, view, offset=offset, limit=CHOICES_PER_PAGE + 1)
    choices = [
        SplitChoice(f"profile:{item.profile_id}", f"The merged profile {item.profile_id}")
        for item in view.absorbed[offset:until]
    ]
    named = [item.identifier for item in identifiers[:CHOICES_PER_PAGE] if item.until is None]
    choices += [choice for item in dict.fromkeys(named) for choice in _choices(reading, item)]
    has_more = len(identifiers) > CHOICES_PER_PAGE or len(view.absorbed) > until
    return page(
        reading.context,
        "profile_split.html",
        reading=reading,
        tab="split",
        choices=choices,
        outcome=None,
        problem="",
        further=reading.query.url("split", offset=until) if has_more else "",
        is_first=offset == 0,
    )


def _choices(reading: ProfileReading, identifier: Identifier) -> list[SplitChoice]:
    """What an identifier lets one take out: a browser, or what it alone joins."""
    value = reading.visible_value_of(identifier)
    if value is None or identifier.namespace == "user_id":
        return []
    if identifier.is_device:
        return [SplitChoice(f"browser:{value}", f"The browser {value}")]
    text = f"Whatever {identifier.namespace} “{value}” alone joins"
    return [SplitChoice(f"identifier:{identifier.namespace}:{value}", text)]


async def _split_page(
    reading: ProfileReading, what: str, error: RequestError | None = None, reason: str = ""
) -> AnyResponse:
    """What a split would come to. `error`: why the one that was asked for was not made."""
    outcome, found = await _outcome(lambda: _split(reading, what, _why(reading, dry_run=True)))
    problem = error or found
    return page(
        reading.context,
        "profile_split.html",
        status=_status(problem),
        reading=reading,
        tab="split",
        outcome=outcome,
        problem=_sentence(problem),
        reason=reason,
        reason_max=REASON_CHARS_MAX,
        api=api_request(
            reading.context,
            f"datasets/{reading.query.dataset}/profiles/{reading.view.survivor.profile_id}/split",
            _split_body(what),
            view=reading.query.view,
            dry_run="true",
        ),
    )


async def _merge_page(
    reading: ProfileReading, other: str, gives_up: str, error: RequestError | None = None, reason: str = ""
) -> AnyResponse:
    """What a merge would come to, beside what the two are now."""
    outcome, problem, beside = None, error, None
    if other:
        beside = await reading.lookup.find(reading.context.dataset_ref, other, reading.query.view)
        if beside is None:
            problem = InvalidInput("with", f"No profile has the id “{other}” in this view.")
        else:
            why = _why(reading, dry_run=True)
            outcome, found = await _outcome(lambda: _merge(reading, other, gives_up, why))
            problem = error or found
    body = {"with": other} | ({"give_up_account": gives_up} if gives_up else {})
    users = [] if beside is None else [reading.view.survivor.user_id, beside.survivor.user_id]
    return page(
        reading.context,
        "profile_merge.html",
        status=_status(problem),
        reading=reading,
        tab="merge",
        other=other,
        gives_up=gives_up,
        #: Of two users, one has to give up the account.
        users=users if None not in users and len(set(users)) > 1 else [],
        now=[] if beside is None else [_now(reading, reading.view), _now(reading, beside)],
        outcome=outcome,
        problem=_sentence(problem),
        reason=reason,
        reason_max=REASON_CHARS_MAX,
        api=api_request(
            reading.context,
            f"datasets/{reading.query.dataset}/profiles/{reading.view.survivor.profile_id}/merge",
            body,
            view=reading.query.view,
            dry_run="true",
        )
        if other
        else "",
    )


async def _outcome(attempt: Callable[[], Awaitable[Decided]]) -> tuple[Outcome | None, RequestError | None]:
    """What a dry run comes to, or why it comes to nothing."""
    try:
        decided = await attempt()
    except RequestError as error:
        return None, error
    return Outcome([_side(item) for item in decided.profiles], decided.version, decided.given_up), None


async def _split(reading: ProfileReading, what: str, why: Why) -> Decided:
    context, survivor_id = reading.context, reading.view.survivor.profile_id
    decided = await context.services.decisions.split(
        context.dataset_ref, context.actor, str(survivor_id), _split_asked(what), why
    )
    return _existing(reading, decided)


async def _merge(reading: ProfileReading, other: str, gives_up: str, why: Why) -> Decided:
    context, survivor_id = reading.context, reading.view.survivor.profile_id
    decided = await context.services.decisions.merge(
        context.dataset_ref, context.actor, str(survivor_id), other, why, gives_up=gives_up or None
    )
    return _existing(reading, decided)


def _existing(reading: ProfileReading, decided: Decided | None) -> Decided:
    if decided is None:
        sentence = "One of the two profiles no longer exists. It was erased in the meantime."
        raise NoSuchProfile(reading.context, reading.query, sentence)
    return decided


def _why(reading: ProfileReading, reason: str = "", version: str = "", *, dry_run: bool = False) -> Why:
    return Why(reading.query.view, reason, dry_run, None if dry_run else version)


def _split_asked(what: str) -> SplitAsked:
    """What to take out, as the query names it. Raises InvalidParameter."""
    kind, _, name = what.partition(":")
    if kind == "everything":
        return SplitSources()
    if kind == "profile" and (profile_id := id_in(name)) is not None:
        return SplitAbsorbed(profile_id)
    if kind == "browser" and name:
        return SplitBrowser(name)
    if kind == "identifier" and name:
        return SplitIdentifier(name)
    raise InvalidParameter("what", WHAT)


def _split_body(what: str) -> dict[str, Any]:
    """The same as a request of the REST interface."""
    kind, _, name = what.partition(":")
    if kind == "everything":
        return {"all": True}
    return {"profile_id" if kind == "profile" else kind: name}


def _side(decided: DecidedProfile) -> DecidedSide:
    view = decided.view
    values = leaves(visible_values(view.config.schema, view.survivor.record.values))
    readable = [item.identifier for item in decided.identifiers if is_readable(item.identifier, view.config)]
    return DecidedSide(
        view.survivor.profile_id,
        view.survivor.user_id,
        len(decided.fragment_ids),
        decided.events,
        [(path, value_text(value)) for path, value in values][:LISTED_MAX],
        [(item.namespace, visible_value(item)) for item in dict.fromkeys(readable)][:LISTED_MAX],
    )


def _now(reading: ProfileReading, view: Any) -> dict[str, Any]:
    """A profile as it is before a merge."""
    values = leaves(visible_values(view.config.schema, view.survivor.record.values))
    return {
        "profile_id": view.survivor.profile_id,
        "user_id": view.survivor.user_id,
        "values": [(path, value_text(value)) for path, value in values][:LISTED_MAX],
    }


def _sentence(error: RequestError | None) -> str:
    if error is None:
        return ""
    if error.code == "stale":
        return CHANGED
    return error.description or error.message


def _status(error: RequestError | None) -> int:
    if error is None:
        return 200
    return 409 if isinstance(error, Conflict) else 400


ROUTES = (choose_split, split_profile, choose_merge, merge_profiles)
