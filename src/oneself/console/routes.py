"""Every route of the console, and how its pages answer errors. `api.app` mounts `ROUTES`."""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.types import ControllerRouterHandler, ExceptionHandlersMap

from oneself.console import (
    applications,
    attribute_values,
    attributes,
    audit_log,
    blocked_values,
    datasets,
    home,
    identity_attributes,
    identity_types,
    members,
    overview,
    password,
    privacy,
    profile_decisions,
    profile_graph,
    profile_joins,
    profile_lists,
    profile_search,
    profiles,
    rules,
    sample_data,
    sign_in,
    webhooks,
)
from oneself.console.context import NoSuchPage, NotAllowed, SignInNeeded, guard
from oneself.console.forms import FormRejected, FormRepeated, FormUnreadable
from oneself.console.profile_reading import NoSuchProfile
from oneself.console.query import InvalidParameter, without_parameter
from oneself.console.rendering import notice, static_response
from oneself.errors import PreconditionFailed, ServiceError
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
log = structlog.get_logger("oneself.console")


@get("/console/static/{name:str}", include_in_schema=False)
async def static(request: AnyRequest) -> AnyResponse:
    """A file of the pages."""
    found = static_response(request, request.path_params["name"])
    if found is None:
        raise NotFoundException
    return found


def _sign_in_first(request: AnyRequest, needed: SignInNeeded) -> AnyResponse:
    if request.headers.get("hx-request") == "true":
        # A script follows no redirect to another page; it loads the page that the header names.
        headers = {"HX-Redirect": "/console/", "Cache-Control": "no-store"}
        return Response(b"", status_code=200, headers=headers)
    return sign_in.start_sign_in(request, needed.path)


def _no_such_page(_: AnyRequest, __: NoSuchPage) -> AnyResponse:
    return notice(
        "There is no such page",
        "It was deleted or never existed, its address is wrong, or you have no role in the organisation.",
        status=404,
    )


def _invalid_parameter(request: AnyRequest, error: InvalidParameter) -> AnyResponse:
    link = (without_parameter(request, error.name), "Open the page without it")
    if error.is_required or request.method != "GET":
        link = (_list_of(request), "Go to the list")
    return notice(
        "The address of this page is not valid",
        error.sentence,
        status=400,
        link=link,
    )


def _not_allowed(_: AnyRequest, __: NotAllowed) -> AnyResponse:
    return notice("Your role does not allow this", "Ask an administrator of the organisation.", status=403)


def _form_rejected(_: AnyRequest, __: FormRejected) -> AnyResponse:
    return notice(
        "This form has expired", "Nothing was changed. Go back, load the page again, and send it.", status=403
    )


def _form_unreadable(_: AnyRequest, error: FormUnreadable) -> AnyResponse:
    return notice(
        "This form cannot be read", f"{error} Nothing was changed. Go back and mend it.", status=400
    )


def _form_repeated(request: AnyRequest, _: FormRepeated) -> AnyResponse:
    return notice(
        "You have sent this form already",
        "It was carried out, and nothing was changed twice.",
        status=409,
        link=(_list_of(request), "See what is stored now"),
    )


def _list_of(request: AnyRequest) -> str:
    """The first page of the section that a page belongs to. It shows what a form has changed."""
    return "/".join(request.url.path.split("/")[:5])


def _changed_meanwhile(_: AnyRequest, __: PreconditionFailed) -> AnyResponse:
    return notice(
        "Somebody else changed the settings at the same moment",
        "Nothing of yours was changed. Go back, load the page again, and send it.",
        status=409,
    )


def _unavailable(request: AnyRequest, error: ServiceError) -> AnyResponse:
    log.warning("not_answered", route=request.scope.get("path_template"), cause=type(error).__name__)
    return notice(
        "Temporarily unavailable",
        "The service is temporarily unavailable. Nothing was changed. Please try again.",
        status=503,
        headers={"Retry-After": str(error.retry_after_s)},
    )


HANDLERS: ExceptionHandlersMap = {
    SignInNeeded: _sign_in_first,
    NoSuchPage: _no_such_page,
    InvalidParameter: _invalid_parameter,
    NoSuchProfile: profiles.missing_profile,
    NotAllowed: _not_allowed,
    FormRejected: _form_rejected,
    FormRepeated: _form_repeated,
    FormUnreadable: _form_unreadable,
    PreconditionFailed: _changed_meanwhile,
    ServiceError: _unavailable,
}

#: The pages of one organisation.
OF_ORGANISATIONS: list[ControllerRouterHandler] = [
    *overview.ROUTES,
    *sample_data.ROUTES,
    *attributes.ROUTES,
    *attribute_values.ROUTES,
    *rules.ROUTES,
    *datasets.ROUTES,
    *identity_types.ROUTES,
    *identity_attributes.ROUTES,
    *blocked_values.ROUTES,
    *profile_search.ROUTES,
    *profiles.ROUTES,
    *profile_lists.ROUTES,
    *profile_joins.ROUTES,
    *profile_graph.ROUTES,
    *profile_decisions.ROUTES,
    *privacy.ROUTES,
    *webhooks.ROUTES,
    *applications.ROUTES,
    *members.ROUTES,
    *audit_log.ROUTES,
]

PAGES = Router(
    path="/",
    route_handlers=[
        Router(path="/", route_handlers=OF_ORGANISATIONS, guards=[guard]),
        *home.ROUTES,
        *password.ROUTES,
        sign_in.sign_in_page,
        sign_in.sign_in,
        sign_in.signed_in,
        sign_in.sign_out,
    ],
    exception_handlers=HANDLERS,
)

ROUTES: list[ControllerRouterHandler] = [static, PAGES]
