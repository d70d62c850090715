"""A profile: its ids, its values with where they come from, consents, and what each view adds.

Invariants: every view is read as applications read it. What a view adds is the difference to the narrower
one.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response

from oneself.console.formats import value_text, when
from oneself.console.forms import page
from oneself.console.handlers import page_at
from oneself.console.profile_reading import NoSuchProfile, ProfileQuery, ProfileReading, open_profile
from oneself.console.profile_search import SEE
from oneself.console.profile_words import interface_of, trust_of
from oneself.core.identity.identifier import visible_value
from oneself.core.identity_graph.joins import VIEWS, View
from oneself.core.values.attribute import SCOPES
from oneself.core.values.visibility import visible_values
from oneself.service.profiles.profiles import ProfileView
from oneself.service.profiles.search import leaves
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
NARROWER: dict[View, View] = {"all": "proven", "proven": "own"}
#: More former ids and browsers of a profile are listed as its identifiers.
IDS_MAX = 10
#: The page names some former ids and browsers; it does not read every part of a very large person for them.
PARTS_READ_MAX = 500


class ListedValue(msgspec.Struct, frozen=True):
    """A value, and where it comes from. `added_by`: the view that adds it to the narrower ones."""

    name: str
    text: str
    sources: list[str]
    trust: str
    added_by: View | None


class ViewChoice(msgspec.Struct, frozen=True):
    """A view that can be chosen, and what it adds to the narrower one."""

    view: View
    url: str
    adds: str


@page_at("/profiles/profile", SEE)
async def show_profile(request: AnyRequest) -> AnyResponse:
    """Show a profile."""
    async with open_profile(request) as reading:
        views = await _views(reading)
        ref, lookup = reading.context.dataset_ref, reading.lookup
        person = await lookup.person_in(ref, reading.view, parts_max=PARTS_READ_MAX)
        devices = await lookup.devices(ref, reading.view, parts_max=PARTS_READ_MAX)
    context = reading.context
    categories = (await context.organisation_config()).categories
    consents = [
        (categories[key].category_name if key in categories else key, choice)
        for key, choice in sorted(reading.view.survivor.consents.items())
    ]
    return page(
        context,
        "profile.html",
        reading=reading,
        tab="profile",
        survivor=reading.view.survivor,
        choices=_choices(reading, views),
        values=_listed_values(reading, views),
        aliases=list(person.aliases)[:IDS_MAX],
        devices=[visible_value(device) for device in devices][:IDS_MAX],
        consents=consents,
        api=reading.api_request(provenance="true", include_application_data="true"),
    )


def missing_profile(_: AnyRequest, error: NoSuchProfile) -> AnyResponse:
    """Say that a view, or an instant, does not have a profile, and link to where it may be."""
    query = error.query
    return page(
        error.context,
        "profile_missing.html",
        status=error.status,
        query=query,
        sentence=error.sentence,
        choices=view_choices(query, "profile"),
    )


async def _views(reading: ProfileReading) -> dict[View, ProfileView]:
    """The profile in its view, and now also in the others, which differ in what they show."""
    found: dict[View, ProfileView] = {reading.query.view: reading.view}
    if reading.earlier is None:
        ref = reading.context.dataset_ref
        for view in VIEWS:
            other = reading.view if view == reading.query.view else None
            other = other or await reading.lookup.find(ref, str(reading.view.survivor.profile_id), view)
            if other is not None:
                found[view] = other
    return found


def _choices(reading: ProfileReading, views: dict[View, ProfileView]) -> list[ViewChoice]:
    choices = view_choices(reading.query, "profile")
    return [msgspec.structs.replace(item, adds=_adds(item.view, views)) for item in choices]


def view_choices(query: ProfileQuery, page_name: str) -> list[ViewChoice]:
    """The views in which a page of a profile can be seen."""
    return [ViewChoice(view, query.url(page_name, view="" if view == "all" else view), "") for view in VIEWS]


def _adds(view: View, views: dict[View, ProfileView]) -> str:
    """What a view shows beyond the narrower one, in words; empty if that is not known."""
    if view not in views:
        return ""
    values = set(_paths(views[view]))
    if view == "own":
        return _count(len(values), "value")
    narrower = views.get(NARROWER[view])
    if narrower is None:
        return ""
    merged = len(views[view].absorbed) - len(narrower.absorbed)
    added = [_count(len(values - set(_paths(narrower))), "value"), _count(max(merged, 0), "merged profile")]
    words = " and ".join(item for item in added if not item.startswith("no "))
    return f"adds {words}" if words else f"adds nothing to {NARROWER[view]}"


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _paths(view: ProfileView) -> list[str]:
    return [path for path, _ in leaves(visible_values(view.config.schema, view.survivor.record.values))]


def _listed_values(
    reading: ProfileReading, views: dict[View, ProfileView]
) -> list[tuple[str, list[ListedValue]]]:
    """The values by scope; application data by application."""
    narrower: list[tuple[View, set[str]]] = [
        (view, set(_paths(views[NARROWER[view]]))) for view in NARROWER if _is_within(view, reading, views)
    ]
    provenance, visible = reading.view.survivor.record.provenance, reading.values()
    found = []
    for scope in SCOPES:
        listed = []
        for name, value in leaves(visible.get(scope, {})):
            path = f"{scope}.{name}"
            added = [view for view, known in narrower if path not in known]
            sources = provenance.get(path, ())
            listed.append(
                ListedValue(
                    name,
                    value_text(value),
                    [_source(item.at, item.interface, item.application) for item in sources],
                    " and ".join(dict.fromkeys(trust_of(item.trust) for item in sources)),
                    # The narrowest view that shows it; wider views come first.
                    added[0] if added else None,
                )
            )
        found.append((scope, listed))
    return found


def _is_within(view: View, reading: ProfileReading, views: dict[View, ProfileView]) -> bool:
    """Whether a view is at most as wide as the one that is shown, and the narrower one is known."""
    order = VIEWS.index
    return order(view) <= order(reading.query.view) and NARROWER[view] in views


def _source(at: int, interface: str, application: str | None) -> str:
    by = f" by {application}" if application else ""
    return f"{when(at)}, {interface_of(interface)}{by}"


ROUTES = (show_profile,)
