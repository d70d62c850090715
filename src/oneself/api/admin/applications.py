"""`/applications`: the clients of an organisation (DESIGN §9). A secret is shown once, when it is made."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, patch, post
from litestar.params import FromPath
from msgspec import Meta, Struct

from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import CursorWord, PageSize, Pagination, named_page
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest, Body, decode_object, non_null
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.errors import NotFound
from oneself.service.directory.applications import KINDS, Application, NewApplication

Kind = Annotated[str, Meta(extra_json_schema={"enum": list(KINDS)})]


class ApplicationPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH; what is absent stays, `[]` clears."""

    name: str | None = None
    redirect_uris: list[str] | None = None
    post_logout_redirect_uris: list[str] | None = None
    permissions: list[str] | None = None


class ApplicationDraft(ApplicationPatch, frozen=True, forbid_unknown_fields=True):
    """Body of POST. `client_id` is drawn unless it is given."""

    kind: Kind | None = None
    client_id: str | None = None


class ApplicationDocument(Struct, frozen=True, omit_defaults=True):
    """An application; `client_secret` stands in the answer to POST and nowhere else."""

    client_id: str
    name: str
    kind: Kind
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    permissions: list[str]
    created_at: Timestamp
    client_secret: str | None = None


class ApplicationList(Struct, frozen=True):
    """Applications by client id."""

    applications: list[ApplicationDocument]
    pagination: Pagination


DRAFT = Body("application", "10001", ApplicationDraft)
PATCH = Body("application", "10001", ApplicationPatch)
VIEW = requires("admin_config_view")
UPDATE = requires("admin_config_update")
ONE = "/applications/{client_id:str}"


@get("/applications", opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403))
async def list_applications(
    request: AnyRequest,
    size: PageSize = None,
    cursor: CursorWord = None,
) -> ApplicationList:
    """Every application of the organisation."""
    call = context_of(request)
    found = await call.services.directory.applications.list(call.dataset_ref)
    page, pagination = named_page(found, lambda application: application.client_id, size, cursor)
    return ApplicationList([_render(application) for application in page], pagination)


@post(
    "/applications",
    opt=UPDATE,
    operation_class=described(takes=ApplicationDraft, required=("name",)),
    responses=error_responses(400, 401, 403, 409, 413, 415),
)
async def create_application(request: AnyRequest) -> ApplicationDocument:
    """Make an application; the answer shows its secret, this once."""
    call = context_of(request)
    document = await decode_object(request, DRAFT)
    given = non_null(document)
    new = NewApplication(**{"name": "", **given})
    application, secret = await call.services.directory.applications.create(call.dataset_ref, new)
    return _render(application, secret)


@get(ONE, opt=VIEW, operation_class=Described, responses=error_responses(401, 403, 404))
async def read_application(request: AnyRequest, client_id: FromPath[str]) -> ApplicationDocument:
    """One application."""
    call = context_of(request)
    return _render(await call.services.directory.applications.get(call.dataset_ref, client_id))


@patch(
    ONE,
    opt=UPDATE,
    operation_class=described(takes=ApplicationPatch),
    responses=error_responses(400, 401, 403, 404, 413, 415),
)
async def change_application(request: AnyRequest, client_id: FromPath[str]) -> ApplicationDocument:
    """Change an application; if it may do less than before, its tokens stop and it asks for new ones."""
    call = context_of(request)
    document = await decode_object(request, PATCH)
    given = non_null(document)
    return _render(await call.services.directory.applications.change(call.dataset_ref, client_id, **given))


@delete(ONE, opt=UPDATE, operation_class=Described, responses=error_responses(401, 403))
async def delete_application(request: AnyRequest, client_id: FromPath[str]) -> None:
    """Remove an application; every token of it stops. An unknown one is gone already."""
    call = context_of(request)
    try:
        await call.services.directory.applications.delete(call.dataset_ref, client_id)
    except NotFound:
        return


ROUTES = (list_applications, create_application, read_application, change_application, delete_application)


def _render(application: Application, secret: str | None = None) -> ApplicationDocument:
    return ApplicationDocument(
        client_id=application.client_id,
        name=application.name,
        kind=application.kind,
        redirect_uris=list(application.redirect_uris),
        post_logout_redirect_uris=list(application.post_logout_redirect_uris),
        permissions=list(application.permissions),
        created_at=rfc3339(application.created_at),
        client_secret=secret,
    )
