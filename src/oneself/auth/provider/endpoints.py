"""Routes for clients: token, introspection, revocation, userinfo, keys, discovery.

Invariants: a route decodes the request, calls `OAuth` once, and renders the response. Errors have the format
of OAuth, not of the REST interfaces.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post, route
from litestar.exceptions import NotFoundException

from oneself.auth.provider.authlib_models import OAuthResponse
from oneself.auth.provider.token_endpoint import JSON_HEADERS, OAuth, OAuthCall
from oneself.service.context import DatasetRef
from oneself.services import DirectoryServices
from oneself.web.forms import FORM_BYTES_MAX, AnyRequest, InvalidForm, form_of, sender_of

JSON = "application/json"
# Keys and endpoints change rarely, and scripts of any origin may read them.
PUBLIC_HEADERS = {"Cache-Control": "public, max-age=60"}


@post("/t/{org:str}/oauth2/token", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def token(request: AnyRequest) -> Response[bytes]:
    """Token endpoint (RFC 6749 §3.2)."""
    directory = directory_of(request)
    try:
        call = await _call(request, await organisation_of(request))
    except InvalidForm as problem:
        return _invalid_request(problem)
    return _render(await OAuth(directory).token(call))


@post("/t/{org:str}/oauth2/introspect", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def introspect(request: AnyRequest) -> Response[bytes]:
    """Token introspection (RFC 7662)."""
    try:
        call = await _call(request, await organisation_of(request))
    except InvalidForm as problem:
        return _invalid_request(problem)
    return _render(await OAuth(directory_of(request)).introspect(call))


@post("/t/{org:str}/oauth2/revoke", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def revoke(request: AnyRequest) -> Response[bytes]:
    """Token revocation (RFC 7009)."""
    try:
        call = await _call(request, await organisation_of(request))
    except InvalidForm as problem:
        return _invalid_request(problem)
    return _render(await OAuth(directory_of(request)).revoke(call))


@route(
    "/t/{org:str}/oauth2/userinfo",
    http_method=["GET", "POST"],
    request_max_body_size=FORM_BYTES_MAX,
    include_in_schema=False,
)
async def userinfo(request: AnyRequest) -> Response[bytes]:
    """Userinfo endpoint (OpenID Connect Core §5.3)."""
    dataset_ref = await organisation_of(request)
    authorization = request.headers.get("authorization")
    return _render(await OAuth(directory_of(request)).userinfo(dataset_ref, authorization))


@get("/t/{org:str}/oauth2/jwks", include_in_schema=False)
async def jwks(request: AnyRequest) -> Response[bytes]:
    """Public keys of the organisation (RFC 7517)."""
    dataset_ref = await organisation_of(request)
    return _public(request, await OAuth(directory_of(request)).jwks(dataset_ref))


# The second path is for WSO2 clients: the issuer of WSO2 ends in /oauth2/token.
@get(
    [
        "/t/{org:str}/.well-known/openid-configuration",
        "/t/{org:str}/oauth2/token/.well-known/openid-configuration",
        "/t/{org:str}/.well-known/oauth-authorization-server",
    ],
    include_in_schema=False,
)
async def discovery(request: AnyRequest) -> Response[bytes]:
    """Discovery document (OpenID Connect Discovery 1.0, RFC 8414)."""
    dataset_ref = await organisation_of(request)
    return _public(request, OAuth(directory_of(request)).discovery(dataset_ref))


def directory_of(request: AnyRequest) -> DirectoryServices:
    """Return the directory services of this process."""
    directory: DirectoryServices = request.app.state.services.directory
    return directory


async def organisation_of(request: AnyRequest) -> DatasetRef:
    """Return the organisation in the path. Raises NotFoundException if it is unknown."""
    dataset_ref = await directory_of(request).organisations.find(request.path_params["org"])
    if dataset_ref is None:
        raise NotFoundException
    return dataset_ref


def is_configured_origin(request: AnyRequest) -> bool:
    """Whether ONESELF_CORS_ORIGINS contains the origin. `api.http.transport` adds the headers for those."""
    return request.headers.get("origin") in request.app.state.services.settings.cors_origins


async def _call(request: AnyRequest, dataset_ref: DatasetRef) -> OAuthCall:
    return OAuthCall(
        dataset_ref=dataset_ref,
        parameters=await form_of(request),
        authorization=request.headers.get("authorization"),
        address=sender_of(request),
        origin=None if is_configured_origin(request) else request.headers.get("origin"),
    )


def _render(response: OAuthResponse) -> Response[bytes]:
    body = msgspec.json.encode(response.body if response.body != "" else {})
    headers = {name: value for name, value in response.headers if name != "Content-Type"}
    return Response(body, status_code=response.status, media_type=JSON, headers=headers)


def _public(request: AnyRequest, document: dict[str, Any]) -> Response[bytes]:
    cors = {} if is_configured_origin(request) else {"Access-Control-Allow-Origin": "*"}
    return Response(msgspec.json.encode(document), media_type=JSON, headers={**PUBLIC_HEADERS, **cors})


def _invalid_request(problem: InvalidForm) -> Response[bytes]:
    body = {"error": "invalid_request", "error_description": str(problem)}
    return _render(OAuthResponse(400, body, JSON_HEADERS))
