"""A stand-in for an external identity server: a signing key and its JWKS."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey


class Issuer:
    """Serves `/t/{org}/oauth2/jwks` and signs tokens with any claims."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, parameters={"kid": "outside-1", "use": "sig", "alg": "RS256"})
        keys = json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path.endswith("/oauth2/jwks")
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(keys if found else b"{}")

            def do_POST(self) -> None:
                self.send_response(404)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def token(self, **changes: Any) -> str:
        """A valid token of an application of `acme` with changed claims; None omits a claim."""
        claims = {
            "iss": f"{self.url}/t/acme/oauth2/token",
            "sub": "outside-client",
            "aud": ["some-client", "iam-cds"],
            "org_handle": "acme",
            "azp": "outside-client",
            "exp": int(time.time()) + 600,
            "scope": "internal_cds_profile_view",
            **changes,
        }
        payload = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "outside-1"}, payload, self.key)

    def stop(self) -> None:
        self._server.shutdown()
