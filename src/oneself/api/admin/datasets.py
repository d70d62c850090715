"""`/datasets`: the datasets of an organisation and their settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import delete, get, patch, post
from litestar.params import FromPath
from msgspec import Meta, Struct

from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import CursorWord, PageSize, Pagination, named_page
from oneself.api.http.errors import INVALID_REQUEST
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object, non_null
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.service.schema.dataset_settings import CHOICES, FIELDS, list_settings
from oneself.service.schema.datasets import Dataset
from oneself.service.schema.user_attributes import UserAttribute, read_changes

Trust = Annotated[str, Meta(extra_json_schema={"enum": list(CHOICES["identity_trust"])})]
Merged = Annotated[str, Meta(extra_json_schema={"enum": list(CHOICES["merged_anonymous"])})]
Conflict = Annotated[str, Meta(extra_json_schema={"enum": list(CHOICES["channel_identity_conflict"])})]
AssertedMerges = Annotated[str, Meta(extra_json_schema={"enum": list(CHOICES["asserted_merges"])})]
ReportJoins = Annotated[str, Meta(extra_json_schema={"enum": list(CHOICES["report_joins"])})]
DefaultView = Annotated[str, Meta(extra_json_schema={"enum": list(CHOICES["default_view"])})]


class DatasetPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH. An absent field is unchanged.

    `user_attributes`: name → `{label, type, classification_override}`, or null to remove it; attributes that
    are not named are unchanged.
    """

    label: str | None = None
    pipeline_identity_resolution: bool | None = None
    identity_trust: Trust | None = None
    merged_anonymous: Merged | None = None
    channel_identity_conflict: Conflict | None = None
    default_view: DefaultView | None = None
    asserted_merges: AssertedMerges | None = None
    report_joins: ReportJoins | None = None
    visit_timeout_millis: int | None = None
    enable_remember_me_user_ids: bool | None = None
    remember_me_user_ids_millis: int | None = None
    allowed_origins: list[str] | None = None
    user_attributes: dict[str, Any] | None = None


class DatasetDraft(DatasetPatch, frozen=True, forbid_unknown_fields=True):
    """Body of POST."""

    name: str | None = None


class UserAttributeDocument(Struct, frozen=True, omit_defaults=True):
    """A user attribute of the interactions wire."""

    label: str
    type: Literal["String", "Number", "Boolean", "Date"]
    classification_override: Literal["Sensitive", "PersonallyIdentifiable", "NonSensitive"] | None = None


class DatasetDocument(Struct, frozen=True):
    """A dataset with its settings."""

    name: str
    label: str
    pipeline_identity_resolution: bool
    identity_trust: Trust
    merged_anonymous: Merged
    channel_identity_conflict: Conflict
    default_view: DefaultView
    asserted_merges: AssertedMerges
    report_joins: ReportJoins
    visit_timeout_millis: int
    enable_remember_me_user_ids: bool
    remember_me_user_ids_millis: int
    allowed_origins: list[str]
    user_attributes: dict[str, UserAttributeDocument]
    created_at: Timestamp


class DatasetList(Struct, frozen=True):
    """One page of datasets, by name."""

    datasets: list[DatasetDocument]
    pagination: Pagination


DRAFT = Body("dataset", INVALID_REQUEST, DatasetDraft)
PATCH = Body("dataset", INVALID_REQUEST, DatasetPatch)
VIEW = requires("identity_view")
UPDATE = requires("identity_update")
ONE = "/datasets/{dataset:str}"


@get("/datasets", opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403))
async def list_datasets(request: AnyRequest, size: PageSize = None, cursor: CursorWord = None) -> DatasetList:
    """List the datasets of the organisation."""
    call = context_of(request)
    found = await call.services.schema.datasets.list(call.dataset_ref)
    page, pagination = named_page(found, lambda dataset: dataset.name, size, cursor)
    return DatasetList([_render(dataset) for dataset in page], pagination)


@post(
    "/datasets",
    opt=UPDATE,
    operation_class=described(takes=DatasetDraft, required=("name",)),
    responses=error_responses(400, 401, 403, 409, 413, 415),
)
async def create_dataset(request: AnyRequest) -> DatasetDocument:
    """Create a dataset. It has the organisation's identity types and no identity attributes."""
    call = context_of(request)
    document = await decode_object(request, DRAFT)
    settings, changes = read_dataset_changes(document)
    name = document.get("name") or ""
    return _render(await call.services.schema.datasets.create(call.dataset_ref, name, settings, changes))


@get(ONE, opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def read_dataset(request: AnyRequest, dataset: FromPath[str]) -> DatasetDocument:
    """Read one dataset."""
    call = context_of(request)
    return _render(await call.services.schema.datasets.show(call.dataset_ref, dataset))


@patch(
    ONE,
    opt=UPDATE,
    operation_class=described(takes=DatasetPatch),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415),
)
async def change_dataset(request: AnyRequest, dataset: FromPath[str]) -> DatasetDocument:
    """Change a dataset. Identity resolution is turned on by its own command: it moves every profile."""
    call = context_of(request)
    settings, changes = read_dataset_changes(await decode_object(request, PATCH))
    return _render(await call.services.schema.datasets.change(call.dataset_ref, dataset, settings, changes))


@delete(ONE, opt=UPDATE, operation_class=Described, responses=error_responses(400, 401, 403, 404, 409))
async def delete_dataset(request: AnyRequest, dataset: FromPath[str]) -> None:
    """Delete a dataset that was never used."""
    call = context_of(request)
    await call.services.schema.datasets.delete(call.dataset_ref, dataset)


ROUTES = (list_datasets, create_dataset, read_dataset, change_dataset, delete_dataset)


def read_dataset_changes(document: Object) -> tuple[Object, Any]:
    """The settings of a body by name, and the changes of its user attributes."""
    given = non_null(document)
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if name in FIELDS
    }
    return settings, read_changes(given.get("user_attributes", {}))


def _render(dataset: Dataset) -> DatasetDocument:
    settings = list_settings(dataset.settings)
    return DatasetDocument(
        name=dataset.name,
        **{**settings, "allowed_origins": list(dataset.settings.allowed_origins)},
        user_attributes={name: _attribute(attribute) for name, attribute in dataset.user_attributes.items()},
        created_at=rfc3339(dataset.created_at),
    )


def _attribute(attribute: UserAttribute) -> UserAttributeDocument:
    return UserAttributeDocument(attribute.label, attribute.type, attribute.classification_override)
