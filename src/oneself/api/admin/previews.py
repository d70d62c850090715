"""`/datasets/{dataset}/preview`: what a change of settings would do. Decode, one use-case, render.

The words of a change are those of the routes that make it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from litestar import post
from litestar.params import FromPath
from msgspec import Struct

from oneself.api.admin.datasets import DatasetPatch, read_dataset_changes
from oneself.api.admin.identity_attributes import BindingDraft, ChannelsPut, read_binding
from oneself.api.admin.identity_types import IdentityTypeDraft, read_identity_type_changes
from oneself.api.admin.profiles import dataset_of
from oneself.api.admin.requirements import requires
from oneself.api.admin.rules import (
    PreviewRequest,
    ProtectionPatch,
    ValueChangeDocument,
    read_protection_changes,
    read_rule,
)
from oneself.api.documents.person import discloses_of_all_profiles
from oneself.api.documents.rejections import RULE_NOT_FOUND, rule_error
from oneself.api.http.errors import INVALID_REQUEST, forbidden, wire_error
from oneself.api.http.guard import RequestContext, context_of
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object, non_null
from oneself.api.http.openapi import described, error_responses
from oneself.auth.callers.permissions import PREFIX, PROFILE_VIEW
from oneself.core.config.configuration import Config
from oneself.core.config.rule_checks import RuleRejected
from oneself.core.identity.identifier import Identifier, visible_value
from oneself.core.identity.identity_type import IdentityType
from oneself.core.identity_graph.joins import VIEWS
from oneself.service.configuration import PlannedChange
from oneself.service.context import DEFAULT_DATASET, DatasetRef
from oneself.service.explain.values import EvidenceName
from oneself.service.identity.attributes import plan_bindings
from oneself.service.identity.resolution_switch import plan_switch
from oneself.service.preview.outcome import PreviewedJoinRefusal, ViewPreview
from oneself.service.preview.previews import ChangePreview
from oneself.service.profiles.refusals import plan_protection
from oneself.service.rules.rules import UnknownRule, plan_rule, plan_rule_change
from oneself.service.schema.identity_types import plan_type_change

#: Whether a caller may read the value of an identifier.
Shows = Callable[[Identifier], bool]


class ResolutionDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """Turn identity resolution on. `attribute`: the identity attribute that receives the former user ids."""

    attribute: str | None = None


class RuleChangeDraft(PreviewRequest, frozen=True, forbid_unknown_fields=True):
    """A rule as in POST `/unification-rules`, or `rule_id` with the fields that would change."""

    proves_identity: bool | None = None


class ChangeDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """A change, in the words of the routes that make it. At least one part; several are made in this order.

    `identity_types`: as in POST and PATCH `/identity-types`, in this dataset alone; one with a new `id` is
    created. `settings`: as in PATCH `/datasets/{dataset}`. `identity_attributes` and `channel_identities`: as
    in PUT. `protection`: as in PATCH `/protection`, of the dataset `default`. `rule`: as in POST
    `/unification-rules`, or `rule_id` with the fields that would change. `identity_resolution`: turn it on.
    """

    identity_types: list[IdentityTypeDraft] | None = None
    settings: DatasetPatch | None = None
    identity_attributes: list[BindingDraft] | None = None
    channel_identities: ChannelsPut | None = None
    protection: ProtectionPatch | None = None
    rule: RuleChangeDraft | None = None
    identity_resolution: ResolutionDraft | None = None


class JoiningIdentifier(Struct, frozen=True):
    """What two profiles share. `value`: null if the caller may not read it."""

    namespace: str
    value: str | None


class ViewCounts(Struct, frozen=True):
    """How much would change among the profiles that were examined."""

    absorbed: int
    groups: int
    separated: int
    values_changed: int
    refusals: int


class JoiningCause(Struct, frozen=True):
    """Why profiles would be one. `evidence`: null if it is not known."""

    reason: str
    identifier: JoiningIdentifier | None
    evidence: EvidenceName | None


class ViewMergeDocument(Struct, frozen=True):
    """Profiles that would be merged into one, and what joins them."""

    survivor: UUID
    absorbed: list[UUID]
    joins: list[JoiningCause]


class ViewRefusalDocument(Struct, frozen=True):
    """Two profiles that would be kept apart, or one of which a value would be refused, and why.

    `namespace`: what their values differ in, or what they share.
    """

    code: str
    profiles: list[UUID]
    namespace: str | None
    identifier: JoiningIdentifier | None
    evidence: EvidenceName | None


class ViewPartingDocument(Struct, frozen=True):
    """A profile that would come apart into these groups of ids, and the joins that would no longer count."""

    profile: UUID
    groups: list[list[UUID]]
    refusals: list[ViewRefusalDocument]


class ViewPreviewDocument(Struct, frozen=True):
    """What would change in one view. The lists have the first hundred entries; the counts are complete."""

    counts: ViewCounts
    largest_group: int
    merges: list[ViewMergeDocument]
    separated: list[ViewPartingDocument]
    values_changed: list[ValueChangeDocument]
    refusals: list[ViewRefusalDocument]


class ViewsDocument(Struct, frozen=True):
    """What would change in each view. The lists are empty for a caller without `profile_view`; those of `all`
    also without `profile_view_all`. `all`: null without it for a caller who may not make the change.
    """

    own: ViewPreviewDocument
    proven: ViewPreviewDocument
    all: ViewPreviewDocument | None


class ChangePreviewDocument(Struct, frozen=True):
    """What a change would do. `truncated`: it may concern more profiles than the `profiles_examined`, and the
    counts are of these.
    """

    profiles_examined: int
    truncated: bool
    views: ViewsDocument


CHANGE = Body("preview", INVALID_REQUEST, ChangeDraft)
#: Part of a change → the permission to read what it changes, and those to make it.
PERMISSIONS = {
    "protection": ("admin_config_view", "admin_config_update"),
    "rule": ("unification_rule_view", "unification_rule_create", "unification_rule_update"),
}
IDENTITY = ("identity_view", "identity_update")
EACH = tuple(name for names in PERMISSIONS.values() for name in names)


@post(
    "/datasets/{dataset:str}/preview",
    opt=requires(*IDENTITY, *EACH),
    status_code=200,
    operation_class=described(takes=ChangeDraft),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415, 503),
)
async def preview_change(request: AnyRequest, dataset: FromPath[str]) -> ChangePreviewDocument:
    """Preview what a change of settings would do to the existing profiles of a dataset. Writes nothing. Each
    part takes the permission to make it, or to read what it changes. Blocked values and patterns take the one
    to make it, and `profile_view`.
    """
    call = context_of(request)
    document = non_null(await decode_object(request, CHANGE))
    if not document:
        raise CHANGE.refusal("Name at least one change, such as settings.")
    for part in document:
        _check_permission(call, PERMISSIONS.get(part, IDENTITY))
    makes_it = all(map(call.caller.holds, _making(document)))
    if _blocks_values(document) and not (makes_it and call.caller.holds(PROFILE_VIEW)):
        raise forbidden(
            f"Blocked values and patterns tell who has them: they take {PROFILE_VIEW} and the permissions to "
            "make the change."
        )
    at = await dataset_of(call, dataset)
    try:
        found = await call.services.rules.change_previews.preview(at, await _planned(call, at, document))
    except UnknownRule as error:
        raise wire_error(RULE_NOT_FOUND, error.message, 404) from None
    except RuleRejected as rejected:
        raise rule_error(rejected) from None
    return await _render(call, at, found, makes_it=makes_it)


ROUTES = [preview_change]


def _check_permission(call: RequestContext, names: Iterable[str]) -> None:
    if not any(call.caller.holds(PREFIX + name) for name in names):
        raise forbidden()


def _blocks_values(document: Object) -> bool:
    """Whether it names values that identify nobody, so that the counts tell who has them."""
    parts = [document.get("protection") or {}, *(document.get("identity_types") or ())]
    return any(part.get(name) for part in parts for name in ("blocked_values", "blocked_patterns"))


def _making(document: Object) -> set[str]:
    """The permissions to make a change."""
    found = set()
    for part, value in document.items():
        _, *making = PERMISSIONS.get(part, IDENTITY)
        is_new_rule = part == "rule" and value.get("rule_id") is None
        found.add(PREFIX + (making[0] if is_new_rule else making[-1]))
    return found


async def _planned(call: RequestContext, at: DatasetRef, document: Object) -> list[PlannedChange]:
    """The parts of a change, in the order in which they are made."""
    schema, config = call.services.schema, await call.services.configurations.current(at.dataset_id)
    planned: list[PlannedChange] = []
    for draft in document.get("identity_types") or ():
        given = read_identity_type_changes(draft)
        type_id = given.pop("type_id", "")
        if type_id in config.types:
            planned.append(plan_type_change(type_id, given))
        else:
            new = IdentityType(type_id, given.pop("label", type_id), **given)
            planned.append(schema.identity_types.plan_new(new))
    if "settings" in document:
        planned.append(schema.datasets.plan(at.dataset, *read_dataset_changes(document["settings"])))
    if document.keys() & {"identity_attributes", "channel_identities"}:
        bindings = document.get("identity_attributes")
        bound = None if bindings is None else [read_binding(entry) for entry in bindings]
        planned.append(plan_bindings(bound, document.get("channel_identities")))
    if "protection" in document:
        if at.dataset != DEFAULT_DATASET:
            raise CHANGE.refusal("protection is of the dataset 'default' alone.")
        planned.append(plan_protection(**read_protection_changes(document["protection"])))
    if "rule" in document:
        if at.dataset != DEFAULT_DATASET:
            raise CHANGE.refusal("rules are of the dataset 'default' alone.")
        planned.append(_planned_rule(document["rule"], config))
    if "identity_resolution" in document:
        planned.append(plan_switch(document["identity_resolution"].get("attribute")))
    return planned


def _planned_rule(document: Object, config: Config) -> PlannedChange:
    rule_id = document.get("rule_id")
    if rule_id is None:
        return plan_rule(read_rule(document, None)).change
    before = config.rules.get(rule_id)
    if before is None:
        raise UnknownRule("No unification rule found.")
    changed = read_rule(document, before)
    fields = ("rule_name", "priority", "is_active", "proves_identity")
    return plan_rule_change(rule_id, **{name: getattr(changed, name) for name in fields}).change


async def _render(
    call: RequestContext, at: DatasetRef, found: ChangePreview, *, makes_it: bool
) -> ChangePreviewDocument:
    """`makes_it`: whether the caller may make the change, and so may know how much it would do."""
    shows = discloses_of_all_profiles(call, await call.services.configurations.current(at.dataset_id))
    is_reader = call.caller.holds(PROFILE_VIEW)
    narrow, wide = shows if is_reader else None, shows if is_reader and call.may_read_all else None
    own, proven, believed = (found.views[view] for view in VIEWS)
    views = ViewsDocument(
        own=_render_view(own, narrow),
        proven=_render_view(proven, narrow),
        all=_render_view(believed, wide) if makes_it or call.may_read_all else None,
    )
    return ChangePreviewDocument(found.profiles_examined, not found.is_complete, views)


def _render_view(item: ViewPreview, shows: Shows | None) -> ViewPreviewDocument:
    """`shows`: whether the caller may read a value; None: it may read no profile."""
    counts = ViewCounts(
        absorbed=item.profiles_absorbed,
        groups=item.groups,
        separated=item.parted_count,
        values_changed=item.values_changed_count,
        refusals=item.refusals_count,
    )
    if shows is None:
        return ViewPreviewDocument(counts, item.largest_group, [], [], [], [])
    return ViewPreviewDocument(
        counts,
        item.largest_group,
        merges=[
            ViewMergeDocument(
                merge.survivor,
                list(merge.absorbed),
                [JoiningCause(j.reason, _identifier(j.identifier, shows), j.evidence) for j in merge.joins],
            )
            for merge in item.merges
        ],
        separated=[
            ViewPartingDocument(
                parting.profile_id,
                [list(group) for group in parting.groups],
                [_refusal(refusal, shows) for refusal in parting.refusals],
            )
            for parting in item.parted
        ],
        values_changed=[ValueChangeDocument(change.profile, change.path) for change in item.values_changed],
        refusals=[_refusal(refusal, shows) for refusal in item.refusals],
    )


def _refusal(refusal: PreviewedJoinRefusal, shows: Shows) -> ViewRefusalDocument:
    one, other = refusal.profile_id, refusal.other_id
    return ViewRefusalDocument(
        refusal.code,
        [one] if one == other else [one, other],
        refusal.namespace,
        _identifier(refusal.identifier, shows),
        refusal.evidence,
    )


def _identifier(identifier: Identifier | None, shows: Shows) -> JoiningIdentifier | None:
    if identifier is None:
        return None
    value = visible_value(identifier) if shows(identifier) else None
    return JoiningIdentifier(identifier.namespace, value)
