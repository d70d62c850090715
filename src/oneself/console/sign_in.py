"""Signing in and out of the console: authorization code with PKCE at the server of the console.

    /console/…                    no session: a state and a verifier in a cookie, and on to
    /console/oauth2/authorize     the sign-in page; a right password gives a code, and on to
    /console/signed-in            state and verifier are compared, the code becomes the session

Invariants: a sign-in writes no observation. Wrong passwords are counted as those of accounts. A session that
the browser had ends with the next sign-in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from oneself.auth.provider.console_server import (
    AUTHORIZE_PATH,
    CLIENT_ID,
    REDIRECT_PATH,
    authorize,
    check_authorize_request,
    redeem,
)
from oneself.console.context import COOKIE_PATH, SESSION_COOKIE, ConsoleContext, console_context, guard
from oneself.console.forms import checked_form
from oneself.console.rendering import html, notice
from oneself.errors import InvalidInput
from oneself.service.crypto import new_token
from oneself.service.directory.console_sessions import CONSOLE
from oneself.service.directory.console_users import ConsoleUser
from oneself.service.directory.throttle import Subject
from oneself.services import Services
from oneself.web.csrf import CsrfTokens
from oneself.web.forms import (
    FORM_BYTES_MAX,
    AnyRequest,
    InvalidForm,
    Parameters,
    form_of,
    query_of,
    sender_of,
)
from oneself.web.known_browser import KnownBrowsers
from oneself.web.sessions import browser_cookie, with_cookies

AnyResponse = Response[Any]
REQUEST_COOKIE = "oneself_console_request"
REQUEST_LIFE_S = 600
PATH_CHARACTERS_MAX = 1_000
#: What the CSRF tokens and known browsers of the sign-in page belong to; no organisation is called so.
SCOPE = "console:"
CREDENTIALS_WRONG = "The name or password is incorrect."
FORM_EXPIRED = "This form expired, or cookies are turned off. Please try again."


def start_sign_in(request: AnyRequest, path: str) -> AnyResponse:
    """Send the browser to the sign-in page. `path`: the page of the console to return to."""
    state, verifier = new_token(), new_token()
    challenge = _encoded(hashlib.sha256(verifier.encode()).digest())
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_PATH,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    back = path if len(path) <= PATH_CHARACTERS_MAX else "/console/"
    value = f"{state}.{verifier}.{_encoded(back.encode())}"
    cookie = browser_cookie(request, REQUEST_COOKIE, value, COOKIE_PATH, max_age_s=REQUEST_LIFE_S)
    response = Redirect(f"{AUTHORIZE_PATH}?{urlencode(query)}", status_code=303, headers=_UNCACHED)
    return with_cookies(response, cookie)


@get(AUTHORIZE_PATH, include_in_schema=False)
async def sign_in_page(request: AnyRequest) -> AnyResponse:
    """Show the sign-in page for an authorization request of the console."""
    parameters = _authorization_request(request)
    return _invalid_link() if parameters is None else _form(request, parameters)


@post(AUTHORIZE_PATH, request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def sign_in(request: AnyRequest) -> AnyResponse:
    """Sign in with name and password."""
    parameters, services = _authorization_request(request), _services(request)
    if parameters is None:
        return _invalid_link()
    try:
        form = await form_of(request)
    except InvalidForm:
        form = {}
    username, password = form.get("username", [""])[0].strip(), form.get("password", [""])[0]
    if not CsrfTokens(services.secret_box).is_valid(request, SCOPE, form):
        return _form(request, parameters, FORM_EXPIRED, status=403)
    subjects = await password_subjects(request, username)
    throttle = services.directory.throttle
    if wait_s := await throttle.acquire(CONSOLE, *subjects):
        return _form(request, parameters, wait_sentence(wait_s), username, status=429, wait_s=wait_s)
    user = await services.directory.console_users.authenticate(username, password)
    if user is None:
        return _form(request, parameters, CREDENTIALS_WRONG, username, status=401)
    await throttle.give_back(CONSOLE, *subjects)
    await throttle.clear(CONSOLE, subjects[0])
    return await _send_code(request, parameters, user)


@get(REDIRECT_PATH, include_in_schema=False)
async def signed_in(request: AnyRequest) -> AnyResponse:
    """Redeem the code of this browser's authorization request, and begin the session."""
    state, _, rest = request.cookies.get(REQUEST_COOKIE, "").partition(".")
    verifier, _, encoded = rest.partition(".")
    sent = request.query_params.get("state", "")
    sessions = _services(request).directory.console_sessions
    token = None
    if state and hmac.compare_digest(state.encode(), sent.encode()):
        token = await redeem(sessions, request.query_params.get("code", ""), verifier)
    if token is None:
        return _invalid_link()
    if former := request.cookies.get(SESSION_COOKIE):
        await sessions.end(former)
    return with_cookies(
        Redirect(_path_back(encoded), status_code=303, headers=_UNCACHED),
        browser_cookie(request, SESSION_COOKIE, token, COOKIE_PATH),
        browser_cookie(request, REQUEST_COOKIE, "", COOKIE_PATH, max_age_s=0),
    )


