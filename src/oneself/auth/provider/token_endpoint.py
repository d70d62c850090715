"""The endpoints for programs: token, introspect, revoke, userinfo, keys, discovery.

Invariants: load everything, let Authlib decide, then write. A credential is checked in the transaction that
locks its row, so that it is redeemed once, however many requests arrive at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit
from uuid import UUID

import msgspec

from oneself.auth.callers.guard import basic_credentials, bearer_token
from oneself.auth.callers.permissions import OIDC_SCOPES, OPENID, PERMISSIONS
from oneself.auth.provider.authlib_models import (
    ACCESS_TOKEN,
    OAuthContext,
    OAuthRequest,
    OAuthResponse,
    TokenDescription,
    canonical_basic,
    describe_access_token,
    describe_refresh_token,
    user_info,
)
from oneself.auth.provider.authlib_server import GRANT_TYPES, Provider, evaluate_token_request
from oneself.service.context import DatasetRef
from oneself.service.directory.applications import Application
from oneself.service.directory.grants import Credential, CredentialKind, Redemption
from oneself.service.directory.login_throttle import Subject
from oneself.service.directory.signing_keys import ALGORITHM
from oneself.service.directory.tokens import AUDIENCE
from oneself.services import DirectoryServices

JSON_HEADERS = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
CREDENTIAL_OF_GRANT: Mapping[str, tuple[CredentialKind, str]] = {
    "authorization_code": ("code", "code"),
    "refresh_token": ("refresh_token", "refresh_token"),
}


class OAuthCall(msgspec.Struct, frozen=True):
    """A form sent to an endpoint: its parameters, the `Authorization` header, the caller's address."""

    dataset_ref: DatasetRef
    parameters: Mapping[str, list[str]]
    authorization: str | None
    address: str
    origin: str | None = None

    def first(self, name: str) -> str | None:
        values = self.parameters.get(name)
        return values[0] if values else None


class _Client(msgspec.Struct, frozen=True):
    """The application that says it is calling, and whether its secret was right."""

    application: Application | None = None
    secret_matches: bool = False
    authorization: str | None = None
    wait_s: int = 0

    @property
    def is_authentic(self) -> bool:
        application = self.application
        return application is not None and (self.secret_matches or application.kind == "browser")


