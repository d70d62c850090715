"""The authorization server of the console: authorization code with PKCE for one application, without HTTP.

    authorize   check the request, then create a code for the console user who gave their password
    redeem      exchange the code and its verifier for an access token, which is the token of the session

Invariants: Authlib decides about requests, as for organisations (`authlib_server`). The console is the only
application; it has no secret, so it must send a PKCE challenge. Its redirect URI is a path, so that a code
stays on the origin on which it was asked for. Nothing else has this server: it has no keys, no refresh tokens
and no scopes. Source: docs/decisions/0054-who-signs-in-to-the-console.md.
"""

from __future__ import annotations

import uuid
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc6750.token import BearerTokenGenerator

from oneself.auth.provider.authlib_models import (
    ACCESS_TOKEN,
    OAuthClient,
    OAuthRequest,
    OAuthResponse,
    OAuthUser,
)
from oneself.auth.provider.authlib_server import S256, CodeGrant, LocalServer, Pkce
from oneself.errors import InvalidInput
from oneself.service.crypto import new_token
from oneself.service.directory.accounts import Account
from oneself.service.directory.applications import Application
from oneself.service.directory.console_sessions import SESSION_LIFE_S, ConsoleSessions
from oneself.service.directory.console_users import ConsoleUser
from oneself.service.directory.grants import Credential
from oneself.web.forms import Parameters

AUTHORIZE_PATH, REDIRECT_PATH = "/console/oauth2/authorize", "/console/signed-in"
CLIENT_ID = "console"
_CONSOLE = Application(CLIENT_ID, "Oneself", "browser", (REDIRECT_PATH,), (), (), 0)


class ConsoleServer(LocalServer):
    """Authlib's authorization server for one request. `credential`: the code of a token request."""

    def __init__(self, credential: Credential | None = None) -> None:
        super().__init__()
        self.context = self
        self.credential = credential
        self._client = OAuthClient(_CONSOLE, False, without_user=False)
        self.register_grant(CodeGrant, [Pkce()])
        self.register_token_generator("default", BearerTokenGenerator(_session_token, None, SESSION_LIFE_S))

    def query_client(self, client_id: str) -> OAuthClient | None:
        return self._client if client_id == CLIENT_ID else None

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        return None


def check_authorize_request(parameters: Parameters) -> None:
    """Raise InvalidInput for an authorization request that the console did not make."""
    _grant(ConsoleServer(), OAuthRequest("GET", parameters), None)


async def authorize(sessions: ConsoleSessions, parameters: Parameters, user: ConsoleUser) -> str:
    """Create a code for a console user, and return where the browser goes with it. Raises InvalidInput."""
    server, request = ConsoleServer(), OAuthRequest("GET", parameters)
    signed_in = OAuthUser(Account(user.console_user_id, user.username, {}))
    grant = _grant(server, request, signed_in)
    challenge = request.payload.data["code_challenge"]
    grant.code = await sessions.create_code(user.console_user_id, challenge)
    location = server.create_authorization_response(request, signed_in, grant).location
    assert location is not None, "the request was checked"
    return str(location)


async def redeem(sessions: ConsoleSessions, code: str, verifier: str) -> str | None:
    """Redeem a code and begin the session; None if the code or its verifier is invalid."""
    row = await sessions.redeem_code(code)
    if row is None:
        return None
    credential = Credential(
        kind="code",
        grant_id=uuid.uuid4(),
        client_id=CLIENT_ID,
        account=Account(row.console_user_id, row.username, {}),
        session_id=None,
        scope="",
        auth_time=0,
        is_spent=False,
        is_void=False,
        redirect_uri=REDIRECT_PATH,
        code_challenge=row.code_challenge,
        code_challenge_method=S256,
    )
    form = {
        "grant_type": ["authorization_code"],
        "client_id": [CLIENT_ID],
        "code": [code],
        "redirect_uri": [REDIRECT_PATH],
        "code_verifier": [verifier],
    }
    response: OAuthResponse = ConsoleServer(credential).create_token_response(OAuthRequest("POST", form))
    if response.status != 200:
        return None
    token = str(response.body[ACCESS_TOKEN])
    await sessions.create(row.console_user_id, token)
    return token


def _grant(server: ConsoleServer, request: OAuthRequest, user: OAuthUser | None) -> CodeGrant:
    try:
        grant: CodeGrant = server.get_consent_grant(request, user)
    except OAuth2Error as error:
        raise InvalidInput(error.error, "This sign-in link is not valid.") from error
    return grant


def _session_token(**_: object) -> str:
    return new_token()
