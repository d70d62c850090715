"""The authorize request, from the application's redirect to the one back (RFC 6749 §4.1, OIDC Core §3.1).

    unknown application or redirect URI   an error page; the browser is sent nowhere
    anything else that is wrong           back to the application, with error and state
    nobody is signed in, or must be asked the sign-in page (prompt=create: the registration page)
    somebody is signed in                 the profile is stamped, then back with a code

Law of this module: the request's parameters travel in the URL of the pages and are judged again at each
step, so that nothing has to be remembered and a changed parameter gains nothing. The person's answers come
from `pages`; what a sign-in does to profiles is `service.sign_in`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

import msgspec
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from authlib.oidc.core.grants.util import is_openid_scope, validate_request_prompt

from oneself.auth.provider.authlib_models import OAuthContext, OAuthRequest, with_parameters
from oneself.auth.provider.authlib_server import CodeGrant, Provider, judge_authorize_request
from oneself.auth.provider.token_endpoint import OAuth
from oneself.service.context import DatasetRef
from oneself.service.directory.applications import Application
from oneself.service.directory.grants import GrantRequest
from oneself.service.directory.sign_in import BrowserSession
from oneself.services import DirectoryServices

TRACKER_PARAMETER = "anonymous_profile_tracker"
Parameters = Mapping[str, list[str]]


class AuthorizeRequest(msgspec.Struct, frozen=True):
    """A browser at one of our doors: the request's parameters, who is signed in, its profile cookie."""

    dataset_ref: DatasetRef
    parameters: Parameters
    session: BrowserSession | None = None
    cookie_tracker: str | None = None

    def first(self, name: str) -> str | None:
        values = self.parameters.get(name)
        return values[0] if values else None

    @property
    def trackers(self) -> tuple[str, ...]:
        """The browser's cookie, then what the application passed on (wire/cds §14.2)."""
        return tuple(t for t in (self.cookie_tracker, self.first(TRACKER_PARAMETER)) if t)


class SendBack(msgspec.Struct, frozen=True):
    """Redirect the browser to the application."""

    location: str


class SignInNeeded(msgspec.Struct, frozen=True):
    """Show a page to the person first. `redirect_uri`: where they will be sent afterwards."""

    page: Literal["login", "register"]
    application: Application
    redirect_uri: str
    login_hint: str = ""


class AuthorizationDenied(msgspec.Struct, frozen=True):
    """The application may not be told; the person is."""

    error: str
    description: str


Outcome = SendBack | SignInNeeded | AuthorizationDenied


