"""The endpoints for clients, without HTTP: token, introspection, revocation, userinfo, keys, discovery.

Invariants: load all data, let Authlib decide, then write. A credential is checked in the transaction that
locks its row, so concurrent requests cannot redeem it twice.
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
from oneself.service.directory.signing_keys import ALGORITHM
from oneself.service.directory.throttle import Subject
from oneself.service.directory.tokens import AUDIENCE
from oneself.services import DirectoryServices

JSON_HEADERS = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
#: Of an authorize request the browser's tracker, of a token answer the fresh one (docs/wire/cds.md §14).
TRACKER_PARAMETER = "anonymous_profile_tracker"
CREDENTIAL_OF_GRANT: Mapping[str, tuple[CredentialKind, str]] = {
    "authorization_code": ("code", "code"),
    "refresh_token": ("refresh_token", "refresh_token"),
}


class OAuthCall(msgspec.Struct, frozen=True):
    """A form sent to an endpoint.

    `address`: the caller's IP address. `origin`: the `Origin` header, None if the transport handles CORS.
    """

    dataset_ref: DatasetRef
    parameters: Mapping[str, list[str]]
    authorization: str | None
    address: str
    origin: str | None = None

    def first(self, name: str) -> str | None:
        """Return the first value of a parameter."""
        values = self.parameters.get(name)
        return values[0] if values else None


class _Client(msgspec.Struct, frozen=True):
    """The client of a call. `wait_s`: seconds to wait after too many wrong secrets, else 0."""

    application: Application | None = None
    secret_matches: bool = False
    authorization: str | None = None
    wait_s: int = 0

    @property
    def is_authentic(self) -> bool:
        application = self.application
        return application is not None and (self.secret_matches or application.kind == "browser")


class _Evaluation:
    """A token request with its credential, evaluated again only if the credential changed meanwhile.

    Tokens are signed in an evaluation, which takes some ms.
    """

    response: OAuthResponse

    def __init__(self, context: OAuthContext, request: OAuthRequest) -> None:
        self._context = context
        self._request = request
        self._credential: Credential | None = None
        self._redemption: Redemption | None = None

    def decide(self, credential: Credential | None) -> Redemption:
        """The decision about the credential; `response` is the one that follows from it."""
        if self._redemption is None or credential != self._credential:
            self._credential = credential
            context = msgspec.structs.replace(self._context, credential=credential)
            self.response, self._redemption = evaluate_token_request(context, self._request)
        return self._redemption


class OAuth:
    """The endpoints of one process, for all organisations."""

    def __init__(self, directory: DirectoryServices) -> None:
        self._directory = directory

    async def token(self, call: OAuthCall) -> OAuthResponse:
        """Answer a token request (RFC 6749 §3.2): client credentials, authorization code or refresh token."""
        client = await self._client(call)
        if client.wait_s:
            return too_many(client.wait_s)
        context = await self.load_context(call.dataset_ref, client.application, client.secret_matches)
        request = OAuthRequest("POST", call.parameters, client.authorization)
        kind, parameter = CREDENTIAL_OF_GRANT.get(call.first("grant_type") or "", (None, ""))
        secret = call.first(parameter)
        if kind is None or not secret or not client.is_authentic:
            response = evaluate_token_request(context, request)[0]
        else:
            is_asked = kind == "code" and call.first("fresh_tracker") == "true"
            response = await self._redeem(context, request, kind, secret, gives_fresh_tracker=is_asked)
        return _with_cors(response, client.application, call.origin)

    async def introspect(self, call: OAuthCall) -> OAuthResponse:
        """Answer an introspection request (RFC 7662)."""
        provider, request, wait_s = await self._load_token_request(call)
        return too_many(wait_s) if wait_s else provider.create_endpoint_response("introspection", request)

    async def revoke(self, call: OAuthCall) -> OAuthResponse:
        """Revoke a token (RFC 7009). Revoking a refresh token also revokes its grant and access tokens."""
        provider, request, wait_s = await self._load_token_request(call)
        if wait_s:
            return too_many(wait_s)
        response: OAuthResponse = provider.create_endpoint_response("revocation", request)
        revoked = provider._endpoints["revocation"][0].revoked
        if revoked is not None:
            await self._revoke(call, revoked)
        return _with_cors(response, provider.context.application, call.origin)

    async def userinfo(self, dataset_ref: DatasetRef, authorization: str | None) -> OAuthResponse:
        """Return the claims of the user of an access token with scope `openid` (OpenID Connect Core §5.3)."""
        token = bearer_token(authorization)
        claims = await self._directory.tokens.verify(dataset_ref, token) if token else None
        if claims is None or claims.get("aud") != AUDIENCE:
            return _bearer_error(401, "invalid_token", "The access token is missing, expired or revoked.")
        scope = str(claims.get("scope", ""))
        if OPENID not in scope.split():
            return _bearer_error(
                403, "insufficient_scope", "The access token does not have the scope openid."
            )
        account = await self._directory.accounts.find(dataset_ref, UUID(claims["sub"]))
        if account is None:
            return _bearer_error(401, "invalid_token", "The user no longer exists.")
        return OAuthResponse(200, user_info(account, scope), JSON_HEADERS)

    async def jwks(self, dataset_ref: DatasetRef) -> dict[str, Any]:
        """Return the public keys that verify tokens of this organisation (RFC 7517)."""
        return (await self._directory.signing_keys.key_ring(dataset_ref)).jwks()

    def discovery(self, dataset_ref: DatasetRef) -> dict[str, Any]:
        """Return the discovery document (OpenID Connect Discovery 1.0, RFC 8414)."""
        issuer = self._directory.tokens.issuer(dataset_ref)
        return discovery_document(issuer)

    async def load_context(
        self, dataset_ref: DatasetRef, application: Application | None, secret_matches: bool = False
    ) -> OAuthContext:
        """Load the data that Authlib needs for a request."""
        return OAuthContext(
            dataset_ref=dataset_ref,
            issuer=self._directory.tokens.issuer(dataset_ref),
            key_ring=await self._directory.signing_keys.key_ring(dataset_ref),
            signing_key=await self._directory.signing_keys.signing_key(dataset_ref),
            application=application,
            secret_matches=secret_matches,
        )

    async def _redeem(
        self,
        context: OAuthContext,
        request: OAuthRequest,
        kind: CredentialKind,
        secret: str,
        *,
        gives_fresh_tracker: bool,
    ) -> OAuthResponse:
        evaluation, tracker = _Evaluation(context, request), None
        if kind == "code":
            tracker = await self._record_sign_in(context, evaluation, secret, gives_fresh_tracker)
        await self._directory.grants.redeem(context.dataset_ref, kind, secret, evaluation.decide)
        response = evaluation.response
        if tracker is None or response.status != 200:
            return response
        return msgspec.structs.replace(response, body={**response.body, TRACKER_PARAMETER: tracker})

    async def _record_sign_in(
        self, context: OAuthContext, evaluation: _Evaluation, code: str, gives_fresh_tracker: bool
    ) -> str | None:
        """Record the sign-in before the tokens are returned, if the application may redeem the code.

        The trackers of the browser are not used earlier: by now the application has checked `state` and PKCE,
        so an authorization link that another person sent to the browser changes no profile. A repeated
        request records the sign-in once. Returns the fresh tracker, if the sign-in gives one.
        """
        credential = await self._directory.grants.find_code(context.dataset_ref, code)
        if credential is None or not evaluation.decide(credential).accepted:
            return None
        return await self._directory.sign_ins.record_sign_in(
            context.dataset_ref,
            credential.client_id,
            credential.account,
            credential.trackers,
            grant_id=credential.grant_id,
            gives_fresh_tracker=gives_fresh_tracker,
        )

    async def _client(self, call: OAuthCall) -> _Client:
        """Authenticate the client. Accepts percent-encoded secrets (RFC 6749 §2.3.1) and plain ones."""
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
        """Whether the secret is correct, and the seconds to wait if it was not checked."""
        applications = self._directory.applications
        if applications.has_verified_secret(application, secret):
            return True, 0
        subject: Subject = ("client", f"{application.client_id} {call.address}")
        if wait_s := await self._directory.throttle.retry_after_s(call.dataset_ref, subject):
            return False, wait_s
        for candidate in dict.fromkeys((secret, unquote(secret), unquote_plus(secret))):
            if await applications.secret_matches(application, candidate):
                return True, 0
        await self._directory.throttle.record(call.dataset_ref, subject)
        return False, 0

    async def _load_token_request(self, call: OAuthCall) -> tuple[Provider, OAuthRequest, int]:
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
    """Return the OpenID provider metadata of an issuer."""
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
            *("username", "preferred_username", "name", "given_name", "family_name"),
            *("email", "email_verified", "phone_number", "phone_number_verified"),
        ],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }


def too_many(wait_s: int) -> OAuthResponse:
    """Return the response 429 after too many wrong secrets. RFC 6749 defines no error for it."""
    body = {
        "error": "temporarily_unavailable",
        "error_description": "Too many failed attempts. Try again later.",
    }
    return OAuthResponse(429, body, (*JSON_HEADERS, ("Retry-After", str(wait_s))))


def _bearer_error(status: int, error: str, description: str) -> OAuthResponse:
    challenge = f'Bearer error="{error}", error_description="{description}"'
    body = {"error": error, "error_description": description}
    return OAuthResponse(status, body, (*JSON_HEADERS, ("WWW-Authenticate", challenge)))


def _with_cors(response: OAuthResponse, application: Application | None, origin: str | None) -> OAuthResponse:
    """Add CORS headers for a browser application. Allows the origins of its redirect URIs."""
    if application is None or application.kind != "browser" or origin is None:
        return response
    if origin not in {origin_of(uri) for uri in application.redirect_uris}:
        return response
    cors = (("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))
    return msgspec.structs.replace(response, headers=(*response.headers, *cors))


def origin_of(uri: str) -> str:
    """Return scheme, host and port of a URI."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"
