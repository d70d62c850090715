"""Requests of the shop's back end, printed as they are sent.

Invariants: each request is printed once. The profile cookie is forwarded as a back end of a web page does:
from the visitor's request to the service, and from the service's response to the visitor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from oneself.demo.browser import Browser
from oneself.demo.narrator import Narrator
from oneself.demo.stage import BACKEND, ORG, WEB, Stage

TIMEOUT_S = 30.0


class Reply(msgspec.Struct, frozen=True):
    """A response. `body`: decoded JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def version(self) -> str:
        """The `ETag` of the unified profile."""
        return self.headers.get("etag", "")


class Client:
    """The back end of the shop. `token`: the access token of all requests, once it is set."""

    def __init__(self, stage: Stage, narrator: Narrator) -> None:
        self._stage = stage
        self._narrator = narrator
        self._http = httpx.Client(base_url=stage.service, timeout=TIMEOUT_S)
        self.token = ""

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def fetch_token(self, permissions: Sequence[str]) -> str:
        """Return an access token by the client credentials grant."""
        form = {"grant_type": "client_credentials", "scope": " ".join(permissions)}
        return str(self._request_token(form, (BACKEND, self._stage.backend_secret)).body["access_token"])

    def exchange(self, code: str, verifier: str) -> Mapping[str, str]:
        """Exchange the authorization code for tokens of the signed-in user."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._stage.callback,
            "code_verifier": verifier,
        }
        tokens: dict[str, str] = self._request_token(form, (WEB, self._stage.web_secret)).body
        return tokens

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        browser: Browser | None = None,
        meaning: str = "",
        base: str = "",
    ) -> Reply:
        """Send a request to the profile API.

        `browser`: the browser whose cookie is forwarded. `meaning`: a note to print beside the status.
        `base`: a base path other than the one of the customer data service.
        """
        address = f"{base or self._stage.api}{path}" + (f"?{urlencode(query, safe='.,: ')}" if query else "")
        self._narrator.request(method, address, body)
        headers = {"Authorization": f"Bearer {self.token}"}
        if browser is not None and browser.tracker:
            self._narrator.fact("cookie", f"cds_profile={browser.tracker}", "the browser sends its cookie")
            headers["Cookie"] = f"cds_profile={browser.tracker}"
        response = self._http.request(method, address, json=body, headers=headers)
        # A cookie of one visitor must not be sent with the request of another.
        self._http.cookies.clear()
        if browser is not None:
            browser.store_cookies(response)
        return self._reply(response, meaning)

    def send(self, event: Mapping[str, Any]) -> Reply:
        """Send an event as a web page does, without authentication."""
        self._narrator.request("POST", self._stage.event_path, _displayed(event))
        return self._reply(self._post_event(event))

    def send_briefly(self, spelling: str, event: Mapping[str, Any]) -> Reply:
        """Send an event and print it in one line. `spelling`: the label of the line."""
        response = self._post_event(event)
        self._narrator.fact(spelling, msgspec.json.encode(event["user"]).decode())
        return Reply(response.status_code, response.json(), dict(response.headers))

    def _post_event(self, event: Mapping[str, Any]) -> httpx.Response:
        response = self._http.post(self._stage.event_path, json=event)
        response.raise_for_status()
        return response

    def _request_token(self, form: Mapping[str, str], credentials: tuple[str, str]) -> Reply:
        path = f"/t/{ORG}/oauth2/token"
        self._narrator.request("POST", path, form=form)
        self._narrator.fact("Basic", f"{credentials[0]}:••••••", "the application's client id and secret")
        response = self._http.post(path, data=dict(form), auth=credentials)
        response.raise_for_status()
        return self._reply(response)

    def _reply(self, response: httpx.Response, meaning: str = "") -> Reply:
        status = HTTPStatus(response.status_code)
        self._narrator.answer(status.value, status.phrase, meaning)
        body = response.json() if response.content else None
        return Reply(response.status_code, body, dict(response.headers))


def _displayed(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event to print; the token is shortened."""
    user = event["user"]
    if "encryptedId" not in user:
        return dict(event)
    return {**event, "user": {**user, "encryptedId": f"{user['encryptedId'][:12]}…"}}
