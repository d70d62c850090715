"""The objects that Authlib requires: requests, clients, users, codes and tokens. All data is loaded before.

Invariants: values and views of them, no decisions. Authlib's rules run in `authlib_server`. Authlib has no
type annotations, hence the `type: ignore[misc]` on its subclasses.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oidc.core.grants.util import is_openid_scope
from joserfc.jwk import RSAKey

from oneself.auth.callers.permissions import OIDC_SCOPES
from oneself.service.context import DatasetRef
from oneself.service.directory.accounts import Account
from oneself.service.directory.applications import Application
from oneself.service.directory.grants import Credential
from oneself.service.directory.signing_keys import SigningKeyRing
from oneself.service.directory.tokens import Claims

ACCESS_TOKEN, REFRESH_TOKEN = "access_token", "refresh_token"
BASIC, POST, NONE = "client_secret_basic", "client_secret_post", "none"


class OAuthResponse(msgspec.Struct, frozen=True):
    """A response that Authlib created: status, body (a JSON object or an empty string) and headers."""

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...]

    @property
    def location(self) -> str | None:
        """The redirect URI of a redirect, else None."""
        return next((value for name, value in self.headers if name == "Location"), None)


class TokenDescription(msgspec.Struct, frozen=True):
    """A token in an introspection or revocation request.

    `description`: the introspection response without `active`.
    """

    kind: str
    client_id: str
    is_active: bool
    description: dict[str, Any]

    def check_client(self, client: OAuthClient) -> bool:
        return self.client_id == client.client_id

    def is_expired(self) -> bool:
        return not self.is_active

    def is_revoked(self) -> bool:
        return not self.is_active


class OAuthContext(msgspec.Struct, frozen=True):
    """All data that Authlib needs for one request, loaded before it is called."""

    dataset_ref: DatasetRef
    issuer: str
    key_ring: SigningKeyRing
    signing_key: RSAKey
    application: Application | None = None
    secret_matches: bool = False
    credential: Credential | None = None
    token: TokenDescription | None = None


class Parameters(BasicOAuth2Payload):  # type: ignore[misc]
    """Request parameters: name → values. Authlib rejects repeated parameters itself."""

    def __init__(self, parameters: Mapping[str, list[str]]) -> None:
        super().__init__({name: values[0] for name, values in parameters.items()})
        self._datalist = dict(parameters)


class OAuthRequest(OAuth2Request):  # type: ignore[misc]
    """The request object that Authlib reads."""

    def __init__(
        self, method: str, parameters: Mapping[str, list[str]], authorization: str | None = None
    ) -> None:
        # Authlib rejects plain HTTP. Only the proxy knows the scheme of the client, so Authlib always gets
        # https.
        super().__init__(method, "https://localhost/", headers=_headers(authorization))
        self.payload = Parameters(parameters)

    @property
    def form(self) -> dict[str, str]:
        return dict(self.payload.data)

    @property
    def args(self) -> dict[str, str]:
        return dict(self.payload.data)


class OAuthClient(ClientMixin):  # type: ignore[misc]
    """An application as Authlib's client object.

    `without_user`: True for the client credentials grant, which cannot grant OpenID scopes.
    """

    def __init__(self, application: Application, secret_matches: bool, *, without_user: bool) -> None:
        self.application = application
        self.client_id = application.client_id
        self.client_metadata = {
            # As in WSO2, every registered redirect URI is also valid here.
            "post_logout_redirect_uris": application.post_logout_redirect_uris + application.redirect_uris
        }
        self._secret_matches = secret_matches
        self._scopes = application.permissions + (() if without_user else OIDC_SCOPES)

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        uris = self.application.redirect_uris
        return uris[0] if len(uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str:
        """The requested scopes that the application holds.

        As in WSO2, others are omitted without an error.
        """
        requested = dict.fromkeys((scope or "").split())
        return " ".join(name for name in requested if name in self._scopes)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.application.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return self._secret_matches

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method == NONE) == (self.application.kind == "browser")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.application.signs_users_in

    def check_grant_type(self, grant_type: str) -> bool:
        if grant_type == "client_credentials":
            return self.application.kind != "browser"
        return self.application.signs_users_in


class OAuthUser:
    """The resource owner as Authlib's user object."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def get_user_id(self) -> str:
        return str(self.account.user_id)


class Code:
    """An authorization code or refresh token as Authlib's credential object."""

    def __init__(self, credential: Credential) -> None:
        self.credential = credential
        self.code_challenge = credential.code_challenge
        self.code_challenge_method = credential.code_challenge_method

    def get_redirect_uri(self) -> str | None:
        return self.credential.redirect_uri

    def get_scope(self) -> str:
        return self.credential.scope

    def get_nonce(self) -> str | None:
        return self.credential.nonce

    def get_auth_time(self) -> int:
        return self.credential.auth_time // 1_000_000

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None

    def check_client(self, client: OAuthClient) -> bool:
        return bool(self.credential.client_id == client.client_id)


def user_info(account: Account, scope: str) -> dict[str, str | bool]:
    """Return the OpenID Connect claims of a user that the scope allows (OpenID Connect Core §5.1)."""
    claims, scopes = account.claims, set(scope.split())
    given, last = claims.get("givenname", ""), claims.get("lastname", "")
    user_claims: dict[str, str | bool] = {"sub": str(account.user_id)}
    if "profile" in scopes:
        name = f"{given} {last}".strip()
        user_claims |= {
            "name": name,
            "given_name": given,
            "family_name": last,
            "preferred_username": account.username,
        }
    if "email" in scopes:
        user_claims |= _address(account, "emailaddress", "email")
    if "phone" in scopes:
        user_claims |= _address(account, "mobile", "phone_number")
    if is_openid_scope(scope):
        user_claims["username"] = account.username
    return {claim: value for claim, value in user_claims.items() if value != ""}


def _address(account: Account, claim: str, name: str) -> dict[str, str | bool]:
    """An address with whether it is verified; nothing if the account has none."""
    value = account.claims.get(claim)
    return {name: value, f"{name}_verified": claim in account.verified} if value else {}


def describe_access_token(claims: Claims) -> TokenDescription:
    """Return the introspection response for the claims of an access token."""
    names = ("sub", "aud", "iss", "exp", "iat", "jti", "scope", "client_id", "azp", "org_handle")
    description = {name: claims[name] for name in names if name in claims}
    return TokenDescription(
        ACCESS_TOKEN, claims.get("client_id", ""), True, {**description, "token_type": "Bearer"}
    )


def describe_refresh_token(credential: Credential) -> TokenDescription:
    """Return the introspection response for a refresh token."""
    description = {
        "sub": str(credential.account.user_id),
        "scope": credential.scope,
        "client_id": credential.client_id,
        "username": credential.account.username,
        "token_type": REFRESH_TOKEN,
    }
    is_active = not (credential.is_spent or credential.is_void)
    return TokenDescription(REFRESH_TOKEN, credential.client_id, is_active, description)


def with_parameters(uri: str, **parameters: str) -> str:
    """Return the URI with parameters added to its query."""
    return str(add_params_to_uri(uri, list(parameters.items())))


def canonical_basic(client_id: str, secret: str) -> str:
    """Return the `Authorization` header for HTTP Basic with percent-encoded credentials (RFC 6749 §2.3.1)."""
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return "Basic " + base64.b64encode(pair.encode("utf-8", "surrogatepass")).decode()


def _headers(authorization: str | None) -> dict[str, str]:
    return {"Authorization": authorization} if authorization else {}
