"""Unification rules: preview, progress, refusals, protection. Decode, one use-case, render."""

from __future__ import annotations

from typing import Annotated, Any, get_args
from uuid import UUID

import msgspec
from litestar import get, patch, post
from litestar.params import QueryParameter
from msgspec import Struct

from oneself.api.admin.profiles import dataset_of, listed_view_of
from oneself.api.admin.requirements import requires_enabled
from oneself.api.documents.paging import (
    CursorWord,
    PageSize,
    Pagination,
    page_size,
    paginate,
    requested_position,
)
from oneself.api.documents.rejections import INVALID_RULE_UPDATE, RULE_NOT_FOUND, rule_error
from oneself.api.http.errors import INVALID_REQUEST, wire_error
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object, non_null
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.query import ViewParameter
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.core.config.rule_checks import RuleRejected
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.resolution.plan import RefusalCode
from oneself.service.profiles.refusals import Protection, find_problem
from oneself.service.rules.preview import Preview
from oneself.service.rules.rules import UnknownRule
from oneself.store.tables.refusal import FIRST, ListedRefusal

CODES = get_args(RefusalCode)
AskedDataset = Annotated[
    str | None, QueryParameter(description="The name of a dataset; `default` by default.")
]


class PreviewRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A rule as in POST `/unification-rules`, or `rule_id` with the fields that would change."""

    rule_id: str | None = None
    rule_name: str | None = None
    property_name: str | None = None
    priority: int | None = None
    is_active: bool | None = None


class Counts(Struct, frozen=True):
    """How much would change. `profiles`: those with a value of the attribute."""

    profiles: int
    absorbed: int
    groups: int
    values_changed: int
    refusals: int
    separated: int


class IdentifierDocument(Struct, frozen=True):
    """An identifier that two profiles share."""

    namespace: str
    value: str


class PreviewedMergeDocument(Struct, frozen=True):
    """Profiles that would be merged into one."""

    survivor: UUID
    absorbed: list[UUID]
    identifier: IdentifierDocument | None


class ValueChangeDocument(Struct, frozen=True):
    """A value that would change."""

    profile: UUID
    path: str


class RefusedPair(Struct, frozen=True):
    """Two profiles that would not be merged, and why."""

    code: str
    profiles: list[UUID]


class PreviewedRefusalDocument(Struct, frozen=True):
    """A profile that a rebuild without the rule would split into these groups."""

    survivor: UUID
    groups: list[list[UUID]]


class PreviewDocument(Struct, frozen=True):
    """What would change. The lists have the first hundred entries; the counts are complete."""

    counts: Counts
    largest_group: int
    merges: list[PreviewedMergeDocument]
    values_changed: list[ValueChangeDocument]
    refusals: list[RefusedPair]
    separated: list[PreviewedRefusalDocument]


class ProgressDocument(Struct, frozen=True):
    """How far a rule has been applied to existing profiles."""

    rule_id: str
    state: str
    seen: int
    indexed: int
    merged: int
    total: int
    started_at: Timestamp
    updated_at: Timestamp


class ProgressList(Struct, frozen=True):
    """Every rule that is being or was applied to existing profiles."""

    progress: list[ProgressDocument]


class RefusalDocument(Struct, frozen=True):
    """A refused merge of two profiles, or a refused claim of one, and how often it was refused."""

    code: str
    profiles: list[UUID]
    namespace: str
    first_at: Timestamp
    last_at: Timestamp
    times: int


class RefusalList(Struct, frozen=True):
    """One page, the latest first. `counts`: code → how often it occurred in the dataset.

    In the view `proven` the newest profiles come first, `times` counts the shared identifiers, `counts` is
    empty, and a page may be short or empty and still have a next one.
    """

    refusals: list[RefusalDocument]
    counts: dict[str, int]
    pagination: Pagination


class ProtectionDocument(Struct, frozen=True):
    """Values that identify nobody, beside the default blocklist, and how much one observation may merge."""

    blocked_values: list[str]
    blocked_patterns: list[str]
    profiles_per_merge_max: int
    values_per_namespace_max: int


class ProtectionPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH. An absent field is unchanged, `[]` clears. Patterns are shell patterns:
    `*@test.example`.
    """

    blocked_values: list[str] | None = None
    blocked_patterns: list[str] | None = None
    profiles_per_merge_max: int | None = None
    values_per_namespace_max: int | None = None


PREVIEW = Body("unification rule", INVALID_REQUEST, PreviewRequest)
PROTECTION = Body("protection", INVALID_REQUEST, ProtectionPatch)


@post(
    "/unification-rules/preview",
    opt=requires_enabled("unification_rule_view"),
    status_code=200,
    operation_class=described(takes=PreviewRequest),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415),
)
async def preview_rule(request: AnyRequest, view: ViewParameter = None) -> PreviewDocument:
    """Preview what a rule would change in the existing profiles of a view. Writes nothing."""
    call = context_of(request)
    rules, seen = call.services.rules, call.listed_view(view)
    previews = rules.previews if seen == "all" else rules.proven_previews
    document = await decode_object(request, PREVIEW)
    try:
        before = await _before(rules.rules, call.dataset_ref, document)
        preview = await previews.preview(call.dataset_ref, read_rule(document, before))
    except UnknownRule as error:
        raise wire_error(RULE_NOT_FOUND, error.message, 404) from None
    except RuleRejected as rejected:
        raise rule_error(rejected) from None
    return render_preview(preview)


