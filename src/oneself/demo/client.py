"""Requests of the shop's back end, told as they go.

Law of this module: one request, one telling. The visitor's cookie is passed on as a back end does that
answers pages: it came with the visitor's request and goes back with the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from oneself.demo.browser import Browser
from oneself.demo.stage import BACKEND, ORG, WEB, Stage
from oneself.demo.teller import Teller

TIMEOUT_S = 30.0


class Reply(msgspec.Struct, frozen=True):
    """An answer: `body` is decoded JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def version(self) -> str:
        """The opaque version of the unified profile."""
        return self.headers.get("etag", "")


class Client:
    """The back end of the shop; `token` is sent with every request once it is set."""

    def __init__(self, stage: Stage, teller: Teller) -> None:
        self._stage = stage
        self._teller = teller
        self._http = httpx.Client(base_url=stage.service, timeout=TIMEOUT_S)
        self.token = ""

    def close(self) -> None:
        self._http.close()

    def fetch_token(self, permissions: Sequence[str]) -> str:
        """An access token by client credentials, as in the seed."""
        form = {"grant_type": "client_credentials", "scope": " ".join(permissions)}
        return str(self._ask_for_token(form, (BACKEND, self._stage.backend_secret)).body["access_token"])

    def exchange(self, code: str, verifier: str) -> Mapping[str, str]:
        """The tokens of a person who signed in, for the code that came with the browser."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._stage.callback,
            "code_verifier": verifier,
        }
        tokens: dict[str, str] = self._ask_for_token(form, (WEB, self._stage.web_secret)).body
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
        below: str = "",
    ) -> Reply:
        """A request about profiles. `browser`: whose cookie goes; `below`: another address than CDS's."""
        address = f"{below or self._stage.api}{path}" + (f"?{urlencode(query, safe='.,: ')}" if query else "")
        self._teller.request(method, address, body)
        headers = {"Authorization": f"Bearer {self.token}"}
        if browser is not None and browser.tracker:
            self._teller.fact(
                "cookie", f"cds_profile={browser.tracker}", "the browser sends what it was given"
            )
            headers["Cookie"] = f"cds_profile={browser.tracker}"
        answer = self._http.request(method, address, json=body, headers=headers)
        # What one visitor's answer sets must not go along with the next visitor's request.
        self._http.cookies.clear()
        if browser is not None:
            browser.keep(answer)
        return self._printed(answer, meaning)

    def send(self, event: Mapping[str, Any]) -> Reply:
        """An event as any page sends it: nobody is asked who it is."""
        self._teller.request("POST", self._stage.event_path, _displayed(event))
        return self._printed(self._post_event(event))

    def send_briefly(self, spelling: str, event: Mapping[str, Any]) -> Reply:
        """An event that was sent before in other words, told in one line."""
        answer = self._post_event(event)
        self._teller.fact(spelling, msgspec.json.encode(event["user"]).decode())
        return Reply(answer.status_code, answer.json(), dict(answer.headers))

    def _post_event(self, event: Mapping[str, Any]) -> httpx.Response:
        answer = self._http.post(self._stage.event_path, json=event)
        answer.raise_for_status()
        return answer

    def _ask_for_token(self, form: Mapping[str, str], credentials: tuple[str, str]) -> Reply:
        path = f"/t/{ORG}/oauth2/token"
        self._teller.request("POST", path, form=form)
        self._teller.fact("Basic", f"{credentials[0]}:••••••", "the application's client id and secret")
        answer = self._http.post(path, data=dict(form), auth=credentials)
        answer.raise_for_status()
        return self._printed(answer)

    def _printed(self, answer: httpx.Response, meaning: str = "") -> Reply:
        status = HTTPStatus(answer.status_code)
        self._teller.answer(status.value, status.phrase, meaning)
        body = answer.json() if answer.content else None
        return Reply(answer.status_code, body, dict(answer.headers))


def _displayed(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event as it is printed: of a token only the beginning."""
    user = event["user"]
    if "encryptedId" not in user:
        return dict(event)
    return {**event, "user": {**user, "encryptedId": f"{user['encryptedId'][:12]}…"}}