class OAuth:
    """The endpoints of one process, for every organisation."""

    def __init__(self, directory: DirectoryServices) -> None:
        self._directory = directory

    async def token(self, call: OAuthCall) -> OAuthResponse:
        """RFC 6749 §3.2: client credentials, authorization code, refresh token."""
        client = await self._client(call)
        if client.wait_s:
            return too_many(client.wait_s)
        context = await self.load_context(call.dataset_ref, client.application, client.secret_matches)
        request = OAuthRequest("POST", call.parameters, client.authorization)
        kind, parameter = CREDENTIAL_OF_GRANT.get(call.first("grant_type") or "", (None, ""))
        secret = call.first(parameter)
        if kind is None or not secret or not client.is_authentic:
            answer = evaluate_token_request(context, request)[0]
        else:
            answer = await self._redeem(context, request, kind, secret)
        return _for_browser(answer, client.application, call.origin)

    async def introspect(self, call: OAuthCall) -> OAuthResponse:
        """RFC 7662."""
        provider, request, wait_s = await self._about_a_token(call)
        return too_many(wait_s) if wait_s else provider.create_endpoint_response("introspection", request)

    async def revoke(self, call: OAuthCall) -> OAuthResponse:
        """RFC 7009. Revoking a refresh token ends its grant and voids the grant's access tokens."""
        provider, request, wait_s = await self._about_a_token(call)
        if wait_s:
            return too_many(wait_s)
        answer: OAuthResponse = provider.create_endpoint_response("revocation", request)
        revoked = provider._endpoints["revocation"][0].revoked
        if revoked is not None:
            await self._revoke(call, revoked)
        return _for_browser(answer, provider.context.application, call.origin)

    async def userinfo(self, dataset_ref: DatasetRef, authorization: str | None) -> OAuthResponse:
        """OpenID Connect Core §5.3: the claims of the person behind an access token with scope `openid`."""
        token = bearer_token(authorization)
        claims = await self._directory.tokens.verify(dataset_ref, token) if token else None
        if claims is None or claims.get("aud") != AUDIENCE:
            return _bearer_error(401, "invalid_token", "The access token is missing, expired or revoked.")
        scope = str(claims.get("scope", ""))
        if OPENID not in scope.split():
            return _bearer_error(403, "insufficient_scope", "The access token has no scope openid.")
        account = await self._directory.accounts.find(dataset_ref, UUID(claims["sub"]))
        if account is None:
            return _bearer_error(401, "invalid_token", "The user is gone.")
        return OAuthResponse(200, user_info(account, scope), JSON_HEADERS)

    async def jwks(self, dataset_ref: DatasetRef) -> dict[str, Any]:
        """RFC 7517: the public keys that tokens of this organisation are verified with."""
        return (await self._directory.signing_keys.key_ring(dataset_ref)).jwks()

    def discovery(self, dataset_ref: DatasetRef) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0 and RFC 8414."""
        issuer = self._directory.tokens.issuer(dataset_ref)
        return discovery_document(issuer)

    async def load_context(
        self, dataset_ref: DatasetRef, application: Application | None, secret_matches: bool = False
    ) -> OAuthContext:
        """What every judgement needs."""
        return OAuthContext(
            dataset_ref=dataset_ref,
            issuer=self._directory.tokens.issuer(dataset_ref),
            key_ring=await self._directory.signing_keys.key_ring(dataset_ref),
            signing_key=await self._directory.signing_keys.signing_key(dataset_ref),
            application=application,
            secret_matches=secret_matches,
        )

    async def _redeem(
        self, context: OAuthContext, request: OAuthRequest, kind: CredentialKind, secret: str
    ) -> OAuthResponse:
        if kind == "code":
            await self._record_sign_in(context, request, secret)
        answers: list[OAuthResponse] = []

        def decide(credential: Credential | None) -> Redemption:
            found = msgspec.structs.replace(context, credential=credential)
            answer, redemption = evaluate_token_request(found, request)
            answers.append(answer)
            return redemption

        await self._directory.grants.redeem(context.dataset_ref, kind, secret, decide)
        return answers[0]

    async def _record_sign_in(self, context: OAuthContext, request: OAuthRequest, code: str) -> None:
        """Record the sign-in before the tokens are answered, if the application may redeem the code.

        The browser's trackers are used here and never earlier: the application has checked `state` and PKCE,
        so a link that was planted in another browser changes nothing. A repeated request records it once.
        """
        credential = await self._directory.grants.find_code(context.dataset_ref, code)
        if credential is None:
            return
        found = msgspec.structs.replace(context, credential=credential)
        if evaluate_token_request(found, request)[1].accepted:
            await self._directory.sign_ins.record_sign_in(
                context.dataset_ref,
                credential.client_id,
                credential.account,
                credential.trackers,
                grant_id=credential.grant_id,
            )

    async def _client(self, call: OAuthCall) -> _Client:
        """Who says it is calling. Secrets are accepted percent-encoded (RFC 6749 §2.3.1) and as they are."""
        basic = basic_credentials(call.authorization)
        client_id = unquote(basic[0]) if basic else call.first("client_id")
        secret = basic[1] if basic else call.first("client_secret")
        application = (
            await self._directory.applications.find(call.dataset_ref, client_id) if client_id else None
        )
        authorization = canonical_basic(client_id, "sent") if basic and client_id and secret else None
        if application is None or not secret:
            return _Client(application, False, authorization)
        matches, wait_s = await self._secret_matches(call, application, secret)
        return _Client(application, matches, authorization, wait_s)

    async def _secret_matches(
        self, call: OAuthCall, application: Application, secret: str
    ) -> tuple[bool, int]:
        """Whether the secret is right, or how long to wait before it is looked at."""
        applications = self._directory.applications
        if applications.has_verified_secret(application, secret):
            return True, 0
        subject: Subject = ("client", f"{application.client_id} {call.address}")
        if wait_s := await self._directory.login_throttle.retry_after_s(call.dataset_ref, subject):
            return False, wait_s
        for written in dict.fromkeys((secret, unquote(secret), unquote_plus(secret))):
            if await applications.secret_matches(application, written):
                return True, 0
        await self._directory.login_throttle.record_failure(call.dataset_ref, subject)
        return False, 0

    async def _about_a_token(self, call: OAuthCall) -> tuple[Provider, OAuthRequest, int]:
        client = await self._client(call)
        token = call.first("token")
        context = await self.load_context(call.dataset_ref, client.application, client.secret_matches)
        if token and client.is_authentic:
            context = msgspec.structs.replace(context, token=await self._find_token(call.dataset_ref, token))
        return Provider(context), OAuthRequest("POST", call.parameters, client.authorization), client.wait_s

    async def _find_token(self, dataset_ref: DatasetRef, token: str) -> TokenDescription | None:
        claims = await self._directory.tokens.verify(dataset_ref, token)
        if claims is not None:
            return describe_access_token(claims) if claims.get("aud") == AUDIENCE else None
        credential = await self._directory.grants.find_refresh_token(dataset_ref, token)
        return describe_refresh_token(credential) if credential else None

    async def _revoke(self, call: OAuthCall, token: TokenDescription) -> None:
        if token.kind == ACCESS_TOKEN:
            await self._directory.tokens.revoke(call.dataset_ref, token.description["jti"])
        else:
            await self._directory.grants.revoke(call.dataset_ref, call.first("token") or "", token.client_id)


def discovery_document(issuer: str) -> dict[str, Any]:
    """What clients configure themselves from."""
    oauth2 = f"{issuer}/oauth2"
    methods = ["client_secret_basic", "client_secret_post"]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{oauth2}/authorize",
        "token_endpoint": f"{oauth2}/token",
        "userinfo_endpoint": f"{oauth2}/userinfo",
        "jwks_uri": f"{oauth2}/jwks",
        "introspection_endpoint": f"{oauth2}/introspect",
        "revocation_endpoint": f"{oauth2}/revoke",
        "end_session_endpoint": f"{oauth2}/logout",
        "scopes_supported": [*OIDC_SCOPES, *PERMISSIONS],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": [*methods, "none"],
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": [*methods, "none"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "create"],
        "claims_supported": [
            *("sub", "iss", "aud", "azp", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "org_handle"),
            *("username", "preferred_username", "name", "given_name", "family_name", "email", "phone_number"),
        ],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }


def too_many(wait_s: int) -> OAuthResponse:
    """429: too many wrong secrets (RFC 6749 has no word for it)."""
    body = {
        "error": "temporarily_unavailable",
        "error_description": "Too many failed attempts. Try again later.",
    }
    return OAuthResponse(429, body, (*JSON_HEADERS, ("Retry-After", str(wait_s))))


def _bearer_error(status: int, error: str, description: str) -> OAuthResponse:
    challenge = f'Bearer error="{error}", error_description="{description}"'
    body = {"error": error, "error_description": description}
    return OAuthResponse(status, body, (*JSON_HEADERS, ("WWW-Authenticate", challenge)))


def _for_browser(answer: OAuthResponse, application: Application | None, origin: str | None) -> OAuthResponse:
    """Let the page of a browser application read the answer: its origin is that of a redirect URI."""
    if application is None or application.kind != "browser" or origin is None:
        return answer
    if origin not in {origin_of(uri) for uri in application.redirect_uris}:
        return answer
    shared = (("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))
    return msgspec.structs.replace(answer, headers=(*answer.headers, *shared))


def origin_of(uri: str) -> str:
    """Scheme, host and port of a URI."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"
