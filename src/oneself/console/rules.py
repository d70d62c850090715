"""Customer Data → Unification Rules: which attributes make profiles one, and in which order.

    new, on or off ─▶ the preview ─▶ confirmed ─▶ applied to the stored profiles, with progress

Invariants: a page calls the use-cases that the unification rules of the REST wire call, with the user as the
actor. What joins people is confirmed beneath its preview.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response

from oneself.console.context import ConsoleContext, NoSuchPage, console_context, requires
from oneself.console.formats import api_request
from oneself.console.forms import accepted_form, first, page, see_done
from oneself.console.handlers import form_at, page_at
from oneself.console.preview_samples import (
    REFUSALS_MAX,
    SAMPLES_MAX,
    SampledMerge,
    sampled_merge,
    shared_text,
)
from oneself.console.profile_search import profile_url
from oneself.console.query import InvalidParameter, query_choice, query_text, required_text
from oneself.console.sample_data import sample_offer
from oneself.core.config.configuration import Config
from oneself.core.config.rule_checks import RuleRejected, check_rule
from oneself.core.identity.identifier_source import UnificationRule
from oneself.errors import PreconditionFailed
from oneself.service.rules.preview import Preview, PreviewedMerge
from oneself.service.rules.rules import UnknownRule
from oneself.web.forms import AnyRequest, Parameters

AnyResponse = Response[Any]
SEE, CHANGE = requires("see_rules"), requires("change_rules")
NAME_CHARACTERS_MAX = 255


class ListedRule(msgspec.Struct, frozen=True):
    """A rule in the list, and how far it is applied to the stored profiles: `seen` of `total`, if at all."""

    rule: UnificationRule
    is_running: bool = False
    seen: int = 0
    total: int = 0
    merged: int = 0


class SampledRefusal(msgspec.Struct, frozen=True):
    """Two profiles that would not be merged."""

    code: str
    one_url: str
    other_url: str


@page_at("/rules", SEE)
async def rule_list(request: AnyRequest) -> AnyResponse:
    """List the rules by priority. A script asks for the list alone, while a rule is being applied."""
    context = console_context(request)
    rules = context.services.rules.rules
    work = {item.job_id: item for item in await rules.progress(context.dataset_ref)}
    listed = []
    for rule in await rules.list_rules(context.dataset_ref):
        job = work.get(rule.rule_id)
        is_running = job is not None and job.state == "running"
        counts = (job.seen, job.total, job.merged) if job is not None else ()
        listed.append(ListedRule(rule, is_running, *counts))
    return page(
        context,
        "rules_part.html" if context.is_part else "rules.html",
        rules=listed,
        is_running=any(item.is_running for item in listed),
        api=api_request(context, "unification-rules/progress"),
        offer=await sample_offer(context),
    )


@page_at("/rules/new", CHANGE)
async def new_rule(request: AnyRequest) -> AnyResponse:
    """Show the form of a new rule, or with an attribute in the query its preview."""
    context = console_context(request)
    config = await context.config()
    draft = _drafted(config, _queried(request))
    problem = _problem(config, draft) if draft.property_name else ""
    if draft.property_name and not problem:
        return page(
            context, "rule_confirm.html", rule=draft, is_new=True, preview_url=_preview_url(context, draft)
        )
    return _form(context, config, draft, problem)


@form_at("/rules/new", CHANGE)
async def create_rule(request: AnyRequest) -> AnyResponse:
    """Create a rule, switched on or off."""
    context = console_context(request)
    draft = UnificationRule("", "", "", 0, False)
    try:
        async with accepted_form(context) as form:
            draft = _drafted(await context.config(), form)
            is_active = first(form, "active") == "yes"
            await context.services.rules.rules.create(
                context.dataset_ref, msgspec.structs.replace(draft, is_active=is_active), actor=context.actor
            )
    except RuleRejected as rejected:
        return _form(context, await context.config(), draft, rejected.detail, status=409)
    return _see_list(context, "created")


@page_at("/rules/rule", CHANGE)
async def show_rule(request: AnyRequest) -> AnyResponse:
    """Show what can be changed of a rule."""
    context = console_context(request)
    return _rule_page(context, await _asked(context))


@form_at("/rules/rule", CHANGE)
async def rename_rule(request: AnyRequest) -> AnyResponse:
    """Rename a rule, unless somebody else changed it since the form was opened."""
    context = console_context(request)
    rule = await _asked(context)
    name, problem = rule.rule_name, ""
    try:
        async with accepted_form(context) as form:
            name = first(form, "name")[:NAME_CHARACTERS_MAX]
            problem = "" if name else "Enter a name."
            if name:
                await _change(context, rule, first(form, "version"), rule_name=name)
    except PreconditionFailed:
        return _rule_page(context, await _asked(context), name=name, is_stale=True, status=409)
    if problem:
        return _rule_page(context, rule, name=name, problem=problem, status=400)
    return _see_list(context, "renamed")


@form_at("/rules/move", CHANGE)
async def move_rule(request: AnyRequest) -> AnyResponse:
    """Move a rule one position up or down."""
    context = console_context(request)
    rule = await _asked(context)
    async with accepted_form(context) as form:
        steps = -1 if first(form, "to") == "up" else 1
        await context.services.rules.rules.move(context.dataset_ref, rule.rule_id, steps, actor=context.actor)
    return _see_list(context, "moved")


@page_at("/rules/switch", CHANGE)
async def confirm_switch(request: AnyRequest) -> AnyResponse:
    """Show what switching a rule on or off does."""
    context = console_context(request)
    return _switch_page(context, await _asked(context))


@form_at("/rules/switch", CHANGE)
async def switch_rule(request: AnyRequest) -> AnyResponse:
    """Switch a rule on or off, unless somebody else changed it since the page was opened."""
    context = console_context(request)
    rule = await _asked(context)
    try:
        async with accepted_form(context) as form:
            await _change(context, rule, first(form, "version"), is_active=not rule.is_active)
    except PreconditionFailed:
        return _switch_page(context, await _asked(context), is_stale=True, status=409)
    return _see_list(context, f"switched {'off' if rule.is_active else 'on'}")


@page_at("/rules/preview", CHANGE)
async def preview_rule(request: AnyRequest) -> AnyResponse:
    """Show what a new rule, or switching one on or off, would change in the stored profiles."""
    context = console_context(request)
    config = await context.config()
    if query_text(request, "id"):
        known = await _asked(context)
        rule = msgspec.structs.replace(known, is_active=not known.is_active)
    else:
        required_text(request, "attribute")
        drafted = _drafted(config, _queried(request))
        rule = msgspec.structs.replace(drafted, is_active=True)
    services = context.services.rules
    try:
        proven = await services.proven_previews.preview(context.dataset_ref, rule)
        believed = await services.previews.preview(context.dataset_ref, rule)
    except RuleRejected as rejected:
        raise InvalidParameter("attribute", rejected.detail, is_required=True) from None
    samples = [await _sampled(context, config, merge) for merge in believed.merges[:SAMPLES_MAX]]
    return page(
        context,
        "rule_preview_part.html" if context.is_part else "rule_preview.html",
        rule=rule,
        counted=[("proven", proven), ("all", believed)],
        samples=samples,
        refusals=_sampled_refusals(context, believed),
    )


@page_at("/rules/delete", CHANGE)
async def confirm_rule_deletion(request: AnyRequest) -> AnyResponse:
    """Say what a deletion does, and ask for confirmation."""
    context = console_context(request)
    return page(context, "rule_delete.html", rule=await _asked(context), back=f"{context.home}/rules")


@form_at("/rules/delete", CHANGE)
async def delete_rule(request: AnyRequest) -> AnyResponse:
    """Delete a rule. What it merged stays merged."""
    context = console_context(request)
    rule = await _asked(context)
    async with accepted_form(context):
        await context.services.rules.rules.delete(context.dataset_ref, rule.rule_id, actor=context.actor)
    return _see_list(context, "deleted")


def _see_list(context: ConsoleContext, done: str) -> AnyResponse:
    return see_done(context, f"{context.home}/rules", f"The rule was {done}.")


async def _asked(context: ConsoleContext) -> UnificationRule:
    """The rule that a page is about. Raises InvalidParameter, NoSuchPage."""
    rule_id = required_text(context.request, "id")
    try:
        return await context.services.rules.rules.find(context.dataset_ref, rule_id)
    except UnknownRule:
        raise NoSuchPage from None


async def _change(context: ConsoleContext, rule: UnificationRule, version: str, **changes: Any) -> None:
    """Change a rule if a form names it as it is. Raises NoSuchPage, PreconditionFailed."""
    if version != _version(rule):
        raise PreconditionFailed
    try:
        await context.services.rules.rules.change(
            context.dataset_ref, rule.rule_id, actor=context.actor, expected=rule, **changes
        )
    except UnknownRule:
        raise NoSuchPage from None


def _version(rule: UnificationRule) -> str:
    """What a form names as the rule that its author saw."""
    return msgspec.json.encode(rule).hex()


def _queried(request: AnyRequest) -> Parameters:
    """The form of a new rule, as the query of its preview has it. Raises InvalidParameter."""
    texts = {name: [query_text(request, name)] for name in ("attribute", "name")}
    return {**texts, "proves": [query_choice(request, "proves", ("", "yes"), "")]}


def _drafted(config: Config, form: Parameters) -> UnificationRule:
    """The rule that a form describes, after all others. An empty attribute: it describes none."""
    attribute = first(form, "attribute")
    priority = max((rule.priority for rule in config.rules.values()), default=0) + 1
    name = first(form, "name")[:NAME_CHARACTERS_MAX] or attribute.rpartition(".")[2]
    return UnificationRule("", name, attribute, priority, True, first(form, "proves") == "yes")


def _problem(config: Config, rule: UnificationRule) -> str:
    """Why a rule cannot be created; empty: it can."""
    try:
        check_rule(config, rule)
    except RuleRejected as rejected:
        return rejected.detail
    return ""


def _form(
    context: ConsoleContext, config: Config, draft: UnificationRule, problem: str, *, status: int = 200
) -> AnyResponse:
    """The form of a new rule. It offers the attributes that a rule can be about."""
    offered = [
        item.attribute_name
        for item in config.schema.attributes
        if not _problem(config, UnificationRule("", "", item.attribute_name, draft.priority, True))
    ]
    return page(
        context,
        "rule_form.html",
        status=400 if problem and status == 200 else status,
        draft=draft,
        offered=sorted(offered, key=str.casefold),
        problems={"attribute": problem} if problem else {},
        name_characters_max=NAME_CHARACTERS_MAX,
    )


def _rule_page(
    context: ConsoleContext,
    rule: UnificationRule,
    *,
    name: str | None = None,
    problem: str = "",
    is_stale: bool = False,
    status: int = 200,
) -> AnyResponse:
    return page(
        context,
        "rule.html",
        status=status,
        rule=rule,
        name=rule.rule_name if name is None else name,
        problems={"name": problem} if problem else {},
        is_stale=is_stale,
        version=_version(rule),
        name_characters_max=NAME_CHARACTERS_MAX,
    )


def _switch_page(
    context: ConsoleContext, rule: UnificationRule, *, is_stale: bool = False, status: int = 200
) -> AnyResponse:
    return page(
        context,
        "rule_confirm.html",
        status=status,
        rule=rule,
        is_new=False,
        is_stale=is_stale,
        version=_version(rule),
        preview_url=f"{context.home}/rules/preview?{urlencode({'id': rule.rule_id})}",
    )


def _preview_url(context: ConsoleContext, draft: UnificationRule) -> str:
    query = {"attribute": draft.property_name, "proves": "yes" if draft.proves_identity else ""}
    return f"{context.home}/rules/preview?{urlencode(query)}"


async def _sampled(context: ConsoleContext, config: Config, merge: PreviewedMerge) -> SampledMerge:
    """Some of the profiles that would be one, as they are now."""
    shared = shared_text(config, merge.identifier)
    return await sampled_merge(context, config, [shared] if shared else [], [merge.survivor, *merge.absorbed])


def _sampled_refusals(context: ConsoleContext, preview: Preview) -> list[SampledRefusal]:
    return [
        SampledRefusal(code, profile_url(context, one), profile_url(context, other))
        for code, one, other in preview.refusals[:REFUSALS_MAX]
    ]


ROUTES = (
    rule_list,
    new_rule,
    create_rule,
    show_rule,
    rename_rule,
    move_rule,
    confirm_switch,
    switch_rule,
    preview_rule,
    confirm_rule_deletion,
    delete_rule,
)
