"""What an identity server reports: `/profiles/sync` and `/profile-schema/sync`.

Invariants: callers use HTTP Basic instead of a token; the organisation is the one in the body, whatever the
path says. The identity server calls inside its user's request and never repeats, so an answer waits for
nothing but what it reports. Source: docs/wire/cds.md §12, §13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Response, Router, post
from litestar.enums import MediaType
from msgspec import Struct

from oneself.api.cds.errors import PROFILE_UPDATE_FAILED
from oneself.api.http.errors import (
    NOT_ENABLED,
    SERVICE_DISABLED,
    UNAUTHENTICATED,
    UNAUTHORIZED,
    WireError,
    profile_unknown,
    wire_error,
)
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object
from oneself.api.http.openapi import described, error_responses
from oneself.api.http.request_options import decode_profile_id
from oneself.auth.callers.guard import basic_credentials
from oneself.auth.callers.provider_claims import VERIFICATION_NAMES, is_verified_in
from oneself.core.config.mirrored_attributes import claim_key
from oneself.service.context import DatasetRef
from oneself.service.identity_provider.reports import IdentityReport, ReportKind, UnknownUser, UserIdRequired

if TYPE_CHECKING:
    from oneself.services import Services

SECURITY_SCHEME = "basic"
SCHEMA_NOT_ENABLED = "Unable to process profile sync event as CDS is not enabled for organization: {org}"
#: The server's names of its events about users; it reports others too.
USER_EVENTS: dict[str, ReportKind] = {
    "POST_ADD_USER": "user_added",
    "POST_SET_USER_CLAIM_VALUE_WITH_ID": "claims_set",
    "POST_SET_USER_CLAIM_VALUES_WITH_ID": "claims_set",
    "POST_DELETE_USER_WITH_ID": "user_deleted",
    "AUTHENTICATION_SUCCESS": "signed_in",
    "SESSION_TERMINATE": "signed_out",
}
CLAIM_EVENTS = frozenset(
    {
        "POST_ADD_EXTERNAL_CLAIM",
        "POST_UPDATE_EXTERNAL_CLAIM",
        "POST_DELETE_EXTERNAL_CLAIM",
        "POST_UPDATE_LOCAL_CLAIM",
        "POST_DELETE_LOCAL_CLAIM",
    }
)


class ProfileReport(Struct, frozen=True):
    """Body of `/profiles/sync`."""

    event: str | None = None
    userId: str | None = None
    profileCookie: str | None = None
    profileId: str | None = None
    claims: dict[str, Any] | None = None
    orgHandle: str | None = None


class SchemaReport(Struct, frozen=True):
    """Body of `/profile-schema/sync`."""

    event: str | None = None
    orgHandle: str | None = None


class StatusDocument(Struct, frozen=True):
    """The response to a report that may have changed something."""

    status: str = "updated"


class MessageDocument(Struct, frozen=True):
    """One sentence for the identity server's log."""

    message: str


PROFILE_REPORT = Body("profile", PROFILE_UPDATE_FAILED, ProfileReport, strict=False)
SCHEMA_REPORT = Body(
    "profile schema", PROFILE_UPDATE_FAILED, SchemaReport, strict=False, plain_line="Invalid request."
)


@post(
    "/profiles/sync",
    status_code=200,
    operation_class=described(takes=ProfileReport),
    responses=error_responses(400, 401, 404, 413, 415),
)
async def receive_profile_report(request: AnyRequest) -> Response[Any]:
    """Receive a report about a user: claims, a sign-in or a sign-out."""
    dataset_ref, document = await _authenticate_sync(request, PROFILE_REPORT, NOT_ENABLED)
    services: Services = request.app.state.services
    try:
        outcome = await services.identity_provider.reports.handle_report(
            dataset_ref, _decode_report(document)
        )
    except UnknownUser:
        raise profile_unknown("No profile found for the given user_id") from None
    except UserIdRequired:
        raise wire_error(PROFILE_UPDATE_FAILED, "userId is missing, or cannot identify a user.") from None
    return Response(StatusDocument() if outcome == "updated" else b"", media_type=MediaType.JSON)


@post(
    "/profile-schema/sync",
    status_code=200,
    operation_class=described(takes=SchemaReport, plain=(400,)),
    responses=error_responses(400, 401, 404, 413, 415),
)
async def receive_schema_report(request: AnyRequest) -> Response[MessageDocument]:
    """Receive a report that claims have changed. All of them are read again after the response."""
    dataset_ref, document = await _authenticate_sync(request, SCHEMA_REPORT, SCHEMA_NOT_ENABLED)
    if document.get("event") not in CLAIM_EVENTS:
        return Response(MessageDocument("Unknown sync event."), status_code=404)
    services: Services = request.app.state.services
    await services.identity_provider.claim_sync.request(dataset_ref)
    return Response(MessageDocument("Profile schema sync request accepted for processing."))


sync_routes = Router(
    "/t/{org:str}/cds/api/v1",
    route_handlers=[receive_profile_report, receive_schema_report],
    security=[{SECURITY_SCHEME: []}],
    tags=["Customer Data Service"],
)


async def _authenticate_sync(request: AnyRequest, body: Body, gate: str) -> tuple[DatasetRef, Object]:
    """The organisation and the report of a caller with valid credentials.

    The credentials are the deployment's or the organisation's own. Only the body names the organisation, so
    an invalid body is 401 for callers without the deployment's credentials.
    """
    services: Services = request.app.state.services
    given = basic_credentials(request.headers.get("authorization"))
    if given is None:
        raise _unauthenticated()
    trusted = services.identity_provider.servers.is_sync_caller(*given)
    try:
        document = await decode_object(request, body)
    except WireError:
        if trusted:
            raise
        raise _unauthenticated() from None
    handle = (document.get("orgHandle") or "").strip()
    dataset_ref = await services.directory.organisations.find(handle)
    if not trusted and (
        dataset_ref is None
        or not await services.identity_provider.servers.is_own_sync_caller(dataset_ref, *given)
    ):
        raise _unauthenticated()
    if not handle:
        raise wire_error(PROFILE_UPDATE_FAILED, "orgHandle is required.")
    if dataset_ref is None or not await _is_enabled(services, dataset_ref):
        raise wire_error(SERVICE_DISABLED, gate.format(org=handle))
    return dataset_ref, document


async def _is_enabled(services: Services, dataset_ref: DatasetRef) -> bool:
    return (await services.configurations.current(dataset_ref.dataset_id)).settings.cds_enabled


def _decode_report(document: Object) -> IdentityReport:
    event, claims = document.get("event") or "", document.get("claims") or {}
    return IdentityReport(
        kind=USER_EVENTS.get(event, "other"),
        name=event,
        user_id=(document.get("userId") or "").strip(),
        tracker=(document.get("profileCookie") or "").strip(),
        profile_id=decode_profile_id(document.get("profileId") or ""),
        claims=claims,
        verified=tuple(attribute for attribute in VERIFICATION_NAMES if _is_verified(claims, attribute)),
    )


def _is_verified(claims: Object, attribute: str) -> bool:
    """Whether a report says that a claim is verified. The standard claim says so only beside the value."""
    _, own = VERIFICATION_NAMES[attribute]
    is_named = own in claims or any(claim_key(uri) == attribute for uri in claims)
    return is_named and bool(is_verified_in(claims, attribute))


def _unauthenticated() -> WireError:
    return wire_error(UNAUTHORIZED, UNAUTHENTICATED, 401, headers={"WWW-Authenticate": "Basic"})
