"""Customer Data → Profile Attributes: list, define, change and delete the attributes of an organisation.

Invariants: a page calls the use-cases that the profile schema of the REST wire calls, with the user as the
actor. A change names the version of the attribute that its author saw.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response

from oneself.console.attribute_form import (
    AttributeFields,
    InvalidFields,
    change_of,
    draft_of,
    fields_of,
    problems_of,
    read_fields,
)
from oneself.console.context import ConsoleContext, NoSuchPage, console_context, requires
from oneself.console.forms import accepted_form, first, page, see_done
from oneself.console.handlers import form_at, page_at
from oneself.console.query import query_choice, query_search, required_text
from oneself.console.sample_data import sample_offer
from oneself.console.words import BUILT_IN, SCOPES
from oneself.core.config.configuration import Config
from oneself.core.values.attribute import (
    APPLICATION_DATA,
    CORE_ATTRIBUTES,
    IDENTITY_ATTRIBUTES,
    TRAITS,
    Attribute,
)
from oneself.core.values.definition_rules import DEFINABLE_STRATEGIES, AttributeRejected
from oneself.errors import PreconditionFailed
from oneself.service.schema.schemas import version_of
from oneself.web.forms import AnyRequest, Parameters

AnyResponse = Response[Any]
SEE, CHANGE = requires("see_attributes"), requires("change_attributes")
SEARCH_CHARACTERS_MAX = 255


class ListedAttribute(msgspec.Struct, frozen=True):
    """An attribute in the list. `origins`: where its values come from, in words."""

    attribute: Attribute
    url: str
    origins: list[str]


@page_at("/attributes", SEE)
async def attribute_list(request: AnyRequest) -> AnyResponse:
    """List the attributes of a scope."""
    context = console_context(request)
    config = await context.config()
    scope = query_choice(request, "scope", (*SCOPES, BUILT_IN), TRAITS)
    search = query_search(request, "q", SEARCH_CHARACTERS_MAX)
    attributes = [] if scope == BUILT_IN else config.schema.in_scope(scope)
    found = [attribute for attribute in attributes if _matches(attribute, search)]
    listed = [
        ListedAttribute(attribute, attribute_url(context, attribute), origins(config, attribute))
        for attribute in sorted(found, key=lambda attribute: attribute.attribute_name.casefold())
    ]
    core = {name: it for name, it in CORE_ATTRIBUTES.items() if search.casefold() in name.casefold()}
    return page(
        context,
        "attributes.html",
        scope=scope,
        search=search,
        listed=listed,
        core=core if scope == BUILT_IN else {},
        total=len(CORE_ATTRIBUTES if scope == BUILT_IN else attributes),
        offer=await sample_offer(context),
    )


@page_at("/attributes/new", CHANGE)
async def new_attribute(request: AnyRequest) -> AnyResponse:
    """Show the form of a new attribute."""
    context = console_context(request)
    return await _form(context, await context.config(), AttributeFields(_writable(request)))


@form_at("/attributes/new", CHANGE)
async def define_attribute(request: AnyRequest) -> AnyResponse:
    """Define an attribute."""
    context, scope = console_context(request), _writable(request)
    config, fields = await context.config(), AttributeFields(scope)
    try:
        async with accepted_form(context) as form:
            fields = read_fields(form, scope)
            draft = draft_of(config.schema, fields)
            schemas = context.services.schema.schemas
            await schemas.define(context.dataset_ref, scope, [draft], actor=context.actor)
    except InvalidFields as invalid:
        return await _form(context, config, fields, invalid.problems, status=400)
    except AttributeRejected as rejected:
        return await _form(context, config, fields, problems_of(rejected), status=400)
    return _see_list(context, scope, "created", fields.name)


@page_at("/attributes/attribute", SEE)
async def show_attribute(request: AnyRequest) -> AnyResponse:
    """Show an attribute: as a form to whoever may change it."""
    context = console_context(request)
    config = await context.config()
    attribute = asked_attribute(config, request)
    if is_changeable(attribute) and context.may("change_attributes"):
        return await _form(context, config, fields_of(config.schema, attribute), attribute=attribute)
    return page(
        context,
        "attribute.html",
        attribute=attribute,
        fields=fields_of(config.schema, attribute),
        origins=origins(config, attribute),
    )


@form_at("/attributes/attribute", CHANGE)
async def change_attribute(request: AnyRequest) -> AnyResponse:
    """Change an attribute, unless somebody else did since the form was opened."""
    context = console_context(request)
    config = await context.config()
    attribute = asked_attribute(config, request)
    fields = fields_of(config.schema, attribute)
    try:
        async with accepted_form(context) as form:
            fields = read_fields(form, attribute.scope)
            await _redefine(context, config, attribute, fields, form)
    except InvalidFields as invalid:
        return await _form(context, config, fields, invalid.problems, attribute=attribute, status=400)
    except AttributeRejected as rejected:
        return await _form(context, config, fields, problems_of(rejected), attribute=attribute, status=400)
    except PreconditionFailed:
        config = await context.config()
        return await _form(context, config, fields, attribute=asked_attribute(config, request), status=409)
    return _see_list(context, attribute.scope, "changed", fields.name)


@page_at("/attributes/delete", CHANGE)
async def confirm_deletion(request: AnyRequest) -> AnyResponse:
    """Say what a deletion does, and ask for confirmation."""
    context = console_context(request)
    config = await context.config()
    return _deletion_page(context, config, _deletable(config, request))


@form_at("/attributes/delete", CHANGE)
async def delete_attribute(request: AnyRequest) -> AnyResponse:
    """Delete an attribute, unless somebody else changed it since the page was opened."""
    context = console_context(request)
    config = await context.config()
    attribute = _deletable(config, request)
    try:
        async with accepted_form(context) as form:
            await context.services.schema.schemas.undefine(
                context.dataset_ref,
                attribute.scope,
                attribute.attribute_id,
                actor=context.actor,
                version=first(form, "version"),
            )
    except AttributeRejected as rejected:
        return _deletion_page(context, config, attribute, rejected.detail, status=409)
    except PreconditionFailed:
        sentence = "Somebody else changed this attribute in the meantime. Nothing was deleted. Look again."
        return _deletion_page(context, await context.config(), attribute, sentence, status=409)
    return _see_list(context, attribute.scope, "deleted", attribute.key)


def attribute_url(context: ConsoleContext, attribute: Attribute, step: str = "attribute") -> str:
    """The URL of a page about an attribute."""
    return f"{context.home}/attributes/{step}?{urlencode({'id': attribute.attribute_id})}"


def asked_attribute(config: Config, request: AnyRequest) -> Attribute:
    """The attribute that a page is about. Raises InvalidParameter, NoSuchPage."""
    attribute = config.schema.get(required_text(request, "id"))
    if attribute is None:
        raise NoSuchPage
    return attribute


def is_changeable(attribute: Attribute) -> bool:
    """Whether anybody can change an attribute here: identity attributes follow the identity provider."""
    return attribute.scope != IDENTITY_ATTRIBUTES


def origins(config: Config, attribute: Attribute) -> list[str]:
    """Where the values of an attribute come from, in words: provider claim, identity types."""
    found = [f"Provider claim {attribute.key}"] if attribute.scope == IDENTITY_ATTRIBUTES else []
    for binding in config.identity_attributes.values():
        if binding.attribute == attribute.attribute_name:
            label = config.types[binding.type_id].label
            found.append(f"Identity type {label}, called {binding.name} in events")
    return found


async def _redefine(
    context: ConsoleContext, config: Config, attribute: Attribute, fields: AttributeFields, form: Parameters
) -> None:
    await context.services.schema.schemas.redefine(
        context.dataset_ref,
        attribute.scope,
        attribute.attribute_id,
        change_of(config.schema, fields),
        actor=context.actor,
        version=first(form, "version"),
    )


async def _form(
    context: ConsoleContext,
    config: Config,
    fields: AttributeFields,
    problems: dict[str, str] | None = None,
    *,
    attribute: Attribute | None = None,
    status: int = 200,
) -> AnyResponse:
    """The form of a new attribute, or of a stored one. Status 409: somebody else changed it meanwhile."""
    applications = []
    if fields.scope == APPLICATION_DATA:
        applications = await context.services.directory.applications.list(context.dataset_ref)
    stored = fields_of(config.schema, attribute) if attribute else None
    return page(
        context,
        "attribute_form.html",
        status=status,
        fields=fields,
        problems=problems or {},
        attribute=attribute,
        version=version_of(attribute) if attribute else "",
        stored=stored if status == 409 else None,
        other_strategy=bool(stored and stored.merge_strategy not in DEFINABLE_STRATEGIES),
        origins=origins(config, attribute) if attribute else [],
        applications=applications,
        delete_url=attribute_url(context, attribute, "delete") if attribute else "",
        count_url=attribute_url(context, attribute, "count") if attribute else "",
    )


def _deletion_page(
    context: ConsoleContext, config: Config, attribute: Attribute, problem: str = "", *, status: int = 200
) -> AnyResponse:
    current = config.schema.get(attribute.attribute_id)
    if current is None:
        raise NoSuchPage
    rules = [rule for rule in config.rules.values() if rule.property_name == current.attribute_name]
    return page(
        context,
        "attribute_delete.html",
        status=status,
        attribute=current,
        version=version_of(current),
        rules=[rule.rule_name for rule in rules],
        problem=problem,
        back=attribute_url(context, current),
        count_url=attribute_url(context, current, "count"),
    )


def _deletable(config: Config, request: AnyRequest) -> Attribute:
    attribute = asked_attribute(config, request)
    if not is_changeable(attribute):
        raise NoSuchPage
    return attribute


def _writable(request: AnyRequest) -> str:
    return query_choice(request, "scope", (TRAITS, APPLICATION_DATA), TRAITS)


def _matches(attribute: Attribute, search: str) -> bool:
    texts = (attribute.key, attribute.display_name, attribute.application_identifier or "")
    return any(search.casefold() in text.casefold() for text in texts)


def _see_list(context: ConsoleContext, scope: str, done: str, name: str) -> AnyResponse:
    return see_done(context, f"{context.home}/attributes?scope={scope}", f"The attribute {name} was {done}.")


ROUTES = (
    attribute_list,
    new_attribute,
    define_attribute,
    show_attribute,
    change_attribute,
    confirm_deletion,
    delete_attribute,
)
