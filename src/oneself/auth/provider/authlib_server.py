"""The rules of the authorization server, implemented by Authlib on data that was loaded before.

Invariants: no I/O and no database. Authlib reads from `OAuthContext` and leaves what must be stored in
`redemption`; the caller writes it. A maintained library thus implements OAuth 2 and OpenID Connect, and the
service controls its transactions (docs/decisions/0002-authorization-server.md).

Authlib has no type annotations, hence the `type: ignore[misc]` on its subclasses.
"""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidRequestError
from authlib.oauth2.rfc6749.errors import InvalidClientError, OAuth2Error, UnsupportedResponseTypeError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant, RefreshTokenGrant
from authlib.oauth2.rfc6750.token import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oidc.core.grants.code import OpenIDCode
from authlib.oidc.rpinitiated.end_session import EndSessionEndpoint
from joserfc.jwk import KeySet
from joserfc.jws import extract_compact

from oneself.auth.callers.permissions import OFFLINE_ACCESS
from oneself.auth.provider.authlib_models import (
    BASIC,
    NONE,
    POST,
    REFRESH_TOKEN,
    Code,
    OAuthClient,
    OAuthContext,
    OAuthRequest,
    OAuthResponse,
    OAuthUser,
    TokenDescription,
    user_info,
)
from oneself.service.crypto import new_token
from oneself.service.directory.accounts import Account
from oneself.service.directory.grants import Redemption
from oneself.service.directory.signing_keys import ALGORITHM
from oneself.service.directory.tokens import (
    ACCESS_TOKEN_TYPE,
    TOKEN_LIFE_S,
    access_claims,
    sign_access_token,
)

S256 = "S256"
CLIENT_NOT_AUTHENTICATED = (
    "Client authentication failed. Check the client ID, the client secret and how they are sent."
)
INVALID_HINT = (
    "The id_token_hint is not a valid ID token of this organisation. Sign out from the application again."
)
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")


