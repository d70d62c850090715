"""Identity → Identity Attributes and Channel Identities: which attributes of a dataset identify people.

Invariants: a page calls the use-cases that the same resources of the REST wire call, with the user as the
actor. Every change is confirmed beneath its preview.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response

from oneself.console.change_review import (
    CONFIRMATION,
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
from oneself.console.datasets import dataset_url
from oneself.console.formats import api_request
from oneself.console.forms import accepted_form, first, page, see_done
from oneself.console.handlers import form_at, page_at
from oneself.console.identity_words import CHANNELS
from oneself.console.query import required_text
from oneself.core.config.configuration import Config
from oneself.core.identity.identifier_source import job_id_of
from oneself.core.identity.identity_type import DEFAULT_CHANNELS, PROFILE_ID, IdentityBinding, can_bind
from oneself.errors import Conflict, InvalidInput, PreconditionFailed, RequestError
from oneself.service.identity.attributes import plan_bindings
from oneself.service.schema.identity_bindings import Binding, effective_channels
from oneself.web.forms import AnyRequest, Parameters

AnyResponse = Response[Any]
SEE, CHANGE = requires("see_identity"), requires("change_identity")
REMOVED = "The identity attribute was removed. Its values stay stored and match nobody any more."
NAME_CHARACTERS_MAX = 64
LIST, CHANNELS_PATH = "identities", "channels"


class ListedBinding(msgspec.Struct, frozen=True):
    """An identity attribute in the list, and what is known of its work on the stored profiles, in words."""

    binding: IdentityBinding
    url: str
    type_label: str
    state: str


@page_at("/identities", SEE)
async def binding_list(request: AnyRequest) -> AnyResponse:
    """List the identity attributes of a dataset."""
    context = await console_context(request).in_dataset()
    config, name = await context.config(), context.dataset_ref.dataset
    states = await _states(context, config)
    listed = [
        ListedBinding(
            item,
            dataset_url(context, name, "identities/identity", name=item.name),
            config.types[item.type_id].label,
            states[item.name],
        )
        for item in _listed(config)
    ]
    return page(
        context,
        "identities.html",
        listed=listed,
        new_url=dataset_url(context, name, "identities/new"),
        is_on=config.dataset.resolves_identities,
        **await _dataset_values(context),
        api=api_request(context, f"datasets/{name}/identity-attributes"),
    )


@page_at("/identities/new", CHANGE)
async def new_binding(request: AnyRequest) -> AnyResponse:
    """Show the form of a new identity attribute."""
    context = await console_context(request).in_dataset()
    return await _binding_page(context, None, Binding("", ""))


@form_at("/identities/new", CHANGE)
async def create_binding(request: AnyRequest) -> AnyResponse:
    """Bind an attribute to an identity type, beneath the preview of whom it joins."""
    return await _put_binding(await console_context(request).in_dataset(), None)


@page_at("/identities/identity", CHANGE)
async def show_binding(request: AnyRequest) -> AnyResponse:
    """Show the form of an identity attribute."""
    context = await console_context(request).in_dataset()
    known = await _asked(context)
    return await _binding_page(context, known, Binding(known.name, known.type_id, known.attribute))


@form_at("/identities/identity", CHANGE)
async def change_binding(request: AnyRequest) -> AnyResponse:
    """Change an identity attribute, beneath the preview of whom it joins."""
    context = await console_context(request).in_dataset()
    return await _put_binding(context, await _asked(context))


@form_at("/identities/remove", CHANGE)
async def remove_binding(request: AnyRequest) -> AnyResponse:
    """Remove an identity attribute, beneath the preview of what that does."""
    context = await console_context(request).in_dataset()
    known, config = await _asked(context), await context.config()
    others = [_draft(item) for item in _listed(config) if item.name != known.name]
    try:
        async with accepted_form(context) as form:
            await _put(context, form, config, others, None)
    except ReviewNeeded as needed:
        notes = ("Values of the attribute stay stored. What it has joined stays joined.",)
        texts = _texts(context, f"Remove “{known.name}”?", "Remove it", others, notes)
        return review_page(context, needed, texts)
    except RequestError as rejected:
        draft, problems = _draft(known), {"form": rejected.description}
        return await _binding_page(context, known, draft, problems=problems, status=409)
    return see_done(context, dataset_url(context, context.dataset_ref.dataset, LIST), REMOVED)


@page_at("/channels", SEE)
async def show_channels(request: AnyRequest) -> AnyResponse:
    """Show what `user.id` means on each channel; whoever may change it gets a form."""
    context = await console_context(request).in_dataset()
    return await _channels_page(context, (await context.config()).channels)


@form_at("/channels", CHANGE)
async def change_channels(request: AnyRequest) -> AnyResponse:
    """Change what `user.id` means, unless somebody else did since the form was opened."""
    context = await console_context(request).in_dataset()
    config, name = await context.config(), context.dataset_ref.dataset
    chosen: dict[str, str] = dict(config.channels)
    try:
        async with accepted_form(context) as form:
            chosen = {channel: word for channel in CHANNELS if (word := first(form, channel))}
            if first(form, "version") != _channels_version(config):
                raise PreconditionFailed
            await _put(context, form, config, None, chosen)
    except ReviewNeeded as needed:
        texts = ReviewTexts(
            section="channels",
            heading=f"Change the channel identities of {name}?",
            button="Save",
            cancel=dataset_url(context, name, CHANNELS_PATH),
            notes=(IN_BACKGROUND,),
            request={"channel_identities": chosen},
        )
        return review_page(context, needed, texts)
    except PreconditionFailed:
        return await _channels_page(context, chosen, is_stale=True, status=409)
    except RequestError as rejected:
        return await _channels_page(context, chosen, problem=rejected.description, status=400)
    return see_done(
        context, dataset_url(context, name, CHANNELS_PATH), "The channel identities were changed."
    )


async def _put_binding(context: ConsoleContext, known: IdentityBinding | None) -> AnyResponse:
    """Create or change an identity attribute."""
    config = await context.config()
    draft = Binding("", "") if known is None else _draft(known)
    others = [_draft(item) for item in _listed(config) if known is None or item.name != known.name]
    try:
        async with accepted_form(context) as form:
            draft = Binding(
                first(form, "name"), first(form, "identity_type"), first(form, "attribute") or None
            )
            if known is not None and first(form, "version") != fingerprint(known):
                raise PreconditionFailed
            await _put(context, form, config, [*others, draft], None)
    except ReviewNeeded as needed:
        verb = "Create" if known is None else "Change"
        texts = _texts(context, f"{verb} “{draft.name}”?", verb, [*others, draft], (IN_BACKGROUND,))
        return review_page(context, needed, texts)
    except PreconditionFailed:
        now = await _asked(context) if known is not None else None
        return await _binding_page(context, now, draft, is_stale=True, status=409)
    except InvalidInput as invalid:
        problems = {invalid.code: invalid.description}
        return await _binding_page(context, known, draft, problems=problems, status=400)
    except Conflict as conflict:
        problems = {"form": conflict.description}
        return await _binding_page(context, known, draft, problems=problems, status=409)
    done = f"The identity attribute was {'created' if known is None else 'changed'}."
    return see_done(context, dataset_url(context, context.dataset_ref.dataset, LIST), done)


async def _put(
    context: ConsoleContext,
    form: Parameters,
    config: Config,
    bindings: Sequence[Binding] | None,
    channels: Mapping[str, str] | None,
) -> None:
    """Change bindings or channels of a configuration, once that is confirmed.

    Raises ReviewNeeded, PreconditionFailed, and as `IdentityBindings.change`.
    """
    attributes, ref = context.services.identity.attributes, context.dataset_ref
    confirmation = first(form, CONFIRMATION) or None
    planned = unless_changed(plan_bindings(bindings, channels), fingerprint(_bound(config)), _bound)
    unconfirmed = await attributes.required_confirmation(ref, bindings, channels, confirmation)
    expected = await reviewed(
        context, form, [DatasetChange(ref, planned)], is_always=True, unconfirmed=unconfirmed
    )
    await attributes.change(ref, bindings, channels, confirmation, actor=context.actor, expected=expected)


async def _states(context: ConsoleContext, config: Config) -> dict[str, str]:
    """By name of an identity attribute: whether it matches, and how far stored profiles follow."""
    jobs = {job.job_id: job for job in await context.services.rules.rules.progress(context.dataset_ref)}
    states = dict.fromkeys(config.identity_attributes, "Stored, never matched")
    for name, binding in config.identity_attributes.items():
        job = jobs.get(job_id_of(name))
        if binding.type_id not in config.bindings:
            continue
        states[name] = "Matches"
        if job is not None and job.state == "running":
            states[name] = f"{job.seen} of {job.total} stored profiles done"
        elif job is not None:
            states[name] = f"Matches. Stored profiles merged: {job.merged}"
    return states


async def _asked(context: ConsoleContext) -> IdentityBinding:
    """The identity attribute that a page is about. Raises InvalidParameter, NoSuchPage."""
    known = (await context.config()).identity_attributes.get(required_text(context.request, "name"))
    if known is None:
        raise NoSuchPage
    return known


def _listed(config: Config) -> list[IdentityBinding]:
    return sorted(config.identity_attributes.values(), key=lambda item: item.name)


def _bound(config: Config) -> Any:
    """What a change replaces as a whole."""
    return [_listed(config), sorted(config.channels.items())]


def _draft(binding: IdentityBinding) -> Binding:
    return Binding(binding.name, binding.type_id, binding.attribute)


def _channels_version(config: Config) -> str:
    return fingerprint(sorted(config.channels.items()))


def _texts(
    context: ConsoleContext, heading: str, button: str, bindings: Sequence[Binding], notes: tuple[str, ...]
) -> ReviewTexts:
    listed = [
        {name: value for name, value in msgspec.structs.asdict(item).items() if value is not None}
        for item in bindings
    ]
    cancel = dataset_url(context, context.dataset_ref.dataset, LIST)
    return ReviewTexts(
        section="identities",
        heading=heading,
        button=button,
        cancel=cancel,
        notes=notes,
        request={"identity_attributes": listed},
    )


async def _dataset_values(context: ConsoleContext) -> dict[str, Any]:
    """What every page about a dataset has."""
    found = await context.services.schema.datasets.list(context.dataset_ref)
    return {
        "dataset": context.dataset_ref.dataset,
        "datasets": [item.name for item in found],
    }


async def _binding_page(
    context: ConsoleContext,
    known: IdentityBinding | None,
    draft: Binding,
    *,
    problems: dict[str, str] | None = None,
    is_stale: bool = False,
    status: int = 200,
) -> AnyResponse:
    config, dataset = await context.config(), context.dataset_ref.dataset
    bound = {item.type_id for item in config.identity_attributes.values() if item != known} | {PROFILE_ID}
    names = (item.attribute_name for item in config.schema.attributes)
    query = {"name": known.name} if known else {}
    return page(
        context,
        "identity_form.html",
        status=status,
        known=known,
        draft=draft,
        types=[item for item in config.types.values() if item.type_id not in bound],
        attributes=sorted(name for name in names if can_bind(config.schema, name)),
        problems=problems or {},
        is_stale=is_stale,
        version=fingerprint(known),
        dataset=dataset,
        name_characters_max=NAME_CHARACTERS_MAX,
        back=dataset_url(context, dataset, LIST),
        action=dataset_url(context, dataset, f"identities/{'identity' if known else 'new'}", **query),
        remove=dataset_url(context, dataset, "identities/remove", **query),
        api=api_request(context, f"datasets/{dataset}/identity-attributes"),
    )


async def _channels_page(
    context: ConsoleContext,
    chosen: Mapping[str, str],
    *,
    problem: str = "",
    is_stale: bool = False,
    status: int = 200,
) -> AnyResponse:
    config, name = await context.config(), context.dataset_ref.dataset
    listed = _listed(config)
    return page(
        context,
        "channels.html",
        status=status,
        chosen=chosen,
        effective=effective_channels(config),
        defaults=DEFAULT_CHANNELS,
        names=[item.name for item in listed if config.types[item.type_id].can_match],
        problems={"form": problem} if problem else {},
        is_stale=is_stale,
        version=_channels_version(config),
        list_url=dataset_url(context, name, LIST),
        action=dataset_url(context, name, CHANNELS_PATH),
        **await _dataset_values(context),
        api=api_request(context, f"datasets/{name}/channel-identities"),
    )


ROUTES = (
    binding_list,
    new_binding,
    create_binding,
    show_binding,
    change_binding,
    remove_binding,
    show_channels,
    change_channels,
)