@post("/console/sign-out", request_max_body_size=FORM_BYTES_MAX, guards=[guard], include_in_schema=False)
async def sign_out(request: AnyRequest) -> AnyResponse:
    """End the session."""
    context: ConsoleContext = console_context(request)
    await checked_form(context)
    await context.services.directory.console_sessions.end(request.cookies.get(SESSION_COOKIE, ""))
    rendered = notice(
        "You are signed out", "You can close this page.", status=200, link=("/console/", "Sign in again")
    )
    return with_cookies(rendered, browser_cookie(request, SESSION_COOKIE, "", COOKIE_PATH, max_age_s=0))


_UNCACHED = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


async def _send_code(request: AnyRequest, parameters: Parameters, user: ConsoleUser) -> AnyResponse:
    services = _services(request)
    location = await authorize(services.directory.console_sessions, parameters, user)
    known = KnownBrowsers(services.secret_box).issue(request, SCOPE, str(user.console_user_id), COOKIE_PATH)
    return with_cookies(Redirect(location, status_code=303, headers=_UNCACHED), known)


def wait_sentence(wait_s: int) -> str:
    """That there were too many wrong passwords, and for how long that holds."""
    minutes = -(-wait_s // 60)
    return f"Too many failed attempts. Try again in {minutes} minute{'s' if minutes > 1 else ''}."


async def password_subjects(request: AnyRequest, username: str) -> tuple[Subject, Subject]:
    """Whose wrong passwords are counted: of a known browser, or of all others; and the network."""
    services = _services(request)
    user_id = await services.directory.console_users.find(username)
    known: Cookie | str | None = None
    if user_id is not None:
        known = KnownBrowsers(services.secret_box).find(request, SCOPE, str(user_id))
    # Names that are too long for a user share one counter, as those do that differ in case alone.
    key = username.lower() if len(username) <= 100 else ""
    subject: Subject = ("device", f"{known} {key}") if known else ("account", key)
    return subject, ("address", sender_of(request))


def _form(
    request: AnyRequest,
    parameters: Parameters,
    problem: str = "",
    username: str = "",
    *,
    status: int = 200,
    wait_s: int = 0,
) -> AnyResponse:
    csrf, cookie = CsrfTokens(_services(request).secret_box).issue(request, SCOPE, COOKIE_PATH)
    action = f"{AUTHORIZE_PATH}?{urlencode(parameters, doseq=True)}"
    headers = {"Retry-After": str(wait_s)} if wait_s else None
    values = {"action": action, "csrf": csrf, "problem": problem, "username": username}
    return with_cookies(html("sign_in.html", status=status, headers=headers, **values), cookie)


def _authorization_request(request: AnyRequest) -> Parameters | None:
    """The parameters of an authorization request of the console; None if they are not valid."""
    try:
        parameters = query_of(request)
        check_authorize_request(parameters)
    except (InvalidForm, InvalidInput):
        return None
    return parameters


def _invalid_link() -> AnyResponse:
    return notice(
        "This sign-in has expired",
        "It was started in another browser or tab, too long ago, or used already. Please start again.",
        status=400,
        link=("/console/", "Sign in"),
    )


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _path_back(encoded: str) -> str:
    """The page to return to: a path of the console, whatever the cookie contains."""
    try:
        path = base64.urlsafe_b64decode(encoded.encode() + b"==").decode()
    except (binascii.Error, UnicodeDecodeError):
        return "/console/"
    is_ours = path.startswith("/console/") and path.isprintable() and "\\" not in path and "//" not in path
    return path if is_ours else "/console/"


def _services(request: AnyRequest) -> Services:
    services: Services = request.app.state.services
    return services