class LocalServer(AuthorizationServer):  # type: ignore[misc]
    """Authlib's authorization server without HTTP: it takes our requests and returns our responses."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        return None

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        return request

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> OAuthResponse:
        return OAuthResponse(status, body, tuple(headers))


class Provider(LocalServer):
    """Authlib's authorization server for one request.

    `without_user`: True for the client credentials grant.
    """

    def __init__(self, context: OAuthContext, *, without_user: bool = False) -> None:
        super().__init__()
        self.context = context
        self.redemption = Redemption()
        application = context.application
        self.client = (
            OAuthClient(application, context.secret_matches, without_user=without_user)
            if application
            else None
        )
        pkce, openid = Pkce(), IdTokens(context)
        self.register_grant(CodeGrant, [pkce, openid])
        self.register_grant(RefreshGrant, [openid])
        self.register_grant(ClientCredentials)
        self.register_endpoint(TokenIntrospectionEndpoint)
        self.register_endpoint(TokenRevocationEndpoint)
        self.register_endpoint(EndSession)
        self.register_token_generator(
            "default", BearerTokenGenerator(self._access_token, self._refresh_token, TOKEN_LIFE_S)
        )

    def query_client(self, client_id: str) -> OAuthClient | None:
        return self.client if self.client and self.client.client_id == client_id else None

    def authenticate_client(
        self, request: OAuthRequest, methods: tuple[str, ...], endpoint: str = "token"
    ) -> OAuthClient:
        """Authenticate the client; every failure has one answer, so that client ids cannot be enumerated."""
        try:
            return super().authenticate_client(request, methods, endpoint)  # type: ignore[no-any-return]
        except InvalidClientError:
            raise InvalidClientError(CLIENT_NOT_AUTHENTICATED, status_code=401) from None

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        """Pass a refresh token to the redemption. Access tokens are not stored."""
        self.redemption.accepted = True
        self.redemption.refresh_token = token.get(REFRESH_TOKEN)
        credential = self.context.credential
        self.redemption.refresh_scope = credential.scope if credential else ""

    def error_response(self, error: OAuth2Error) -> OAuthResponse:
        """Return the response for an error that Authlib raised."""
        return self.handle_error_response(None, error)  # type: ignore[no-any-return]

    def _access_token(self, client: OAuthClient, grant_type: str, user: OAuthUser | None, scope: str) -> str:
        subject = user.get_user_id() if user else client.client_id
        credential = self.context.credential
        grant_id = credential.grant_id if credential else None
        context = self.context
        claims = access_claims(
            context.issuer, context.dataset_ref, client.client_id, subject, scope, grant_id
        )
        return sign_access_token(context.signing_key, claims)

    def _refresh_token(self, **_: object) -> str:
        credential = self.context.credential
        return (credential.successor if credential else "") or new_token()


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]
    """The client credentials grant: an access token without a user."""

    TOKEN_ENDPOINT_AUTH_METHODS = (BASIC, POST)


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """The authorization code grant.

    `service.directory.grants` creates and stores the code; the caller sets `code`.
    """

    TOKEN_ENDPOINT_AUTH_METHODS = (BASIC, POST, NONE)
    code: str

    @staticmethod
    def validate_authorization_redirect_uri(request: OAuthRequest, client: OAuthClient) -> str:
        requested = request.payload.redirect_uri
        if requested and not client.check_redirect_uri(requested):
            raise InvalidRequestError("The redirect_uri is not registered for the application.")
        redirect_uri = requested or client.get_default_redirect_uri()
        if not redirect_uri:
            raise InvalidRequestError("The redirect_uri is missing.")
        return str(redirect_uri)

    def generate_authorization_code(self) -> str:
        return self.code

    def save_authorization_code(self, code: str, request: OAuthRequest) -> None:
        return None

    def query_authorization_code(self, code: str, client: OAuthClient) -> Code | None:
        credential = self.server.context.credential
        if credential is None or credential.is_spent or credential.is_void:
            return None
        return Code(credential) if credential.client_id == client.client_id else None

    def authenticate_user(self, authorization_code: Code) -> OAuthUser:
        return OAuthUser(authorization_code.credential.account)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        return None

    def generate_token(self, user: Any = None, scope: str | None = None, **options: Any) -> Any:
        include = OFFLINE_ACCESS in (scope or "").split()
        return super().generate_token(user, scope, **{**options, "include_refresh_token": include})


class RefreshGrant(RefreshTokenGrant):  # type: ignore[misc]
    """The refresh token grant. Every use replaces the refresh token."""

    TOKEN_ENDPOINT_AUTH_METHODS = (BASIC, POST, NONE)
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Code | None:
        credential = self.server.context.credential
        if credential is None or credential.is_spent or credential.is_void:
            return None
        return Code(credential)

    def authenticate_user(self, refresh_token: Code) -> OAuthUser:
        return OAuthUser(refresh_token.credential.account)

    def revoke_old_credential(self, refresh_token: Code) -> None:
        return None


class Pkce(CodeChallenge):  # type: ignore[misc]
    """PKCE. Only S256 is supported, and applications without a secret must use it (RFC 9700 §2.1.1)."""

    DEFAULT_CODE_CHALLENGE_METHOD = S256
    SUPPORTED_CODE_CHALLENGE_METHOD = (S256,)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        data = grant.request.payload.data
        challenge, method = data.get("code_challenge"), data.get("code_challenge_method")
        if not challenge and grant.request.client.application.kind == "browser":
            raise InvalidRequestError("This application must send a code_challenge.")
        if challenge and method != S256:
            raise InvalidRequestError("The code_challenge_method must be S256.")
        super().validate_code_challenge(grant, redirect_uri)


class IdTokens(OpenIDCode):  # type: ignore[misc]
    """ID tokens with the user's claims that the scopes allow."""

    def __init__(self, context: OAuthContext) -> None:
        super().__init__()
        self._context = context

    def exists_nonce(self, nonce: str, request: OAuthRequest) -> bool:
        # The application checks the nonce. The server prevents replays, because a code is valid once.
        return False

    def resolve_client_private_key(self, client: OAuthClient) -> Any:
        return self._context.signing_key

    def get_client_algorithm(self, client: OAuthClient) -> str:
        return ALGORITHM

    def get_encode_header(self, client: OAuthClient) -> dict[str, Any]:
        return {"alg": ALGORITHM, "typ": "JWT", "kid": self._context.signing_key.kid}

    def get_client_claims(self, client: OAuthClient) -> dict[str, Any]:
        claims: dict[str, Any] = {
            "iss": self._context.issuer,
            "aud": client.client_id,
            "azp": client.client_id,
            "org_handle": self._context.dataset_ref.handle,
        }
        if credential := self._context.credential:
            claims["auth_time"] = credential.auth_time // 1_000_000
            claims["sid"] = str(credential.session_id)
        return claims

    def generate_user_info(self, user: OAuthUser, scope: str) -> dict[str, str | bool]:
        return user_info(user.account, scope)


