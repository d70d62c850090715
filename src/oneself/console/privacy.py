"""Export and erase what is stored of a person, and the receipts of erasures.

Invariants: both are confirmed by typing the first characters of the profile's id. An erasure takes what its
page named, or nothing. Source: docs/guides/privacy.md.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response

from oneself.console.context import ConsoleContext, NoSuchPage, console_context, requires
from oneself.console.formats import api_request
from oneself.console.forms import accepted_form, checked_form, first, page, see
from oneself.console.handlers import form_at, page_at
from oneself.console.profile_reading import NoSuchProfile, ProfileReading, open_profile
from oneself.console.profiles import ViewChoice
from oneself.console.query import query_id, query_number
from oneself.core.identity_graph.joins import VIEWS, View
from oneself.core.units import SEQ_MAX
from oneself.errors import Conflict
from oneself.service.context import DEFAULT_DATASET
from oneself.service.ingest.submission import ObservationRejected
from oneself.service.privacy.erasure import Expected
from oneself.web.forms import AnyRequest, Parameters

AnyResponse = Response[Any]
EXPORT, ERASE = requires("export_profiles"), requires("erase_profiles")
SEE_RECEIPTS = requires("see_erasures")
#: Of the profile's id: what a user types to confirm.
TYPED_CHARS = 8
RECEIPTS_PER_PAGE = 25
VERSION_CHARS_MAX = 18
CHANGED = "The profile changed since you looked at it. Nothing was erased. Look at what would be erased now."


@page_at("/profiles/export", EXPORT)
async def confirm_export(request: AnyRequest) -> AnyResponse:
    """Say what an export contains, and ask for confirmation."""
    async with open_profile(request, is_now=True) as reading:
        return _export_page(reading)


@form_at("/profiles/export", EXPORT)
async def export_profile(request: AnyRequest) -> AnyResponse:
    """Send everything that is stored of a person in a view, as a file."""
    async with open_profile(request, is_now=True) as reading:
        context, survivor_id = reading.context, reading.view.survivor.profile_id
        if first(await checked_form(context), "typed") != _typed(reading):
            return _export_page(reading, "What you typed is not the beginning of the profile id.")
        persons = context.services.privacy.persons
        found = await persons.export(context.dataset_ref, str(survivor_id), reading.query.view)
        if found is None:
            raise NoSuchProfile(context, reading.query, "The profile was erased in the meantime.")
    return Response(
        msgspec.json.encode(found.document),
        media_type="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="person-{found.profile_id}.json"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


@page_at("/profiles/erase", ERASE)
async def confirm_erasure(request: AnyRequest) -> AnyResponse:
    """Say what an erasure would take and whose parts it has, and ask for confirmation."""
    async with open_profile(request, is_now=True) as reading:
        return await _erasure_page(reading)


@form_at("/profiles/erase", ERASE)
async def erase_profile(request: AnyRequest) -> AnyResponse:
    """Erase what a person has in a view, unless it changed since the page was opened."""
    async with open_profile(request, is_now=True) as reading:
        context, query = reading.context, reading.query
        try:
            async with accepted_form(context) as form:
                if first(form, "typed") != _typed(reading):
                    raise _NotTyped
                receipt = await context.services.privacy.persons.erase(
                    context.dataset_ref,
                    context.actor,
                    str(reading.view.survivor.profile_id),
                    query.view,
                    expected=_expected(form, query.view),
                )
        except _NotTyped:
            return await _erasure_page(reading, "What you typed is not the beginning of the profile id.", 400)
        except ObservationRejected:
            return await _erasure_page(reading, CHANGED, 409)
        except Conflict as conflict:
            return await _erasure_page(reading, conflict.description, 409)
    if receipt is None:
        raise NoSuchProfile(context, query, "The profile was erased in the meantime.")
    return see(_receipts_url(context, "/receipt", id=receipt.receipt_id))


@page_at("/erasures", SEE_RECEIPTS)
async def list_receipts(request: AnyRequest) -> AnyResponse:
    """List the receipts of erasures, the last one first."""
    context = await console_context(request).in_dataset()
    before = query_number(request, "before") or SEQ_MAX
    found = await context.services.privacy.erasure.list_receipts(
        context.dataset_ref, before, RECEIPTS_PER_PAGE + 1
    )
    receipts = found[:RECEIPTS_PER_PAGE]
    further = ""
    if len(found) > RECEIPTS_PER_PAGE:
        further = _receipts_url(context, before=receipts[-1].erased_at)
    return page(
        context,
        "receipts.html",
        receipts=[(item, _receipts_url(context, "/receipt", id=item.receipt_id)) for item in receipts],
        further=further,
        first_page="" if before == SEQ_MAX else _receipts_url(context),
    )


@page_at("/erasures/receipt", SEE_RECEIPTS)
async def show_receipt(request: AnyRequest) -> AnyResponse:
    """Show the proof of an erasure."""
    context = await console_context(request).in_dataset()
    receipt = await context.services.privacy.erasure.find_receipt(
        context.dataset_ref, query_id(request, "id")
    )
    if receipt is None:
        raise NoSuchPage
    return page(
        context,
        "receipt.html",
        receipt=receipt,
        back=_receipts_url(context),
        api=_api_of_default(context, f"erasures/{receipt.receipt_id}"),
    )


class _NotTyped(Exception):
    """The user did not confirm."""


def _typed(reading: ProfileReading) -> str:
    return str(reading.view.survivor.profile_id)[:TYPED_CHARS]


def _expected(form: Parameters, view: View) -> Expected:
    """What the page showed: the version of the profile, and that of what an erasure takes."""
    text, _, selection = first(form, "version").partition(" ")
    is_number = text.isascii() and text.isdecimal() and len(text) <= VERSION_CHARS_MAX
    return Expected(view, frozenset({int(text) if is_number else 0}), selection)


def _export_page(reading: ProfileReading, problem: str = "") -> AnyResponse:
    return page(
        reading.context,
        "profile_export.html",
        status=400 if problem else 200,
        reading=reading,
        tab="export",
        problem=problem,
        typed=_typed(reading),
        choices=_choices(reading, "export"),
        api=_api(reading, "export"),
    )


async def _erasure_page(reading: ProfileReading, problem: str = "", status: int = 200) -> AnyResponse:
    """What an erasure would take. It is read after the version of the profile, which so is not newer."""
    context, view = reading.context, reading.view
    found = await reading.lookup.find(context.dataset_ref, str(view.survivor.profile_id), reading.query.view)
    if found is None:
        raise NoSuchProfile(context, reading.query, "The profile was erased in the meantime.")
    try:
        preview = await context.services.privacy.persons.preview_erasure(
            context.dataset_ref, str(view.survivor.profile_id), reading.query.view
        )
    except Conflict as conflict:
        raise NoSuchProfile(context, reading.query, conflict.description, status=409) from None
    return page(
        context,
        "profile_erase.html",
        status=status,
        reading=reading,
        tab="erase",
        problem=problem,
        typed=_typed(reading),
        version="" if preview is None else f"{found.survivor.updated_at} {preview.version}",
        preview=preview,
        choices=_choices(reading, "erase"),
        api=_api(reading, "erase", {}, dry_run="true"),
    )


def _choices(reading: ProfileReading, step: str) -> list[ViewChoice]:
    query = reading.query
    return [ViewChoice(view, query.url(step, view="" if view == "all" else view), "") for view in VIEWS]


def _api(reading: ProfileReading, step: str, body: Any = None, **query: str) -> str:
    path = f"profiles/{reading.view.survivor.profile_id}/{step}"
    return _api_of_default(reading.context, path, body, view=reading.query.view, **query)


def _api_of_default(context: ConsoleContext, path: str, body: Any = None, **query: str) -> str:
    """The request of the REST interface, which has these resources for the dataset `default` alone."""
    return "" if context.dataset_ref.dataset != DEFAULT_DATASET else api_request(context, path, body, **query)


def _receipts_url(context: ConsoleContext, step: str = "", **query: object) -> str:
    if context.dataset_ref.dataset != DEFAULT_DATASET:
        query["dataset"] = context.dataset_ref.dataset
    return f"{context.home}/erasures{step}" + (f"?{urlencode(query)}" if query else "")


ROUTES = (confirm_export, export_profile, confirm_erasure, erase_profile, list_receipts, show_receipt)
