"""`/unification-rules`: which attributes identify one person. Decode, one use-case, render.

Source: docs/wire/cds.md §9.
"""

from __future__ import annotations

from litestar import delete, get, patch, post
from litestar.params import FromPath
from msgspec import Struct

from oneself.api.documents.rejections import RULE_NOT_FOUND, rule_error
from oneself.api.http.errors import INVALID_REQUEST, NOT_ENABLED, SERVICE_DISABLED, WireError, wire_error
from oneself.api.http.guard import RequestContext, context_of, requires
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object, non_null
from oneself.api.http.openapi import Described, described, error_responses
from oneself.core.config.rule_checks import RuleRejected
from oneself.core.identity.identifier_source import UnificationRule
from oneself.service.rules.rules import UnknownRule

#: Titles are kept in an index and shown in every merge.
NAME_CHARS_MAX = 255
PROPERTY_CHARS_MAX = 512
PRIORITY_MIN, PRIORITY_MAX = -(2**63), 2**63 - 1


class RuleDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST. No field is required, unknown fields are rejected."""

    rule_id: str | None = None
    rule_name: str | None = None
    property_name: str | None = None
    priority: int | None = None
    is_active: bool | None = None
    proves_identity: bool | None = None


class RulePatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH."""

    rule_name: str | None = None
    priority: int | None = None
    is_active: bool | None = None
    proves_identity: bool | None = None


class RuleDocument(Struct, frozen=True, omit_defaults=True):
    """A unification rule. A lower `priority` applies first. `proves_identity` is an extension, absent while
    false.
    """

    rule_id: str
    rule_name: str
    property_name: str
    priority: int
    is_active: bool
    proves_identity: bool = False


DRAFT = Body("unification rule", INVALID_REQUEST, RuleDraft, shape="B")
PATCH = Body("unification rule", INVALID_REQUEST, RulePatch, shape="B")


@get(
    "/unification-rules",
    opt=requires("unification_rule_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def list_rules(request: AnyRequest) -> list[RuleDocument]:
    """List the unification rules of the organisation."""
    call = context_of(request)
    return [_render(rule) for rule in await call.services.rules.rules.list_rules(call.dataset_ref)]


@post(
    "/unification-rules",
    opt=requires("unification_rule_create", gate=None),
    operation_class=described(takes=RuleDraft),
    responses=error_responses(400, 401, 403, 409, 413, 415, shape="B"),
)
async def create_rule(request: AnyRequest) -> RuleDocument:
    """Create a rule. It applies to the next write at once, and to existing profiles in the background."""
    call = context_of(request)
    draft = decode_rule(await decode_object(request, DRAFT))
    # The body is decoded before the gate here, and only here (docs/wire/cds.md §3).
    _check_gate(call)
    try:
        return _render(await call.services.rules.rules.create(call.dataset_ref, draft, actor=call.actor))
    except RuleRejected as rejected:
        raise rule_error(rejected) from None


@get(
    "/unification-rules/{rule_id:str}",
    opt=requires("unification_rule_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404),
)
async def read_rule(request: AnyRequest, rule_id: FromPath[str]) -> RuleDocument:
    """Read one rule."""
    call = context_of(request)
    try:
        return _render(await call.services.rules.rules.find(call.dataset_ref, rule_id))
    except UnknownRule:
        raise rule_unknown() from None


@patch(
    "/unification-rules/{rule_id:str}",
    opt=requires("unification_rule_update"),
    operation_class=described(takes=RulePatch),
    responses=error_responses(400, 401, 403, 404, 413, 415, shape="B"),
)
async def change_rule(request: AnyRequest, rule_id: FromPath[str]) -> RuleDocument:
    """Rename, reorder, activate or deactivate a rule, or change what it proves. Deactivating splits no
    profile.
    """
    call = context_of(request)
    document = await decode_object(request, PATCH)
    _check_sizes(document)
    changes = non_null(document)
    try:
        return _render(
            await call.services.rules.rules.change(call.dataset_ref, rule_id, actor=call.actor, **changes)
        )
    except UnknownRule:
        raise rule_unknown() from None
    except RuleRejected as rejected:
        raise rule_error(rejected) from None


@delete(
    "/unification-rules/{rule_id:str}",
    opt=requires("unification_rule_delete"),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def delete_rule(request: AnyRequest, rule_id: FromPath[str]) -> None:
    """Delete a rule. Existing merges are kept. Returns 204 if it does not exist."""
    call = context_of(request)
    await call.services.rules.rules.delete(call.dataset_ref, rule_id, actor=call.actor)


def decode_rule(document: Object, rule_id: str = "") -> UnificationRule:
    """The rule in a checked body. Absent fields are empty, zero or false."""
    _check_sizes(document)
    return UnificationRule(
        rule_id=rule_id,
        rule_name=document.get("rule_name") or "",
        property_name=document.get("property_name") or "",
        priority=document.get("priority") or 0,
        is_active=bool(document.get("is_active")),
        proves_identity=bool(document.get("proves_identity")),
    )


def rule_unknown() -> WireError:
    """404: no such rule in this organisation."""
    return wire_error(RULE_NOT_FOUND, "No unification rule found for the given rule_id.", 404)


def _check_gate(call: RequestContext) -> None:
    if not call.config.settings.cds_enabled:
        raise wire_error(SERVICE_DISABLED, NOT_ENABLED)


def _check_sizes(document: Object) -> None:
    for field, limit in (("rule_name", NAME_CHARS_MAX), ("property_name", PROPERTY_CHARS_MAX)):
        if len(document.get(field) or "") > limit:
            raise DRAFT.refusal(f"'{field}' in unification rule is longer than {limit} characters.")
    if not PRIORITY_MIN <= (document.get("priority") or 0) <= PRIORITY_MAX:
        raise DRAFT.refusal("'priority' in unification rule does not fit 64 bits.")


def _render(rule: UnificationRule) -> RuleDocument:
    return RuleDocument(
        rule_id=rule.rule_id,
        rule_name=rule.rule_name,
        property_name=rule.property_name,
        priority=rule.priority,
        is_active=rule.is_active,
        proves_identity=rule.proves_identity,
    )
