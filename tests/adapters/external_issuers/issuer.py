"""An OpenID provider in memory: its metadata, keys and tokens."""

from __future__ import annotations

import time
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

URL = "https://login.example"
JWKS = f"{URL}/keys"
# Bound at import: the fixture `fast_crypto` replaces `RSAKey.generate_key` by one shared key.
new_rsa_key = RSAKey.generate_key


class Issuer:
    """Answers as an OpenID provider does; `answers` replaces the answer of a path."""

    def __init__(self) -> None:
        self.requested_urls: list[str] = []
        self.answers: dict[str, httpx.Response | Exception] = {}
        self.keys: list[Any] = [new_rsa_key(2048, parameters={"kid": "one"})]
        self.metadata: dict[str, Any] = {"issuer": URL, "jwks_uri": JWKS}

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def token(self, *, header: dict[str, Any] | None = None, key: Any = None, **changes: Any) -> str:
        """A valid token of an application with changed claims.

        None omits a claim; "now-30" means 30 seconds ago.
        """
        claims = {
            "iss": URL,
            "sub": "shop",
            "aud": ["iam-cds", "another"],
            "client_id": "shop",
            "exp": int(time.time()) + 600,
            "scope": "openid internal_cds_profile_view",
            **changes,
        }
        payload = {name: _instant(value) for name, value in claims.items() if value is not None}
        signing_key = key or self.keys[-1]
        algorithm = {RSAKey: "RS256", ECKey: "ES256", OctKey: "HS256"}[type(signing_key)]
        fields = {"alg": algorithm, "kid": signing_key.kid, **(header or {})}
        protected = {name: value for name, value in fields.items() if value is not None}
        return jwt.encode(protected, payload, signing_key, algorithms=[fields["alg"]])

    def _answer(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        self.requested_urls.append(url)
        replacement = self.answers.get(request.url.path)
        if isinstance(replacement, Exception):
            raise replacement
        if replacement is not None:
            return replacement
        if url == f"{URL}/.well-known/openid-configuration":
            return httpx.Response(200, json=self.metadata)
        if url in (JWKS, f"{URL}/t/acme/oauth2/jwks"):
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})
        return httpx.Response(404)


def _instant(value: Any) -> Any:
    is_relative = isinstance(value, str) and value.startswith("now")
    return int(time.time()) + int(value[3:]) if is_relative else value
