"""Routes for browsers: authorize, sign in, register, account, sign out. `endpoints` has the routes for
clients.

Invariants: a form is accepted only if this service issued it to this browser. Only this module renders the
outcomes of `authorize` and `logout`. `api.app` mounts `ROUTES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec
from litestar import Response, Router, get, post, route
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from oneself.auth.provider import (
    address_change_pages,
    address_pages,
    change_pages,
    endpoints,
    mobile_pages,
    outbox_page,
    recovery_pages,
)
from oneself.auth.provider.address_pages import ask_for_proof
from oneself.auth.provider.authorize import (
    AuthorizationDenied,
    RedirectToApplication,
)
from oneself.auth.provider.endpoints import directory_of, organisation_of
from oneself.auth.provider.logout import ConfirmationPage, Logouts, SignedOut
from oneself.auth.provider.mail_texts import RECOVER_PATH
from oneself.auth.provider.outbox_page import outbox_link
from oneself.auth.provider.page_context import (
    FORM_EXPIRED,
    AnyResponse,
    PageContext,
    field,
    form_page,
    invalid_request_page,
    page_context,
    retry_sentence,
    submitted_form,
    unavailable,
)
from oneself.auth.provider.pages import STYLESHEET, account_fields, message, name_of, stylesheet
from oneself.auth.provider.proof_first import needs_proof, wait_for_proof
from oneself.auth.provider.signing_in import (
    account_subject,
    authorizations_of,
    redirect,
    render_outcome,
    start_session,
)
from oneself.auth.provider.token_endpoint import OAuth
from oneself.errors import ServiceError
from oneself.service.directory.accounts import (
    ADDRESS_CLAIM,
    InvalidRegistration,
    Registration,
)
from oneself.service.directory.throttle import Subject
from oneself.web.forms import FORM_BYTES_MAX, AnyRequest, InvalidForm, form_of, sender_of
from oneself.web.sessions import session_cookie, with_cookies

REGISTRATION_FIELDS = ("email", "given_name", "last_name", "mobile")
CREDENTIALS_WRONG = "The e-mail address or password is incorrect."
#: The names of form fields for the fields of a Registration with another name.
FORM_FIELD_OF = {"username": "email"}


@get("/t/{org:str}/oauth2/authorize", include_in_schema=False)
async def authorize(request: AnyRequest) -> AnyResponse:
    """Authorization endpoint (RFC 6749 §3.1)."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    return render_outcome(context, await authorizations_of(request).authorize(context.page_request))


