"""Identity → Identity Types: which kinds of values identify people, in every dataset of an organisation.

Invariants: a page calls the use-cases that the identity types of the REST wire call, with the user as the
actor. What may join or part stored profiles of any dataset is confirmed beneath its preview.
"""

from __future__ import annotations

from typing import Any
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
from oneself.console.context import ConsoleContext, NoSuchPage, console_context, requires
from oneself.console.formats import api_request
from oneself.console.forms import accepted_form, first, page, see_done
from oneself.console.handlers import form_at, page_at
from oneself.console.identity_words import FIXED_SWITCHES, TYPE_SWITCHES
from oneself.console.query import required_text
from oneself.core.identity.identity_type import PROFILE_ID, IdentityType
from oneself.errors import Conflict, InvalidInput, NotFound, PreconditionFailed, RequestError
from oneself.service.configuration import PlannedChange
from oneself.service.schema.identity_types import plan_type_change
from oneself.web.forms import AnyRequest, Parameters

AnyResponse = Response[Any]
SEE, CHANGE = requires("see_identity"), requires("change_identity")
CREATED = "The identity type was created. It matches in the datasets that bind an attribute to it."
ID_CHARACTERS_MAX = 64


@page_at("/types", SEE)
async def type_list(request: AnyRequest) -> AnyResponse:
    """List the identity types, the built-in ones first."""
    context = console_context(request)
    found = await context.services.schema.identity_types.list(context.dataset_ref)
    return page(
        context,
        "identity_types.html",
        types=[(item, type_url(context, item.type_id)) for item in found],
        api=api_request(context, "identity-types"),
    )


@page_at("/types/new", CHANGE)
async def new_type(request: AnyRequest) -> AnyResponse:
    """Show the form of a new identity type."""
    return _type_page(console_context(request), None, IdentityType("", ""))


@form_at("/types/new", CHANGE)
async def create_type(request: AnyRequest) -> AnyResponse:
    """Create an identity type. It joins nobody before a dataset binds an attribute to it."""
    context, draft = console_context(request), IdentityType("", "")
    try:
        async with accepted_form(context) as form:
            draft = _drafted(form)
            named = msgspec.structs.replace(draft, label=draft.label or draft.type_id)
            await context.services.schema.identity_types.create(
                context.dataset_ref, named, actor=context.actor
            )
    except InvalidInput as invalid:
        return _type_page(context, None, draft, problems={invalid.code: invalid.description}, status=400)
    except Conflict as conflict:
        return _type_page(context, None, draft, problems={"id": conflict.description}, status=409)
    return see_done(context, f"{context.home}/types", CREATED)


@page_at("/types/type", SEE)
async def show_type(request: AnyRequest) -> AnyResponse:
    """Show an identity type; whoever may change it gets a form."""
    context = console_context(request)
    known = await _asked(context)
    return _type_page(context, known, known)


@form_at("/types/type", CHANGE)
async def change_type(request: AnyRequest) -> AnyResponse:
    """Change an identity type in every dataset, unless somebody else did since the form was opened."""
    context = console_context(request)
    known = entered = await _asked(context)
    changes = dict[str, Any]()
    try:
        async with accepted_form(context) as form:
            entered = _entered(form, known)
            changes = _changes(known, entered)
            await change_everywhere(context, form, known.type_id, changes, first(form, "version"))
    except ReviewNeeded as needed:
        texts = ReviewTexts(
            section="types",
            heading=f"Change the identity type {known.type_id}?",
            button="Save",
            cancel=type_url(context, known.type_id),
            notes=(IN_BACKGROUND,),
            request={"identity_types": [{"id": known.type_id, **changes}]},
        )
        return review_page(context, needed, texts)
    except PreconditionFailed:
        return _type_page(context, await _asked(context), entered, is_stale=True, status=409)
    except RequestError as rejected:
        return _type_page(context, known, entered, problems=_problems(rejected), status=400)
    return see_done(context, type_url(context, known.type_id), "The identity type was changed.")


@page_at("/types/delete", CHANGE)
async def confirm_type_deletion(request: AnyRequest) -> AnyResponse:
    """Say what a deletion does, and ask for confirmation."""
    context = console_context(request)
    return _deletion_page(context, await _asked(context))


