"""Sign-out (OpenID Connect RP-Initiated Logout 1.0), without HTTP.

Invariants: with an ID token of this service, no confirmation is needed. Without one the user confirms,
because any page can link to this URL. An ID token of another user's session ends that session and keeps the
session of this browser. A session ends with its grants and their tokens. The browser is redirected only to a
URI that the application registered.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from authlib.oauth2.rfc6749 import OAuth2Error

from oneself.auth.provider.authlib_models import OAuthRequest
from oneself.auth.provider.authlib_server import EndSession, Provider
from oneself.auth.provider.authorize import AuthorizationDenied, AuthorizeRequest
from oneself.auth.provider.token_endpoint import OAuth
from oneself.service.directory.tokens import Claims
from oneself.services import DirectoryServices


class ConfirmationPage(msgspec.Struct, frozen=True):
    """Ask the user for confirmation. `application`: its name, if known."""

    application: str | None


class SignedOut(msgspec.Struct, frozen=True):
    """The user is signed out.

    `location`: the redirect URI, if any. `ended`: the session of this browser ended.
    """

    location: str | None
    ended: bool


class Logouts:
    """Handles logout requests of all organisations."""

    def __init__(self, directory: DirectoryServices, oauth: OAuth) -> None:
        self._directory = directory
        self._oauth = oauth

    async def log_out(
        self, page_request: AuthorizeRequest, *, confirmed: bool = False
    ) -> ConfirmationPage | SignedOut | AuthorizationDenied:
        """Return the outcome of a logout request. `confirmed`: the user submitted the confirmation page."""
        hint = page_request.first("id_token_hint")
        claims = await self._directory.tokens.decode(page_request.dataset_ref, hint) if hint else None
        try:
            validated = await self._validate(page_request, _client_id(page_request, claims), confirmed)
        except OAuth2Error as error:
            return AuthorizationDenied(
                error.error, error.get_error_description() or "The request is invalid."
            )
        if validated.needs_confirmation and not confirmed and page_request.session is not None:
            return ConfirmationPage(validated.client.application.name if validated.client else None)
        ended = await self._end_session(page_request, validated.id_token_claims, validated.client)
        return SignedOut(validated.redirect_uri, ended)

    async def _validate(self, page_request: AuthorizeRequest, client_id: str | None, confirmed: bool) -> Any:
        find = self._directory.applications.find
        application = await find(page_request.dataset_ref, client_id) if client_id else None
        provider = Provider(await self._oauth.load_context(page_request.dataset_ref, application))
        endpoint: EndSession = provider._endpoints["end_session"][0]
        endpoint.confirmed = confirmed
        return endpoint.validate_request(OAuthRequest("GET", page_request.parameters))

    async def _end_session(self, page_request: AuthorizeRequest, claims: Claims | None, client: Any) -> bool:
        """End the session of this browser, unless the ID token names another user, and that of the ID token.

        Returns whether the session of this browser ended.
        """
        own, named = page_request.session, _named_session(claims)
        is_own = own is not None and (claims is None or claims.get("sub") == str(own.account.user_id))
        ended = [(own.account.user_id, own.session_id)] if own is not None and is_own else []
        if named is not None and named not in ended:
            ended.append(named)
        application = client.client_id if client else None
        for user_id, session_id in ended:
            await self._directory.sign_ins.record_sign_out(
                page_request.dataset_ref, application, user_id, session_id, page_request.trackers
            )
        return is_own


def _named_session(claims: Claims | None) -> tuple[UUID, UUID] | None:
    """The user and session that an ID token names."""
    user_id, session_id = (_uuid((claims or {}).get(name)) for name in ("sub", "sid"))
    return (user_id, session_id) if user_id and session_id else None


def _client_id(page_request: AuthorizeRequest, claims: Claims | None) -> str | None:
    if client_id := page_request.first("client_id"):
        return client_id
    audience = claims.get("aud") if claims else None
    return audience if isinstance(audience, str) else None


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