@post("/t/{org:str}/oauth2/authorize", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def authorize_by_post(request: AnyRequest) -> AnyResponse:
    """Redirect an authorization request by POST to GET.

    Browsers send a cross-site POST without the session cookie.
    """
    dataset_ref = await organisation_of(request)
    try:
        form = await form_of(request)
    except InvalidForm as problem:
        return invalid_request_page(dataset_ref, problem)
    return Redirect(
        f"/t/{dataset_ref.handle}/oauth2/authorize?{urlencode(form, doseq=True)}", status_code=303
    )


@get("/t/{org:str}/accounts/login", include_in_schema=False)
async def login_page(request: AnyRequest) -> AnyResponse:
    """Show the sign-in page."""
    context = await page_context(request)
    return context if isinstance(context, Response) else await _sign_in_form(context, "login")


@post("/t/{org:str}/accounts/login", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def login(request: AnyRequest) -> AnyResponse:
    """Sign in with e-mail address and password."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    form = await submitted_form(context)
    values = {"email": field(form, "email", "username")}
    if form is None:
        return await _sign_in_form(context, "login", {"form": FORM_EXPIRED}, status=403)
    directory, dataset_ref = directory_of(request), context.dataset_ref
    sole = await directory.accounts.find_sole(dataset_ref, values["email"])
    subject = account_subject(context, values["email"], sole)
    address_subject: Subject = ("address", sender_of(request))
    throttle = directory.throttle
    if wait_s := await throttle.acquire(dataset_ref, subject, address_subject):
        return await _sign_in_form(
            context, "login", {"form": retry_sentence(wait_s)}, values, status=429, wait_s=wait_s
        )
    account = await directory.accounts.authenticate(dataset_ref, values["email"], field(form, "password"))
    if account is None:
        return await _sign_in_form(context, "login", {"form": CREDENTIALS_WRONG}, values, status=401)
    await throttle.give_back(dataset_ref, subject, address_subject)
    if sole is not None:
        # Otherwise whoever has an account of this address could clear the count of guesses at the others.
        await throttle.clear(dataset_ref, subject)
    if await needs_proof(context, account):
        return await wait_for_proof(context, account)
    return await start_session(context, account)


@get("/t/{org:str}/accounts/register", include_in_schema=False)
async def register_page(request: AnyRequest) -> AnyResponse:
    """Show the registration page."""
    context = await page_context(request)
    return context if isinstance(context, Response) else await _sign_in_form(context, "register")


@post("/t/{org:str}/accounts/register", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def register(request: AnyRequest) -> AnyResponse:
    """Create an account and sign the user in."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    form = await submitted_form(context)
    values = {name: field(form, name) for name in REGISTRATION_FIELDS}
    values["email"] = field(form, "email", "username")
    if form is None:
        return await _sign_in_form(context, "register", {"form": FORM_EXPIRED}, status=403)
    directory = directory_of(request)
    address_subject: Subject = ("address", sender_of(request))
    registrations: Subject = ("registration", sender_of(request))
    throttle = directory.throttle
    wait_s = await throttle.retry_after_s(context.dataset_ref, address_subject)
    if wait_s := wait_s or await throttle.acquire(context.dataset_ref, registrations):
        return await _sign_in_form(
            context, "register", {"form": retry_sentence(wait_s)}, values, status=429, wait_s=wait_s
        )
    try:
        account = await directory.accounts.register(context.dataset_ref, _registration(form, values))
    except InvalidRegistration as rejected:
        await throttle.give_back(context.dataset_ref, registrations)
        problems = {FORM_FIELD_OF.get(field, field): problem for field, problem in rejected.problems.items()}
        return await _sign_in_form(context, "register", problems, values, status=400)
    if await needs_proof(context, account):
        return await wait_for_proof(context, account)
    await ask_for_proof(context, account)
    return await start_session(context, account)


@get("/t/{org:str}/accounts", include_in_schema=False)
async def account_page(request: AnyRequest) -> AnyResponse:
    """Who is signed in here."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    if context.page_request.session is None:
        return Redirect(context.at("accounts/login"), status_code=303)
    account = context.page_request.session.account
    unproven = None if ADDRESS_CLAIM in account.verified else account.claims.get(ADDRESS_CLAIM)
    can_prove = await directory_of(request).address_proofs.is_accepted(context.dataset_ref)
    return form_page(
        context,
        "account.html",
        action=context.at("oauth2/logout"),
        name=name_of(account),
        fields=account_fields(account),
        unproven=unproven if can_prove else None,
        send_action=f"{context.cookie_path}/{address_pages.SEND_PATH}",
        outbox=outbox_link(request, context.dataset_ref),
        changes=await change_pages.links_of(context, account),
    )


@route(
    "/t/{org:str}/oauth2/logout",
    http_method=["GET", "POST"],
    request_max_body_size=FORM_BYTES_MAX,
    include_in_schema=False,
)
async def logout(request: AnyRequest) -> AnyResponse:
    """Logout endpoint (OpenID Connect RP-initiated logout). The buttons of the pages also use it."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    form = await submitted_form(context) if request.method == "POST" else None
    if request.method == "POST" and form is None:
        try:
            context = _with_parameters(context, await form_of(request))
        except InvalidForm as problem:
            return invalid_request_page(context.dataset_ref, problem)
    logouts = Logouts(directory_of(request), OAuth(directory_of(request)))
    return _signed_out(context, await logouts.log_out(context.page_request, confirmed=form is not None))


@get(f"/t/{{org:str}}/accounts/{STYLESHEET}", include_in_schema=False)
async def style(request: AnyRequest) -> AnyResponse:
    """Return the stylesheet."""
    return stylesheet(request)


def _with_parameters(context: PageContext, added: Mapping[str, list[str]]) -> PageContext:
    parameters = {**context.page_request.parameters, **added}
    return PageContext(context.request, msgspec.structs.replace(context.page_request, parameters=parameters))


async def _sign_in_form(
    context: PageContext,
    template: str,
    problems: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    *,
    status: int = 200,
    wait_s: int = 0,
) -> AnyResponse:
    """Render the sign-in or registration page. An error of the authorization request takes precedence."""
    sign_in = (
        await authorizations_of(context.request).sign_in_page(context.page_request)
        if context.has_request
        else None
    )
    if isinstance(sign_in, RedirectToApplication | AuthorizationDenied):
        return render_outcome(context, sign_in)
    alternative = "register" if template == "login" else "login"
    return form_page(
        context,
        f"{template}.html",
        problems,
        status=status,
        wait_s=wait_s,
        redirect_uri=sign_in.redirect_uri if sign_in else None,
        application=sign_in.application.name if sign_in else None,
        values=values or {"email": sign_in.login_hint if sign_in else ""},
        action=context.at(f"accounts/{template}"),
        alternative=context.at(f"accounts/{alternative}"),
        recovery=context.at(RECOVER_PATH),
    )


def _signed_out(
    context: PageContext, outcome: ConfirmationPage | SignedOut | AuthorizationDenied
) -> AnyResponse:
    match outcome:
        case ConfirmationPage(application):
            session = context.page_request.session
            return form_page(
                context, "confirm.html", application=application, action=context.at("oauth2/logout"),
                redirect_uri=context.page_request.first("post_logout_redirect_uri"),
                name=name_of(session.account) if session else "",
            )  # fmt: skip
        case SignedOut(location, ended):
            response: AnyResponse = (
                redirect(context, location)
                if location
                else message(context.dataset_ref.handle, "You are signed out", "You can close this page.")
            )
            cookies = [session_cookie(context.request, context.cookie_path, None)] if ended else []
            return with_cookies(response, *cookies)
        case AuthorizationDenied():
            return render_outcome(context, outcome)


def _registration(form: Mapping[str, list[str]], values: Mapping[str, str]) -> Registration:
    return Registration(
        username=values["email"],
        password=field(form, "password"),
        given_name=values["given_name"],
        last_name=values["last_name"],
        mobile=values["mobile"],
    )


PAGES = Router(
    path="/",
    route_handlers=[
        authorize,
        authorize_by_post,
        login_page,
        login,
        register_page,
        register,
        account_page,
        logout,
        style,
        *address_pages.ROUTES,
        *recovery_pages.ROUTES,
        *change_pages.ROUTES,
        *address_change_pages.ROUTES,
        *mobile_pages.ROUTES,
        *outbox_page.ROUTES,
    ],
    exception_handlers={ServiceError: unavailable},
)

ROUTES: list[ControllerRouterHandler] = [
    endpoints.token,
    endpoints.introspect,
    endpoints.revoke,
    endpoints.userinfo,
    endpoints.jwks,
    endpoints.discovery,
    PAGES,
]
