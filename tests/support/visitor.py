"""A browser that stores cookies and submits forms, and the application that redirects it to sign in.

Both call the whole application in the same process, with a real database and without a socket.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

CALLBACK = "https://shop.example/callback"
PASSWORD = "a long enough password"
PERMISSIONS = ("internal_cds_profile_view", "internal_cds_profile_update")


class Page(HTMLParser):
    """The elements of a page: labels, fields, ids, links, form actions, tags, inline scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.labels: set[str] = set()
        self.fields: dict[str, dict[str, str]] = {}
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.actions: list[str] = []
        self.tags: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.inline += [name for name in attributes if name == "style" or name.startswith("on")]
        if "id" in attributes:
            self.ids.add(attributes["id"])
        if tag == "label":
            self.labels.add(attributes["for"])
        elif tag == "input":
            self.fields[attributes["name"]] = attributes
        elif tag == "a":
            self.links.append(attributes["href"])
        elif tag == "form":
            self.actions.append(attributes.get("action", ""))

    @property
    def csrf(self) -> str:
        return self.fields["csrf"]["value"]


class Visitor:
    """A new browser that visits one organisation."""

    def __init__(self, app: Any, handle: str = "acme") -> None:
        transport = httpx.ASGITransport(app=app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost:8700")
        self.handle = handle

    def at(self, path: str) -> str:
        return f"/t/{self.handle}/{path}"

    async def open(self, path: str, **parameters: str) -> httpx.Response:
        return await self.http.get(self.at(path), params=parameters)

    async def submit(self, page: httpx.Response, to: str = "", **fields: str) -> httpx.Response:
        """Send the first form of a page whose address contains `to`, with its hidden fields."""
        shown = Page(page.text)
        action = next(action for action in shown.actions if to in action)
        return await self.http.post(action, data={"csrf": shown.csrf, **fields})

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Follow redirects, up to a page or the redirect address of the application."""
        while answer.is_redirect and not answer.headers["location"].startswith(CALLBACK):
            answer = await self.http.get(answer.headers["location"])
        return answer

    async def register(self, email: str, page: httpx.Response | None = None, **fields: str) -> httpx.Response:
        page = page or await self.open("accounts/register")
        person = {"email": email, "given_name": "Ann", "last_name": "Archer", "password": PASSWORD}
        return await self.submit(page, **{**person, **fields})

    async def sign_in(
        self, email: str, password: str = PASSWORD, page: httpx.Response | None = None
    ) -> httpx.Response:
        page = page or await self.open("accounts/login")
        return await self.submit(page, email=email, password=password)


class Application:
    """A client of the organisation; `secret` is None for a browser application."""

    def __init__(self, visitor: Visitor, client_id: str, secret: str | None) -> None:
        self.visitor = visitor
        self.client_id = client_id
        self.secret = secret
        self.verifier = secrets.token_urlsafe(48)

    def query(self, **changes: str | None) -> dict[str, str]:
        """The parameters of an authorize request; None removes one."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid profile email internal_cds_profile_view",
            "state": "the state",
            "nonce": "the nonce",
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    async def authorize(self, **changes: str | None) -> httpx.Response:
        """Send the browser to the authorize endpoint and follow the redirects."""
        visitor = self.visitor
        answer = await visitor.open("oauth2/authorize", **self.query(**changes))
        return await visitor.follow(answer)

    async def registration(self, **changes: str | None) -> httpx.Response:
        """The registration page for an authorize request."""
        login = await self.authorize(**changes)
        link = next(link for link in Page(login.text).links if "register" in link)
        return await self.visitor.http.get(link)

    async def token(self, **form: str) -> httpx.Response:
        """Send a request to the token endpoint as this application."""
        url = self.visitor.at("oauth2/token")
        if self.secret is None:
            return await self.visitor.http.post(url, data={"client_id": self.client_id, **form})
        return await self.visitor.http.post(url, data=form, auth=(self.client_id, self.secret))

    async def exchange(self, answer: httpx.Response, **changes: str) -> httpx.Response:
        """Exchange the code in a redirect for tokens."""
        form = {
            "grant_type": "authorization_code",
            "code": arrived(answer)["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
            **changes,
        }
        return await self.token(**form)

    async def tokens(self, answer: httpx.Response) -> dict[str, Any]:
        exchanged = await self.exchange(answer)
        assert exchanged.status_code == 200, exchanged.text
        return dict(exchanged.json())

    async def refresh(self, refresh_token: str, **form: str) -> httpx.Response:
        return await self.token(grant_type="refresh_token", refresh_token=refresh_token, **form)


def arrived(answer: httpx.Response) -> dict[str, str]:
    """The parameters that the application gets."""
    location = answer.headers.get("location", "")
    assert location.startswith(CALLBACK), f"{answer.status_code} {location} {answer.text[:500]}"
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified."""
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def heading(answer: httpx.Response) -> str:
    """The heading of a page."""
    found = re.search(r"<h1>(.*?)</h1>", answer.text)
    return found[1] if found else ""


def url(path: str, parameters: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(parameters)}"
