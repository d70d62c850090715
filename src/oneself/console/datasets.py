"""Identity → Datasets: list, create, change and delete the datasets of an organisation.

Invariants: a page calls the use-cases that the datasets of the REST wire call, with the user as the actor.
What may join or part stored profiles is confirmed beneath its preview.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

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
from oneself.console.dataset_form import UNITS, Texts, changes_of, facts_of, read_texts, texts_of
from oneself.console.formats import api_request
from oneself.console.forms import accepted_form, first, page, see_done
from oneself.console.handlers import form_at, page_at
from oneself.errors import Conflict, InvalidInput, NotFound, PreconditionFailed, RequestError
from oneself.service.context import DEFAULT_DATASET
from oneself.service.identity.resolution_switch import plan_switch
from oneself.service.schema.datasets import Dataset
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
SEE, CHANGE = requires("see_identity"), requires("change_identity")
RESOLVES = "Identity resolution is on. Stored profiles follow in the background."
NAME_CHARACTERS_MAX = 63


@page_at("/datasets", SEE)
async def dataset_list(request: AnyRequest) -> AnyResponse:
    """List the datasets."""
    context = console_context(request)
    found = await context.services.schema.datasets.list(context.dataset_ref)
    return page(
        context,
        "datasets.html",
        datasets=[(item, dataset_url(context, item.name)) for item in found],
        api=api_request(context, "datasets"),
    )


@page_at("/datasets/new", CHANGE)
async def new_dataset(request: AnyRequest) -> AnyResponse:
    """Show the form of a new dataset."""
    return _new_page(console_context(request))


@form_at("/datasets/new", CHANGE)
async def create_dataset(request: AnyRequest) -> AnyResponse:
    """Create a dataset, with the settings of a new one."""
    context, name, label = console_context(request), "", ""
    resolves = True
    try:
        async with accepted_form(context) as form:
            name, label = first(form, "name"), first(form, "label")
            resolves = first(form, "resolves") == "yes"
            settings = {"label": label, "pipeline_identity_resolution": resolves}
            await context.services.schema.datasets.create(
                context.dataset_ref, name, settings, actor=context.actor
            )
    except InvalidInput as invalid:
        problems = {invalid.code: invalid.description}
        return _new_page(context, name, label, resolves=resolves, problems=problems, status=400)
    except Conflict as conflict:
        problems = {"name": conflict.description}
        return _new_page(context, name, label, resolves=resolves, problems=problems, status=409)
    return see_done(context, dataset_url(context, name), "The dataset was created.")


@page_at("/datasets/dataset", SEE)
async def show_dataset(request: AnyRequest) -> AnyResponse:
    """Show the settings of a dataset; whoever may change them gets a form."""
    context = await console_context(request).in_dataset()
    dataset = await _asked(context)
    return _dataset_page(context, dataset, texts_of(dataset.settings))


@form_at("/datasets/dataset", CHANGE)
async def change_dataset(request: AnyRequest) -> AnyResponse:
    """Change the settings of a dataset, unless somebody else did since the form was opened."""
    context = await console_context(request).in_dataset()
    dataset = await _asked(context)
    texts, changes = texts_of(dataset.settings), dict[str, Any]()
    datasets, name = context.services.schema.datasets, dataset.name
    try:
        async with accepted_form(context) as form:
            stored = texts_of(dataset.settings)
            texts = read_texts(form, stored)
            changes = changes_of(stored, texts)
            planned = unless_changed(
                datasets.plan(name, changes), first(form, "version"), lambda config: config.dataset
            )
            expected = await reviewed(context, form, [DatasetChange(context.dataset_ref, planned)])
            await datasets.change(_home(context), name, changes, actor=context.actor, expected=expected)
    except ReviewNeeded as needed:
        return review_page(context, needed, _review_texts(context, changes))
    except PreconditionFailed:
        return _dataset_page(context, await _asked(context), texts, is_stale=True, status=409)
    except RequestError as rejected:
        problems = {rejected.code: rejected.description}
        return _dataset_page(context, dataset, texts, problems=problems, status=400)
    return see_done(context, dataset_url(context, name), "The dataset was changed.")


@page_at("/datasets/resolution", CHANGE)
async def confirm_resolution(request: AnyRequest) -> AnyResponse:
    """Say what identity resolution does, and ask which attribute receives the former user ids."""
    return await _resolution_page(await console_context(request).in_dataset())


@form_at("/datasets/resolution", CHANGE)
async def enable_resolution(request: AnyRequest) -> AnyResponse:
    """Turn identity resolution on, beneath its preview."""
    context, attribute = await console_context(request).in_dataset(), ""
    name = context.dataset_ref.dataset
    try:
        async with accepted_form(context) as form:
            attribute = first(form, "attribute")
            change = DatasetChange(context.dataset_ref, plan_switch(attribute or None))
            expected = await reviewed(context, form, [change], is_always=True)
            await context.services.identity.resolution_switch.enable(
                context.dataset_ref, attribute or None, actor=context.actor, expected=expected
            )
    except ReviewNeeded as needed:
        texts = ReviewTexts(
            section="datasets",
            heading=f"Turn identity resolution on in {name}?",
            button="Turn it on",
            cancel=dataset_url(context, name),
            notes=("It cannot be turned off again. Tokens that browsers have become invalid.",),
            request={"identity_resolution": {"attribute": attribute} if attribute else {}},
        )
        return review_page(context, needed, texts)
    except (InvalidInput, Conflict) as rejected:
        return await _resolution_page(context, attribute, rejected.description, status=409)
    return see_done(context, dataset_url(context, name), RESOLVES)


@page_at("/datasets/delete", CHANGE)
async def confirm_dataset_deletion(request: AnyRequest) -> AnyResponse:
    """Say what a deletion does, and ask for confirmation."""
    return _deletion_page(await console_context(request).in_dataset())


@form_at("/datasets/delete", CHANGE)
async def delete_dataset(request: AnyRequest) -> AnyResponse:
    """Delete a dataset that was never used."""
    context = await console_context(request).in_dataset()
    try:
        async with accepted_form(context):
            await context.services.schema.datasets.delete(_home(context), context.dataset_ref.dataset)
    except Conflict as conflict:
        return _deletion_page(context, conflict.description, status=409)
    except NotFound:
        raise NoSuchPage from None
    return see_done(context, f"{context.home}/datasets", "The dataset was deleted.")


def dataset_url(
    context: ConsoleContext, dataset: str, path: str = "datasets/dataset", /, **query: str
) -> str:
    """The URL of a page about a dataset."""
    given = {**({"dataset": dataset} if dataset != DEFAULT_DATASET else {}), **query}
    return f"{context.home}/{path}" + (f"?{urlencode(given)}" if given else "")


def _home(context: ConsoleContext) -> Any:
    assert context.organisation_ref is not None, "the page belongs to an organisation"
    return context.organisation_ref


async def _asked(context: ConsoleContext) -> Dataset:
    """The dataset that a page is about. Raises NoSuchPage."""
    try:
        return await context.services.schema.datasets.show(_home(context), context.dataset_ref.dataset)
    except NotFound:
        raise NoSuchPage from None


def _review_texts(context: ConsoleContext, changes: dict[str, Any]) -> ReviewTexts:
    name = context.dataset_ref.dataset
    return ReviewTexts(
        section="datasets",
        heading=f"Change the dataset {name}?",
        button="Save",
        cancel=dataset_url(context, name),
        notes=(IN_BACKGROUND,),
        request={"settings": changes},
    )


def _new_page(
    context: ConsoleContext,
    name: str = "",
    label: str = "",
    *,
    resolves: bool = True,
    problems: dict[str, str] | None = None,
    status: int = 200,
) -> AnyResponse:
    return page(
        context,
        "dataset_form.html",
        status=status,
        name=name,
        label=label,
        resolves=resolves,
        problems=problems or {},
        name_characters_max=NAME_CHARACTERS_MAX,
    )


def _dataset_page(
    context: ConsoleContext,
    dataset: Dataset,
    texts: Texts,
    *,
    problems: dict[str, str] | None = None,
    is_stale: bool = False,
    status: int = 200,
) -> AnyResponse:
    stored = texts_of(dataset.settings)
    facts = facts_of(stored)
    return page(
        context,
        "dataset.html",
        status=status,
        dataset=dataset,
        texts=texts,
        differences=[fact for name, fact in facts.items() if texts[name] != stored[name]],
        is_stale=is_stale,
        problems=problems or {},
        version=fingerprint(dataset.settings),
        units=UNITS,
        facts=facts.values(),
        url=lambda path: dataset_url(context, dataset.name, path),
        is_default=dataset.name == DEFAULT_DATASET,
        api=api_request(context, f"datasets/{dataset.name}"),
    )


async def _resolution_page(
    context: ConsoleContext, attribute: str = "", problem: str = "", *, status: int = 200
) -> AnyResponse:
    bindings = await context.services.identity.attributes.list(context.dataset_ref)
    return page(
        context,
        "dataset_resolution.html",
        status=status,
        name=context.dataset_ref.dataset,
        is_on=(await context.config()).dataset.resolves_identities,
        options=[item.name for item in bindings],
        attribute=attribute,
        problems={"attribute": problem} if problem else {},
        back=dataset_url(context, context.dataset_ref.dataset),
    )


def _deletion_page(context: ConsoleContext, problem: str = "", *, status: int = 200) -> AnyResponse:
    name = context.dataset_ref.dataset
    return page(
        context,
        "dataset_delete.html",
        status=status,
        name=name,
        problems={"form": problem} if problem else {},
        back=dataset_url(context, name),
    )


ROUTES = (
    dataset_list,
    new_dataset,
    create_dataset,
    show_dataset,
    change_dataset,
    confirm_resolution,
    enable_resolution,
    confirm_dataset_deletion,
    delete_dataset,
)
