"""The authorization endpoint, without HTTP (RFC 6749 §4.1, OpenID Connect Core §3.1).

    unknown application or redirect URI    error page, no redirect
    other errors                           redirect to the application with `error` and `state`
    no session, or the prompt requires it  sign-in page (prompt=create: registration page)
    session                                redirect to the application with a code

Invariants: the parameters of the request are in the URL of the pages and are validated again at each step.
The server therefore stores no state, and changing a parameter has no advantage. `routes` reads the forms.
A sign-in changes profiles only when the application redeems the code (`token_endpoint`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

import msgspec
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from authlib.oidc.core.grants.util import is_openid_scope, validate_request_prompt

from oneself.auth.provider.authlib_models import OAuthContext, OAuthRequest, with_parameters
from oneself.auth.provider.authlib_server import CodeGrant, Provider, validate_authorize_request
from oneself.auth.provider.token_endpoint import TRACKER_PARAMETER, OAuth
from oneself.service.context import DatasetRef
from oneself.service.directory.applications import Application
from oneself.service.directory.grants import GrantRequest
from oneself.service.directory.sign_in import BrowserSession, well_formed_trackers
from oneself.services import DirectoryServices

Parameters = Mapping[str, list[str]]


class AuthorizeRequest(msgspec.Struct, frozen=True):
    """A request of a browser: its parameters, its session if a user is signed in, and its profile cookie."""

    dataset_ref: DatasetRef
    parameters: Parameters
    session: BrowserSession | None = None
    cookie_tracker: str | None = None

    def first(self, name: str) -> str | None:
        """Return the first value of a parameter."""
        values = self.parameters.get(name)
        return values[0] if values else None

    @property
    def trackers(self) -> tuple[str, ...]:
        """The profile trackers: from the cookie, then from the application (docs/wire/cds.md §14.2)."""
        return tuple(filter(None, (self.cookie_tracker, self.first(TRACKER_PARAMETER))))


class RedirectToApplication(msgspec.Struct, frozen=True):
    """Redirect the browser to the application."""

    location: str


class SignInRequired(msgspec.Struct, frozen=True):
    """Show a page to the user first. `redirect_uri`: of the application, where the browser returns."""

    page: Literal["login", "register"]
    application: Application
    redirect_uri: str
    login_hint: str = ""


class AuthorizationDenied(msgspec.Struct, frozen=True):
    """Show the error to the user, because it may not be sent to the application."""

    error: str
    description: str


Outcome = RedirectToApplication | SignInRequired | AuthorizationDenied


class Authorizations:
    """Handles authorization requests of all organisations."""

    def __init__(self, directory: DirectoryServices, oauth: OAuth) -> None:
        self._directory = directory
        self._oauth = oauth

    async def authorize(self, page_request: AuthorizeRequest) -> Outcome:
        """Return the outcome of an authorization request."""
        provider = Provider(await self._load_context(page_request))
        try:
            return await self._authorize(page_request, provider)
        except OAuth2Error as error:
            return _error_response(page_request, provider, error)

    async def sign_in_page(
        self, page_request: AuthorizeRequest
    ) -> SignInRequired | RedirectToApplication | AuthorizationDenied:
        """Validate the request and return the page to show, even if a user is signed in."""
        provider = Provider(await self._load_context(page_request))
        try:
            grant = validate_authorize_request(provider, _request(page_request, without_prompt=True), None)
        except OAuth2Error as error:
            return _error_response(page_request, provider, error)
        return _sign_in_page(page_request, provider, grant)

    async def complete(
        self, page_request: AuthorizeRequest, session: BrowserSession
    ) -> RedirectToApplication | AuthorizationDenied:
        """Return to the application with a code, after the user signed in."""
        provider = Provider(await self._load_context(page_request))
        request = _request(page_request, without_prompt=True)
        try:
            grant = validate_authorize_request(provider, request, session.account)
            return await self._grant(page_request, provider, request, grant, session)
        except OAuth2Error as error:
            return _error_response(page_request, provider, error)

    async def _authorize(self, page_request: AuthorizeRequest, provider: Provider) -> Outcome:
        request = _request(page_request)
        session = page_request.session
        if session is not None and _is_older_than(session, page_request.first("max_age")):
            session = None
        grant = validate_authorize_request(provider, request, session.account if session else None)
        _check_extensions(page_request, grant.redirect_uri)
        if not is_openid_scope(request.payload.scope or ""):
            # Authlib validates `prompt` only for the scope `openid`; here it applies to every request.
            validate_request_prompt(grant, grant.redirect_uri)
        if (
            session is None
            or grant.prompt in ("login", "select_account")
            or page_request.first("prompt") == "create"
        ):
            return _sign_in_page(page_request, provider, grant)
        return await self._grant(page_request, provider, request, grant, session)

    async def _grant(
        self,
        page_request: AuthorizeRequest,
        provider: Provider,
        request: OAuthRequest,
        grant: CodeGrant,
        session: BrowserSession,
    ) -> RedirectToApplication:
        application = _application(provider)
        directory = self._directory
        grant_request = GrantRequest(
            client_id=application.client_id,
            scope=request.scope,
            session_id=session.session_id,
            auth_time=session.auth_time,
            nonce=page_request.first("nonce"),
            redirect_uri=page_request.first("redirect_uri"),
            code_challenge=page_request.first("code_challenge"),
            code_challenge_method=page_request.first("code_challenge_method"),
            trackers=well_formed_trackers(page_request.trackers),
        )
        grant.code = await directory.grants.create(page_request.dataset_ref, session.account, grant_request)
        response = provider.create_authorization_response(request, request.user, grant)
        return _redirect(provider, response.location or "")

    async def _load_context(self, page_request: AuthorizeRequest) -> OAuthContext:
        client_id = page_request.first("client_id") or ""
        application = await self._directory.applications.find(page_request.dataset_ref, client_id)
        return await self._oauth.load_context(page_request.dataset_ref, application)


def _request(page_request: AuthorizeRequest, *, without_prompt: bool = False) -> OAuthRequest:
    omitted = ("prompt", "max_age") if without_prompt else ()
    parameters = {name: values for name, values in page_request.parameters.items() if name not in omitted}
    return OAuthRequest("GET", parameters)


def _sign_in_page(page_request: AuthorizeRequest, provider: Provider, grant: CodeGrant) -> SignInRequired:
    page: Literal["login", "register"] = "register" if page_request.first("prompt") == "create" else "login"
    return SignInRequired(
        page, _application(provider), grant.redirect_uri, (page_request.first("login_hint") or "")[:254]
    )


def _error_response(
    page_request: AuthorizeRequest, provider: Provider, error: OAuth2Error
) -> RedirectToApplication | AuthorizationDenied:
    """Send the error to the application if the redirect URI is valid, else show it to the user."""
    error.state = page_request.first("state")
    location = provider.error_response(error).location
    if location is None:
        return AuthorizationDenied(error.error, error.get_error_description() or "The request is invalid.")
    return _redirect(provider, location)


def _redirect(provider: Provider, location: str) -> RedirectToApplication:
    # RFC 9207: `iss` identifies the authorization server.
    return RedirectToApplication(with_parameters(location, iss=provider.context.issuer))


def _application(provider: Provider) -> Application:
    application = provider.context.application
    assert application is not None, "Authlib accepts no request without a client"
    return application


def _check_extensions(page_request: AuthorizeRequest, redirect_uri: str) -> None:
    """Reject unsupported parameters instead of ignoring them. Raises OAuth2Error."""
    if page_request.first("response_mode") not in (None, "", "query"):
        raise InvalidRequestError("The response_mode must be query.", redirect_uri=redirect_uri)
    for parameter in ("request", "request_uri"):
        if page_request.first(parameter):
            raise OAuth2Error(
                error=f"{parameter}_not_supported",
                description=f"The parameter {parameter} is not supported.",
                redirect_uri=redirect_uri,
            )
    max_age = page_request.first("max_age")
    if max_age and not max_age.isdecimal():
        raise InvalidRequestError("The max_age must be a number of seconds.", redirect_uri=redirect_uri)


def _is_older_than(session: BrowserSession, max_age: str | None) -> bool:
    if not max_age or not max_age.isdecimal():
        return False
    return time.time() - session.auth_time / 1_000_000 > int(max_age[:18])
