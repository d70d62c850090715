"""A stand-in for an identity server's claim-management interface: a real HTTP server on a real socket.

It answers as the published documentation says: lists are JSON arrays, `limit` and `offset` are 501, the id
of a dialect is the base64 of its URI, tokens come from `/t/{tenant}/oauth2/token`. Tests can set paging,
failing paths and slow answers; a restart invalidates tokens.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CLIENT = ("oneself-client", "oneself-secret")
LOCAL = "http://wso2.org/claims"
CORE = "urn:ietf:params:scim:schemas:core:2.0"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
WSO2 = "urn:scim:wso2:schema"
SCIM_1 = "urn:scim:schemas:core:1.0"
OIDC = "http://wso2.org/oidc/claim"
SCOPES = {"internal_application_mgt_view", "internal_claim_meta_view"}


def identifier(uri: str) -> str:
    return base64.urlsafe_b64encode(uri.encode()).decode().rstrip("=")


def local_claim(name: str, **fields: Any) -> dict[str, Any]:
    """A local claim as the claim-management interface shows it."""
    uri = f"{LOCAL}/{name}"
    return {
        "id": identifier(uri),
        "claimURI": uri,
        "dialectURI": LOCAL,
        "displayName": name.rpartition("/")[2].capitalize(),
        "readOnly": False,
        "required": False,
        "dataType": "string",
        "attributeMapping": [{"mappedAttribute": name, "userstore": "PRIMARY"}],
        "properties": [],
        **fields,
    }


class IdentityServer:
    """One server with one tenant's claims; `base_url` stays the same over restarts."""

    def __init__(self, tenant: str = "acme") -> None:
        self.tenant = tenant
        self.local: dict[str, dict[str, Any]] = {}
        self.dialects: dict[str, dict[str, str]] = {USER: {}, WSO2: {}, SCIM_1: {}, OIDC: {}}
        self.applications: dict[str, str] = {}
        self.page_size: int | None = None
        self.has_next_links = False
        self.failing: dict[str, int] = {}
        self.delays: dict[str, float] = {}
        self.before: Callable[[str], None] = lambda path: None
        self.tokens: set[str] = set()
        self.token_life_s = 3600
        self.requests: list[tuple[str, str]] = []
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.connected: set[socket.socket] = set()

    # claims

    def add(self, name: str, *, dialect: str = USER, scim: str | None = None, **fields: Any) -> None:
        """Add a local claim and a claim of a dialect that maps to it."""
        self.local[f"{LOCAL}/{name}"] = local_claim(name, **fields)
        self.dialects[dialect][f"{dialect}:{scim or name.rpartition('/')[2]}"] = f"{LOCAL}/{name}"

    def remove(self, name: str) -> None:
        """Remove a local claim and every claim that maps to it."""
        uri = f"{LOCAL}/{name}"
        del self.local[uri]
        for claims in self.dialects.values():
            for scim in [scim for scim, mapped in claims.items() if mapped == uri]:
                del claims[scim]

    # start and stop

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> IdentityServer:
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop; invalidate all tokens and close all connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self.connected):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.tokens.clear()

    def restart(self) -> None:
        self.stop()
        self.start()

    def paths(self) -> list[str]:
        """The requested paths, without the tenant."""
        return [path for _, path in self.requests]

    # answers

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        tenant, _, rest = parts.path.removeprefix("/t/").partition("/")
        path, query = f"/{rest}", {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.requests.append((method, path + (f"?{parts.query}" if parts.query else "")))
        self.before(path)
        time.sleep(max((s for prefix, s in self.delays.items() if path.startswith(prefix)), default=0))
        for prefix, status in self.failing.items():
            if path.startswith(prefix):
                return status, {
                    "code": "CMT-50000",
                    "message": "Internal error",
                    "description": "out of order",
                }
        if path == "/oauth2/token":
            return self._token(tenant, headers, body)
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if tenant != self.tenant or token not in self.tokens or not token.startswith(scheme):
            return 401, {"code": "401", "message": "Unauthorized"}
        if path.startswith("/api/server/v1/applications"):
            return self._applications(path, query)
        return self._claims(path, query)

    def _token(self, tenant: str, headers: Any, body: bytes) -> tuple[int, Any]:
        form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        basic = base64.b64encode(":".join(CLIENT).encode()).decode()
        if headers.get("Authorization") != f"Basic {basic}":
            return 401, {"error": "invalid_client"}
        scheme = {"client_credentials": "Bearer", "system_app_grant": "SystemApp"}[form["grant_type"]]
        organisation = form["organizationHandle"] if scheme == "SystemApp" else tenant
        if organisation != self.tenant or (scheme == "SystemApp" and tenant != "carbon.super"):
            return 400, {"error": "invalid_request"}
        assert set(form["scope"].split()) >= SCOPES
        token = f"{scheme}-{uuid.uuid4()}"
        self.tokens.add(token)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.token_life_s}

    def _claims(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        path = path.removeprefix("/api/server/v1/claim-dialects")
        if path == "":
            found = [{"id": identifier(uri), "dialectURI": uri} for uri in [LOCAL, *self.dialects]]
        elif path == "/local/claims":
            found = list(self.local.values())
        else:
            wanted = unquote(path.removeprefix("/").removesuffix("/claims"))
            dialect = next((uri for uri in self.dialects if identifier(uri) == wanted), None)
            if dialect is None:
                return 404, {"code": "CMT-50016", "message": "Resource not found."}
            found = [
                {
                    "id": identifier(uri),
                    "claimURI": uri,
                    "claimDialectURI": dialect,
                    "mappedLocalClaimURI": local,
                }
                for uri, local in self.dialects[dialect].items()
            ]
        return self._paged(path, found, query)

    def _paged(self, path: str, found: list[Any], query: dict[str, str]) -> tuple[int, Any]:
        if self.page_size is None:
            if query:
                return 501, {"code": "CMT-50003", "message": "Pagination not supported."}
            return 200, found
        offset = int(query.get("offset", 0))
        page = found[offset : offset + self.page_size]
        if not self.has_next_links:
            return 200, page
        following = offset + len(page)
        target = f"/t/{self.tenant}/api/server/v1/claim-dialects{path}?offset={following}"
        links = [{"rel": "next", "href": target}] if following < len(found) else []
        return 200, {"totalResults": len(found), "count": len(page), "claims": page, "links": links}

    def _applications(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        application_id = unquote(path.removeprefix("/api/server/v1/applications").removeprefix("/"))
        if application_id:
            exists = application_id in self.applications.values()
            return (200, {"id": application_id}) if exists else (404, {"code": "APP-60006"})
        client_id = query["filter"].split()[2]
        assert query["filter"] == f"clientId eq {client_id} or issuer eq {client_id}"
        found = [{"id": i, "name": client} for client, i in self.applications.items() if client == client_id]
        return 200, {"totalResults": len(found), "startIndex": 1, "count": len(found), "applications": found}


class _Handler(BaseHTTPRequestHandler):
    server_of: IdentityServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server_of.connected.add(self.connection)

    def finish(self) -> None:
        self.server_of.connected.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, document = self.server_of.answer(self.command, self.path, self.headers, body)
        answer = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass
