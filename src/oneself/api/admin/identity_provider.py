"""`/identity-provider`: the external identity server and trusted issuers. Secrets are never returned."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath
from msgspec import Struct

from oneself.adapters.identity_server.connection import Connection
from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import CursorWord, PageSize, Pagination, named_page
from oneself.api.http.errors import INVALID_REQUEST
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object, non_null
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.request_options import decode_profile_id
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.errors import NotFound
from oneself.service.directory.issuers import TrustedIssuer
from oneself.service.identity_provider.settings import OwnIdentityServer


class ServerDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """How to reach an identity server.

    `sync_username`, `sync_password`: its credentials for the two sync operations of this organisation. In
    PATCH an absent field is unchanged, "" clears these two.
    """

    url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    grant: str | None = None
    sync_username: str | None = None
    sync_password: str | None = None


class ServerDocument(Struct, frozen=True):
    """An identity server. `own`: configured for this organisation, not for the deployment."""

    own: bool
    url: str
    client_id: str
    grant: str
    sync_username: str | None


class IssuerDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """A trusted issuer. In PATCH an absent field is unchanged, "" clears `jwks_uri`, `[]` clears
    `permissions`.

    `verified_claims`: which e-mail addresses and phone numbers in its tokens are verified: `as_stated`, those
    with `email_verified` or `phone_number_verified`; `always`; `never`.
    """

    issuer: str | None = None
    audience: str | None = None
    jwks_uri: str | None = None
    permissions: list[str] | None = None
    verified_claims: str | None = None


class IssuerDocument(Struct, frozen=True):
    """A trusted issuer."""

    issuer_id: UUID
    issuer: str
    audience: str
    jwks_uri: str | None
    permissions: list[str]
    verified_claims: str
    created_at: Timestamp
    updated_at: Timestamp


class ProviderDocument(Struct, frozen=True):
    """Where users of this organisation sign in, beside the embedded directory."""

    identity_server: ServerDocument | None
    trusted_issuers: list[IssuerDocument]


class IssuerList(Struct, frozen=True):
    """One page of trusted issuers, by issuer."""

    trusted_issuers: list[IssuerDocument]
    pagination: Pagination


SERVER = Body("identity provider", INVALID_REQUEST, ServerDraft)
ISSUER = Body("trusted issuer", INVALID_REQUEST, IssuerDraft)
VIEW = requires("admin_config_view")
UPDATE = requires("admin_config_update")
ISSUERS_PATH = "/identity-provider/trusted-issuers"


@get("/identity-provider", opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403))
async def read_provider(request: AnyRequest) -> ProviderDocument:
    """Read the identity server that this organisation uses, and its trusted issuers."""
    call = context_of(request)
    issuers = await call.services.directory.issuers.list(call.dataset_ref)
    return ProviderDocument(await _server(call), [_render(issuer) for issuer in issuers])


@post(
    "/identity-provider",
    opt=UPDATE,
    operation_class=described(takes=ServerDraft, required=("url", "client_id", "client_secret")),
    responses=error_responses(400, 401, 403, 409, 413, 415),
)
async def add_server(request: AnyRequest) -> ServerDocument:
    """Configure an identity server for this organisation. Its claims are read soon after."""
    call = context_of(request)
    given = _given(await decode_object(request, SERVER))
    own = _changed(OwnIdentityServer(Connection("", "", "")), given)
    return _render_own(await call.services.identity_provider.servers.create(call.dataset_ref, own))


@patch(
    "/identity-provider",
    opt=UPDATE,
    operation_class=described(takes=ServerDraft),
    responses=error_responses(400, 401, 403, 404, 413, 415),
)
async def change_server(request: AnyRequest) -> ServerDocument:
    """Change the organisation's identity server."""
    call = context_of(request)
    given = _given(await decode_object(request, SERVER))
    own = await call.services.identity_provider.servers.change(
        call.dataset_ref, lambda before: _changed(before, given)
    )
    return _render_own(own)


@delete("/identity-provider", opt=UPDATE, operation_class=Described, responses=error_responses(400, 401, 403))
async def delete_server(request: AnyRequest) -> None:
    """Remove the organisation's identity server. The deployment's applies, if there is one."""
    call = context_of(request)
    await call.services.identity_provider.servers.delete(call.dataset_ref)


@get(ISSUERS_PATH, opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403))
async def list_issuers(
    request: AnyRequest,
    size: PageSize = None,
    cursor: CursorWord = None,
) -> IssuerList:
    """List the trusted issuers."""
    call = context_of(request)
    found = await call.services.directory.issuers.list(call.dataset_ref)
    page, pagination = named_page(found, lambda issuer: issuer.issuer, size, cursor)
    return IssuerList([_render(issuer) for issuer in page], pagination)


@post(
    ISSUERS_PATH,
    opt=UPDATE,
    operation_class=described(takes=IssuerDraft, required=("issuer",)),
    responses=error_responses(400, 401, 403, 409, 413, 415),
)
async def add_issuer(request: AnyRequest) -> IssuerDocument:
    """Trust an issuer. Its tokens are accepted from then on."""
    call = context_of(request)
    fields = _issuer_fields(await decode_object(request, ISSUER))
    return _render(await call.services.directory.issuers.add(call.dataset_ref, **{"issuer": "", **fields}))


@get(
    f"{ISSUERS_PATH}/{{issuer_id:str}}",
    opt=VIEW,
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404),
)
async def read_issuer(request: AnyRequest, issuer_id: FromPath[str]) -> IssuerDocument:
    """Read one trusted issuer."""
    call = context_of(request)
    return _render(await call.services.directory.issuers.get(call.dataset_ref, _id(issuer_id)))


@patch(
    f"{ISSUERS_PATH}/{{issuer_id:str}}",
    opt=UPDATE,
    operation_class=described(takes=IssuerDraft),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415),
)
async def change_issuer(request: AnyRequest, issuer_id: FromPath[str]) -> IssuerDocument:
    """Change what an issuer's tokens permit. It applies within one second."""
    call = context_of(request)
    fields = _issuer_fields(await decode_object(request, ISSUER))
    return _render(await call.services.directory.issuers.change(call.dataset_ref, _id(issuer_id), **fields))


@delete(
    f"{ISSUERS_PATH}/{{issuer_id:str}}",
    opt=UPDATE,
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def delete_issuer(request: AnyRequest, issuer_id: FromPath[str]) -> None:
    """Remove a trusted issuer. Its tokens are rejected within one second."""
    call = context_of(request)
    if (known_id := decode_profile_id(issuer_id)) is not None:
        await call.services.directory.issuers.remove(call.dataset_ref, known_id)


ROUTES = (
    read_provider,
    add_server,
    change_server,
    delete_server,
    list_issuers,
    add_issuer,
    read_issuer,
    change_issuer,
    delete_issuer,
)


async def _server(call: Any) -> ServerDocument | None:
    servers = call.services.identity_provider.servers
    own = await servers.get(call.dataset_ref)
    if own is not None:
        return _render_own(own)
    default = servers.default
    return None if default is None else _render_server(default, own=False)


def _changed(before: OwnIdentityServer, given: Object) -> OwnIdentityServer:
    reached = {name: given[name] for name in Connection.__struct_fields__ if name in given}
    called = {name: given[name] or None for name in ("sync_username", "sync_password") if name in given}
    connection = msgspec.structs.replace(before.connection, **reached)
    return msgspec.structs.replace(before, connection=connection, **called)


def _given(document: Object) -> Object:
    """The fields that are not null, without leading and trailing blanks."""
    given = non_null(document)
    return {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}


def _issuer_fields(document: Object) -> Object:
    fields = _given(document)
    if "jwks_uri" in fields:
        fields["jwks_uri"] = fields["jwks_uri"] or None
    if "permissions" in fields:
        fields["permissions"] = tuple(dict.fromkeys(fields["permissions"]))
    return fields


def _id(text: str) -> UUID:
    known_id = decode_profile_id(text)
    if known_id is None:
        raise NotFound("No trusted issuer has this id.")
    return known_id


def _render_own(own: OwnIdentityServer) -> ServerDocument:
    return _render_server(own.connection, own=True, sync_username=own.sync_username)


def _render_server(connection: Connection, *, own: bool, sync_username: str | None = None) -> ServerDocument:
    return ServerDocument(own, connection.url, connection.client_id, connection.grant, sync_username)


def _render(issuer: TrustedIssuer) -> IssuerDocument:
    return IssuerDocument(
        issuer_id=issuer.issuer_id,
        issuer=issuer.issuer,
        audience=issuer.audience,
        jwks_uri=issuer.jwks_uri,
        permissions=list(issuer.permissions),
        verified_claims=issuer.verified_claims,
        created_at=rfc3339(issuer.created_at),
        updated_at=rfc3339(issuer.updated_at),
    )