@form_at("/types/delete", CHANGE)
async def delete_type(request: AnyRequest) -> AnyResponse:
    """Delete an identity type that nobody uses."""
    context = console_context(request)
    known = await _asked(context)
    try:
        async with accepted_form(context):
            await context.services.schema.identity_types.delete(
                context.dataset_ref, known.type_id, actor=context.actor
            )
    except Conflict as conflict:
        return _deletion_page(context, known, conflict.description, status=409)
    except NotFound:
        raise NoSuchPage from None
    return see_done(context, f"{context.home}/types", "The identity type was deleted.")


def type_url(context: ConsoleContext, type_id: str) -> str:
    """The URL of the page of an identity type."""
    return f"{context.home}/types/type?{urlencode({'id': type_id})}"


async def _asked(context: ConsoleContext) -> IdentityType:
    """The identity type that a page is about. Raises InvalidParameter, NoSuchPage."""
    type_id = required_text(context.request, "id")
    try:
        return await context.services.schema.identity_types.find(context.dataset_ref, type_id)
    except NotFound:
        raise NoSuchPage from None


async def change_everywhere(
    context: ConsoleContext, form: Parameters, type_id: str, changes: dict[str, Any], version: str
) -> None:
    """Change a type in every dataset. `version`: the fingerprint of the type that the author saw.

    Raises ReviewNeeded, PreconditionFailed, and as `IdentityTypes.change`.
    """
    planned = unless_changed(
        plan_type_change(type_id, changes), version, lambda config: config.types.get(type_id)
    )
    expected = await reviewed(context, form, await _in_each_dataset(context, planned))
    await context.services.schema.identity_types.change(
        context.dataset_ref, type_id, changes, actor=context.actor, expected=expected
    )


async def _in_each_dataset(context: ConsoleContext, planned: PlannedChange) -> list[DatasetChange]:
    """The change in every dataset, that of the organisation first."""
    datasets, home = context.services.schema.datasets, context.dataset_ref
    names = [item.name for item in await datasets.list(home) if item.name != home.dataset]
    refs = [home, *[found for name in names if (found := await datasets.find(home, name)) is not None]]
    return [DatasetChange(ref, planned) for ref in refs]


def _drafted(form: Parameters) -> IdentityType:
    """The new type that a form describes."""
    fixed: dict[str, Any] = {name: first(form, name) == "yes" for name in FIXED_SWITCHES}
    return _entered(form, IdentityType(first(form, "id"), "", **fixed))


def _entered(form: Parameters, known: IdentityType) -> IdentityType:
    """The type as a form describes it."""
    switches: dict[str, Any] = {name: first(form, name) == "yes" for name in TYPE_SWITCHES}
    return msgspec.structs.replace(known, label=first(form, "label"), **switches)


def _changes(known: IdentityType, entered: IdentityType) -> dict[str, Any]:
    """What differs, by field."""
    names = ("label", *TYPE_SWITCHES)
    return {name: getattr(entered, name) for name in names if getattr(entered, name) != getattr(known, name)}


def _problems(rejected: RequestError) -> dict[str, str]:
    return {rejected.code if isinstance(rejected, InvalidInput) else "form": rejected.description}


def _facts(known: IdentityType) -> list[tuple[str, str]]:
    """The type in words."""
    switches = {**FIXED_SWITCHES, **TYPE_SWITCHES}
    return [("Label", known.label)] + [
        (label, "yes" if getattr(known, name) else "no") for name, (label, _) in switches.items()
    ]


def _type_page(
    context: ConsoleContext,
    known: IdentityType | None,
    entered: IdentityType,
    *,
    problems: dict[str, str] | None = None,
    is_stale: bool = False,
    status: int = 200,
) -> AnyResponse:
    may_change = context.may("change_identity") and (known is None or known.type_id != PROFILE_ID)
    facts = _facts(known) if known else []
    return page(
        context,
        "identity_type.html",
        status=status,
        known=known,
        entered=entered,
        may_change=may_change,
        facts=facts,
        differences=[fact for fact in facts if fact not in _facts(entered)] if is_stale else [],
        is_stale=is_stale,
        problems=problems or {},
        version=fingerprint(known),
        id_characters_max=ID_CHARACTERS_MAX,
        api=api_request(context, f"identity-types/{known.type_id}" if known else "identity-types"),
    )


def _deletion_page(
    context: ConsoleContext, known: IdentityType, problem: str = "", *, status: int = 200
) -> AnyResponse:
    return page(
        context,
        "identity_type_delete.html",
        status=status,
        known=known,
        problems={"form": problem} if problem else {},
        back=type_url(context, known.type_id),
    )


ROUTES = (type_list, new_type, create_type, show_type, change_type, confirm_type_deletion, delete_type)