class Authorizations:
    """Answers authorize requests of every organisation."""

    def __init__(self, directory: DirectoryServices, oauth: OAuth) -> None:
        self._directory = directory
        self._oauth = oauth

    async def answer(self, visit: AuthorizeRequest) -> Outcome:
        """What the browser gets for an authorize request as it stands."""
        provider = Provider(await self._gather(visit))
        try:
            return await self._answer(visit, provider)
        except OAuth2Error as error:
            return _told(visit, provider, error)

    async def ask(self, visit: AuthorizeRequest) -> SignInNeeded | SendBack | AuthorizationDenied:
        """The page that a person is to fill in, whoever is signed in: the request is judged, not answered."""
        provider = Provider(await self._gather(visit))
        try:
            grant = judge_authorize_request(provider, _request(visit, without_prompt=True), None)
        except OAuth2Error as error:
            return _told(visit, provider, error)
        return _ask(visit, provider, grant)

    async def complete(
        self, visit: AuthorizeRequest, session: BrowserSession
    ) -> SendBack | AuthorizationDenied:
        """The person has just proved who they are: back to the application with a code."""
        provider = Provider(await self._gather(visit))
        request = _request(visit, without_prompt=True)
        try:
            grant = judge_authorize_request(provider, request, session.account)
            return await self._grant(visit, provider, request, grant, session)
        except OAuth2Error as error:
            return _told(visit, provider, error)

    async def _answer(self, visit: AuthorizeRequest, provider: Provider) -> Outcome:
        request = _request(visit)
        session = visit.session
        if session is not None and _is_too_old(session, visit.first("max_age")):
            session = None
        grant = judge_authorize_request(provider, request, session.account if session else None)
        _check_extensions(visit, grant.redirect_uri)
        if not is_openid_scope(request.payload.scope or ""):
            # Authlib looks at `prompt` for OpenID requests only; ours mean the same without that scope.
            validate_request_prompt(grant, grant.redirect_uri)
        if (
            session is None
            or grant.prompt in ("login", "select_account")
            or visit.first("prompt") == "create"
        ):
            return _ask(visit, provider, grant)
        return await self._grant(visit, provider, request, grant, session)

    async def _grant(
        self,
        visit: AuthorizeRequest,
        provider: Provider,
        request: OAuthRequest,
        grant: CodeGrant,
        session: BrowserSession,
    ) -> SendBack:
        application = _application(provider)
        directory = self._directory
        await directory.sign_ins.record_sign_in(
            visit.dataset_ref, application.client_id, session.account, visit.trackers
        )
        asked = GrantRequest(
            client_id=application.client_id,
            scope=request.scope,
            session_id=session.session_id,
            auth_time=session.auth_time,
            nonce=visit.first("nonce"),
            redirect_uri=visit.first("redirect_uri"),
            code_challenge=visit.first("code_challenge"),
            code_challenge_method=visit.first("code_challenge_method"),
        )
        grant.code = await directory.grants.create(visit.dataset_ref, session.account, asked)
        answer = provider.create_authorization_response(request, request.user, grant)
        return _back(provider, answer.location or "")

    async def _gather(self, visit: AuthorizeRequest) -> OAuthContext:
        client_id = visit.first("client_id") or ""
        application = await self._directory.applications.find(visit.dataset_ref, client_id)
        return await self._oauth.gather(visit.dataset_ref, application)


def _request(visit: AuthorizeRequest, *, without_prompt: bool = False) -> OAuthRequest:
    dropped = ("prompt", "max_age") if without_prompt else ()
    return OAuthRequest("GET", {name: many for name, many in visit.parameters.items() if name not in dropped})


def _ask(visit: AuthorizeRequest, provider: Provider, grant: CodeGrant) -> SignInNeeded:
    page: Literal["login", "register"] = "register" if visit.first("prompt") == "create" else "login"
    return SignInNeeded(
        page, _application(provider), grant.redirect_uri, (visit.first("login_hint") or "")[:254]
    )


def _told(visit: AuthorizeRequest, provider: Provider, error: OAuth2Error) -> SendBack | AuthorizationDenied:
    """To the application where it may be told, else to the person."""
    error.state = visit.first("state")
    location = provider.refuse(error).location
    if location is None:
        return AuthorizationDenied(error.error, error.get_error_description() or "The request is not valid.")
    return _back(provider, location)


def _back(provider: Provider, location: str) -> SendBack:
    # RFC 9207: the application can tell which server answers it.
    return SendBack(with_parameters(location, iss=provider.gathered.issuer))


def _application(provider: Provider) -> Application:
    application = provider.gathered.application
    assert application is not None, "Authlib accepts no request without a client"
    return application


def _check_extensions(visit: AuthorizeRequest, redirect_uri: str) -> None:
    """Refuse what we do not do, instead of doing something else."""
    if visit.first("response_mode") not in (None, "", "query"):
        raise InvalidRequestError("The response_mode must be query.", redirect_uri=redirect_uri)
    for parameter in ("request", "request_uri"):
        if visit.first(parameter):
            raise OAuth2Error(
                error=f"{parameter}_not_supported",
                description=f"The parameter {parameter} is not supported.",
                redirect_uri=redirect_uri,
            )
    max_age = visit.first("max_age")
    if max_age and not max_age.isdecimal():
        raise InvalidRequestError("The max_age must be a number of seconds.", redirect_uri=redirect_uri)


def _is_too_old(session: BrowserSession, max_age: str | None) -> bool:
    if not max_age or not max_age.isdecimal():
        return False
    return time.time() - session.auth_time / 1_000_000 > int(max_age[:18])
