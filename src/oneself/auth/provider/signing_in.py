"""How a page signs somebody in, and how it answers what follows from that.

Invariants: a session begins only here. A browser in which somebody signed in is known from then on
(`web.known_browser`).
"""

from __future__ import annotations

from litestar.datastructures import Cookie
from litestar.response import Redirect

from oneself.auth.provider.authorize import (
    AuthorizationDenied,
    Authorizations,
    RedirectToApplication,
    SignInRequired,
)
from oneself.auth.provider.endpoints import directory_of
from oneself.auth.provider.page_context import AnyResponse, PageContext
from oneself.auth.provider.pages import message
from oneself.auth.provider.token_endpoint import OAuth
from oneself.service.directory.accounts import Account
from oneself.service.directory.sign_in import BrowserSession
from oneself.service.directory.throttle import Subject
from oneself.service.directory.usernames import sign_in_key
from oneself.web.forms import AnyRequest
from oneself.web.known_browser import KnownBrowsers
from oneself.web.sessions import session_cookie, with_cookies


async def start_session(context: PageContext, account: Account) -> AnyResponse:
    """Create a session after a sign-in, and redirect to the application or the account page."""
    directory, dataset_ref = directory_of(context.request), context.dataset_ref
    session, cookies = await begin_session(context, account, context.page_request.session)
    if context.has_request:
        response = render_outcome(
            context, await authorizations_of(context.request).complete(context.page_request, session)
        )
    else:
        # Without an application nobody has checked which browser asked, so no tracker counts.
        await directory.sign_ins.record_sign_in(dataset_ref, None, account)
        response = Redirect(f"/t/{dataset_ref.handle}/accounts", status_code=303)
    return with_cookies(response, *cookies)


async def begin_session(
    context: PageContext, account: Account, previous: BrowserSession | None = None
) -> tuple[BrowserSession, list[Cookie]]:
    """Create a session of this browser, and return the cookies that it needs.

    `previous`: the session that the browser has; None: it ended.
    """
    sign_ins = directory_of(context.request).sign_ins
    session, token = await sign_ins.create_session(context.dataset_ref, account, previous)
    scope, path, user_id = context.dataset_ref.handle, context.cookie_path, str(account.user_id)
    known = _known_browsers(context).issue(context.request, scope, user_id, path)
    return session, [session_cookie(context.request, path, token), known]


def account_subject(context: PageContext, username: str, sole: Account | None) -> Subject:
    """Whose wrong passwords are counted: those of a known browser, else those of all others.

    `sole`: the only account that the username leads to. Where there are several, no browser is known: that
    somebody signed in to one of them shows nothing about the others. Usernames that are too long for an
    account share one counter.
    """
    key = sign_in_key(username) or ""
    if sole is not None:
        known = _known_browsers(context).find(context.request, context.dataset_ref.handle, str(sole.user_id))
        if known is not None:
            return "device", f"{known} {key}"
    return "account", key


def _known_browsers(context: PageContext) -> KnownBrowsers:
    return KnownBrowsers(context.request.app.state.services.secret_box)


def render_outcome(
    context: PageContext, outcome: RedirectToApplication | SignInRequired | AuthorizationDenied
) -> AnyResponse:
    match outcome:
        case RedirectToApplication(location):
            return redirect(context, location)
        case SignInRequired(template):
            return Redirect(context.at(f"accounts/{template}"), status_code=302)
        case AuthorizationDenied(error, description):
            return message(
                context.dataset_ref.handle,
                "This link does not work",
                "The application that sent you here made an invalid request. "
                "Go back to it and try again. If that does not help, contact its owner.",
                status=400,
                detail=f"{error}: {description}",
            )


def redirect(context: PageContext, location: str) -> AnyResponse:
    """Redirect the browser without a `Referer` header."""
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Redirect(location, status_code=303 if context.request.method == "POST" else 302, headers=headers)


def authorizations_of(request: AnyRequest) -> Authorizations:
    directory = directory_of(request)
    return Authorizations(directory, OAuth(directory))
