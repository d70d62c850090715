"""What the pages of an organisation have in common: the request, its form, and how a page answers.

Invariants: a form is accepted only if this service issued it to this browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response

from oneself.auth.provider.authorize import AuthorizeRequest
from oneself.auth.provider.endpoints import directory_of, organisation_of
from oneself.auth.provider.pages import message, page
from oneself.errors import ServiceError
from oneself.service.context import DatasetRef
from oneself.web.csrf import CsrfTokens
from oneself.web.forms import AnyRequest, InvalidForm, form_of, query_of
from oneself.web.sessions import SESSION_COOKIE, with_cookies

AnyResponse = Response[Any]
#: The cookie with the profile tracker. The customer data service sets it (docs/wire/cds.md §5.1).
PROFILE_COOKIE = "cds_profile"
FORM_EXPIRED = "This form expired, or cookies are turned off. Please try again."


class PageContext(msgspec.Struct, frozen=True):
    """The request for a page, with the authorization request in its URL."""

    request: AnyRequest
    page_request: AuthorizeRequest

    @property
    def dataset_ref(self) -> DatasetRef:
        """The organisation of the page."""
        return self.page_request.dataset_ref

    def at(self, path: str) -> str:
        """Return the URL of another page with the same parameters."""
        query = urlencode(self.page_request.parameters, doseq=True)
        return f"/t/{self.dataset_ref.handle}/{path}" + (f"?{query}" if query else "")

    @property
    def cookie_path(self) -> str:
        """The path of cookies: the pages of this organisation."""
        return f"/t/{self.dataset_ref.handle}"

    @property
    def has_request(self) -> bool:
        """Whether an application sent the browser here."""
        return self.page_request.first("client_id") is not None


async def page_context(request: AnyRequest) -> PageContext | AnyResponse:
    """Read the request for a page; an error page if its query is invalid."""
    dataset_ref = await organisation_of(request)
    try:
        parameters = query_of(request)
    except InvalidForm as problem:
        return invalid_request_page(dataset_ref, problem)
    session = await directory_of(request).sign_ins.find(dataset_ref, request.cookies.get(SESSION_COOKIE))
    return PageContext(
        request, AuthorizeRequest(dataset_ref, parameters, session, request.cookies.get(PROFILE_COOKIE))
    )


async def submitted_form(context: PageContext) -> dict[str, list[str]] | None:
    """Return the form, or None if this service did not issue it to this browser."""
    try:
        form = await form_of(context.request)
    except InvalidForm:
        return None
    is_valid = csrf_tokens(context.request).is_valid(context.request, context.dataset_ref.handle, form)
    return form if is_valid else None


def form_page(
    context: PageContext,
    template: str,
    problems: Mapping[str, str] | None = None,
    *,
    wait_s: int = 0,
    **values: Any,
) -> AnyResponse:
    """Render a page with forms, which only this browser can send.

    `problems`: field → sentence. `wait_s`: seconds until the form is accepted again.
    """
    handle = context.dataset_ref.handle
    csrf, cookie = csrf_tokens(context.request).issue(context.request, handle, context.cookie_path)
    headers = {"Retry-After": str(wait_s)} if wait_s else None
    rendered = page(template, handle, headers=headers, problems=dict(problems or {}), csrf=csrf, **values)
    return with_cookies(rendered, cookie)


def csrf_tokens(request: AnyRequest) -> CsrfTokens:
    """Return what issues and checks the tokens of forms."""
    return CsrfTokens(request.app.state.services.secret_box)


def field(form: Mapping[str, list[str]] | None, *names: str) -> str:
    """The value of the first of these fields that the form contains; empty if none."""
    return next((form[name][0] for name in names if form and name in form), "")


def retry_sentence(wait_s: int, what: str = "failed attempts") -> str:
    """Say that there were too many of something, and when to try again."""
    minutes = -(-wait_s // 60)
    return f"Too many {what}. Try again in {minutes} minute{'s' if minutes > 1 else ''}."


def invalid_request_page(dataset_ref: DatasetRef, problem: InvalidForm) -> AnyResponse:
    """Render a page about an invalid query or form."""
    return message(dataset_ref.handle, "This link does not work", str(problem), status=400)


def unavailable(request: AnyRequest, error: ServiceError) -> AnyResponse:
    """Render a ServiceError as a page, because a user reads it."""
    return message(
        request.path_params.get("org", ""),
        "Temporarily unavailable",
        "The service is temporarily unavailable. Nothing was changed. Please try again.",
        status=503,
        headers={"Retry-After": str(error.retry_after_s)},
    )