class TokenIntrospectionEndpoint(IntrospectionEndpoint):  # type: ignore[misc]
    """Token introspection (RFC 7662) for any application of the organisation that has a secret."""

    CLIENT_AUTH_METHODS = (BASIC, POST)

    def check_params(self, request: OAuthRequest, client: OAuthClient) -> None:
        _require_token(request)

    def query_token(self, token_string: str, token_type_hint: str | None) -> TokenDescription | None:
        return self.server.context.token  # type: ignore[no-any-return]

    def check_permission(self, token: TokenDescription, client: OAuthClient, request: OAuthRequest) -> bool:
        return True

    def introspect_token(self, token: TokenDescription) -> dict[str, Any]:
        return {"active": True, **token.description}


class TokenRevocationEndpoint(RevocationEndpoint):  # type: ignore[misc]
    """Token revocation (RFC 7009). The caller revokes the token in `revoked`."""

    CLIENT_AUTH_METHODS = (BASIC, POST, NONE)
    revoked: TokenDescription | None = None

    def check_params(self, request: OAuthRequest, client: OAuthClient) -> None:
        _require_token(request)

    def query_token(self, token_string: str, token_type_hint: str | None) -> TokenDescription | None:
        return self.server.context.token  # type: ignore[no-any-return]

    def revoke_token(self, token: TokenDescription, request: OAuthRequest) -> None:
        self.revoked = token


class EndSession(EndSessionEndpoint):  # type: ignore[misc]
    """OpenID Connect RP-initiated logout. `service.directory.sign_in` ends the session."""

    confirmed = False

    def _validate_id_token_hint(self, id_token_hint: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = super()._validate_id_token_hint(id_token_hint)
        except InvalidRequestError:
            # Authlib's description quotes the token and names the parts of the library.
            raise InvalidRequestError(INVALID_HINT) from None
        if extract_compact(id_token_hint.encode()).protected.get("typ") == ACCESS_TOKEN_TYPE:
            # Applications hand access tokens to others, and the same keys sign them.
            raise InvalidRequestError(INVALID_HINT)
        return claims

    def get_server_jwks(self) -> KeySet:
        return KeySet(list(self.server.context.key_ring.public.values()))

    def get_algorithms(self) -> list[str]:
        return [ALGORITHM]

    def is_post_logout_redirect_uri_legitimate(self, *_: object) -> bool:
        # Without an ID token, the browser is redirected only after the user confirmed.
        return self.confirmed

    def end_session(self, end_session_request: Any) -> None:
        return None


def evaluate_token_request(context: OAuthContext, request: OAuthRequest) -> tuple[OAuthResponse, Redemption]:
    """Evaluate a token request. Returns the response, and how to redeem the credential in it."""
    provider = Provider(context, without_user=request.payload.grant_type == "client_credentials")
    if error := _check_grant_type(request.payload.grant_type):
        return provider.error_response(error), provider.redemption
    return provider.create_token_response(request), provider.redemption


def validate_authorize_request(
    provider: Provider, request: OAuthRequest, account: Account | None
) -> CodeGrant:
    """Return the grant of a valid authorization request. `prompt` of the grant says whether to show a page.

    `account`: of the signed-in user, if any. Raises OAuth2Error; its `redirect_uri` is set if the error may
    be sent to the application.
    """
    if request.payload.response_type != "code":
        raise _unsupported_response_type(provider, request)
    return provider.get_consent_grant(request, OAuthUser(account) if account else None)  # type: ignore[no-any-return]


def _unsupported_response_type(provider: Provider, request: OAuthRequest) -> OAuth2Error:
    """The error for a response type other than `code`.

    Authlib would put the requested type into the description, which must be ASCII.
    """
    client = provider.query_client(request.payload.client_id) if request.payload.client_id else None
    if client is None:
        return InvalidClientError(description="The application is unknown.")
    try:
        redirect_uri = CodeGrant.validate_authorization_redirect_uri(request, client)
    except OAuth2Error as error:
        return error
    if not request.payload.response_type:
        return InvalidRequestError("The response_type is missing.", redirect_uri=redirect_uri)
    return UnsupportedResponseTypeError("code", redirect_uri=redirect_uri)


def _check_grant_type(grant_type: str | None) -> OAuth2Error | None:
    """Return an error with a description, which Authlib's own error does not have."""
    if not grant_type:
        return InvalidRequestError("The grant_type is missing.")
    if grant_type in GRANT_TYPES:
        return None
    return OAuth2Error(
        f"The grant_type must be one of: {', '.join(GRANT_TYPES)}.", error="unsupported_grant_type"
    )


def _require_token(request: OAuthRequest) -> None:
    # A wrong token_type_hint is ignored: the server recognises the kind of token itself (RFC 7009 §2.1).
    if not request.form.get("token"):
        raise InvalidRequestError("The token is missing.")
