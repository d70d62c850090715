"""An issuer in memory: its documents, its keys, and tokens of every kind."""

from __future__ import annotations

import time
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

URL = "https://login.example"
JWKS = f"{URL}/keys"
# As it is before the tests of our own keys put one for all in its place.
new_rsa_key = RSAKey.generate_key


class Issuer:
    """Answers as an OpenID provider does; `answers` puts other answers in the place of its own, by path."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, httpx.Response | Exception] = {}
        self.keys: list[Any] = [new_rsa_key(2048, parameters={"kid": "one"})]
        self.metadata: dict[str, Any] = {"issuer": URL, "jwks_uri": JWKS}

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def token(self, *, header: dict[str, Any] | None = None, key: Any = None, **changes: Any) -> str:
        """A good token of an application, with these claims changed; None leaves one out, "now-30" is an
        instant.
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
        kept = {name: _instant(value) for name, value in claims.items() if value is not None}
        used = key or self.keys[-1]
        kind = {RSAKey: "RS256", ECKey: "ES256", OctKey: "HS256"}[type(used)]
        named = {"alg": kind, "kid": used.kid, **(header or {})}
        written = {name: value for name, value in named.items() if value is not None}
        return jwt.encode(written, kept, used, algorithms=[named["alg"]])

    def _answer(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        self.asked.append(url)
        found = self.answers.get(request.url.path)
        if isinstance(found, Exception):
            raise found
        if found is not None:
            return found
        if url == f"{URL}/.well-known/openid-configuration":
            return httpx.Response(200, json=self.metadata)
        if url in (JWKS, f"{URL}/t/acme/oauth2/jwks"):
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})
        return httpx.Response(404)


def _instant(value: Any) -> Any:
    is_relative = isinstance(value, str) and value.startswith("now")
    return int(time.time()) + int(value[3:]) if is_relative else value