@get(
    "/unification-rules/progress",
    opt=requires_enabled("unification_rule_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404),
)
async def read_progress(
    request: AnyRequest,
    dataset: AskedDataset = None,
) -> ProgressList:
    """Read how far each rule and identity attribute has been applied to existing profiles."""
    call = context_of(request)
    at = await dataset_of(call, dataset or call.dataset_ref.dataset)
    return ProgressList(
        [
            ProgressDocument(
                rule_id=work.job_id,
                state=work.state,
                seen=work.seen,
                indexed=work.indexed,
                merged=work.merged,
                total=work.total,
                started_at=rfc3339(work.started_at),
                updated_at=rfc3339(work.updated_at),
            )
            for work in await call.services.rules.rules.progress(at)
        ]
    )


@get(
    "/refusals",
    opt=requires_enabled("profile_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404),
)
async def list_refusals(
    request: AnyRequest,
    dataset: AskedDataset = None,
    size: PageSize = None,
    cursor: CursorWord = None,
    code: Annotated[str | None, QueryParameter(schema_extra={"enum": list(CODES)})] = None,
    view: ViewParameter = None,
) -> RefusalList:
    """List refused merges and claims: in the view `proven`, the profiles that are kept apart although servers
    said the same identifier of both.
    """
    call = context_of(request)
    if code is not None and code not in CODES:
        raise wire_error(INVALID_REQUEST, f"code must be one of: {', '.join(CODES)}.")
    limit, before = page_size(size), requested_position(cursor, FIRST)
    at = await dataset_of(call, dataset or call.dataset_ref.dataset)
    refusals, seen = call.services.profiles.refusals, await listed_view_of(call, at, view)
    page = await refusals.page(at, limit, before=before, code=code, view=seen)
    counts = await refusals.count(at) if seen == "all" else {}
    rendered = [_render_refusal(refusal) for refusal in page.refusals]
    return RefusalList(rendered, counts, paginate(rendered, limit, page.next_position))


@get(
    "/protection",
    opt=requires_enabled("admin_config_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def read_protection(request: AnyRequest) -> ProtectionDocument:
    """Read the blocked values and merge limits."""
    call = context_of(request)
    return _render_protection(await call.services.profiles.refusals.protection(call.dataset_ref))


@patch(
    "/protection",
    opt=requires_enabled("admin_config_update"),
    operation_class=described(takes=ProtectionPatch),
    responses=error_responses(400, 401, 403, 413, 415),
)
async def change_protection(request: AnyRequest) -> ProtectionDocument:
    """Change the blocked values and merge limits. They apply to the next observation."""
    call = context_of(request)
    document = await decode_object(request, PROTECTION)
    changes = read_protection_changes(document)
    return _render_protection(await call.services.profiles.refusals.protect(call.dataset_ref, **changes))


async def _before(rules: Any, dataset_ref: Any, document: Object) -> UnificationRule | None:
    rule_id = document.get("rule_id")
    return await rules.find(dataset_ref, rule_id) if rule_id else None


def read_rule(document: Object, before: UnificationRule | None) -> UnificationRule:
    """The rule with the requested changes."""
    given = {name: value for name, value in non_null(document).items() if name != "rule_id"}
    if before is not None:
        if given.pop("property_name", before.property_name) != before.property_name:
            raise wire_error(INVALID_RULE_UPDATE, "property_name of a rule cannot be changed.")
        return msgspec.structs.replace(before, **given)
    return UnificationRule(
        rule_id="",
        rule_name=given.get("rule_name", ""),
        property_name=given.get("property_name", ""),
        priority=given.get("priority", 0),
        is_active=given.get("is_active", True),
        proves_identity=given.get("proves_identity", False),
    )


def read_protection_changes(document: Object) -> Object:
    """The fields of a body, by the names of Protection."""
    given = non_null(document)
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    if (problem := find_problem(changes)) is not None:
        raise wire_error(INVALID_REQUEST, problem)
    return changes


def render_counts(preview: Preview) -> PreviewDocument:
    """A preview without lists, for callers who may not read the profiles that these name."""
    return render_preview(
        msgspec.structs.replace(preview, merges=(), values_changed=(), refusals=(), separated=())
    )


def render_preview(preview: Preview) -> PreviewDocument:
    return PreviewDocument(
        counts=Counts(
            profiles=preview.profiles_indexed,
            absorbed=preview.profiles_absorbed,
            groups=preview.groups,
            values_changed=preview.values_changed_count,
            refusals=preview.refusals_count,
            separated=preview.separated_count,
        ),
        largest_group=preview.largest_group,
        merges=[
            PreviewedMergeDocument(
                joined.survivor,
                list(joined.absorbed),
                IdentifierDocument(joined.identifier.namespace, joined.identifier.value)
                if joined.identifier
                else None,
            )
            for joined in preview.merges
        ],
        values_changed=[
            ValueChangeDocument(change.profile, change.path) for change in preview.values_changed
        ],
        refusals=[RefusedPair(code, _pair(one, other)) for code, one, other in preview.refusals],
        separated=[
            PreviewedRefusalDocument(refusal.survivor, [list(group) for group in refusal.groups])
            for refusal in preview.separated
        ],
    )


def _pair(one: UUID, other: UUID) -> list[UUID]:
    return [one] if one == other else [one, other]


def _render_refusal(refusal: ListedRefusal) -> RefusalDocument:
    return RefusalDocument(
        code=refusal.code,
        profiles=_pair(refusal.profile_id, refusal.other_id),
        namespace=refusal.namespace,
        first_at=rfc3339(refusal.first_seq),
        last_at=rfc3339(refusal.last_seq),
        times=refusal.times,
    )


def _render_protection(protection: Protection) -> ProtectionDocument:
    return ProtectionDocument(
        list(protection.blocked_values),
        list(protection.blocked_patterns),
        protection.profiles_per_merge_max,
        protection.values_per_namespace_max,
    )


ROUTES = [preview_rule, read_progress, list_refusals, read_protection, change_protection]
