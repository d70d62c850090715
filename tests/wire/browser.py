"""A browser for tests: cookies by host, links, forms and redirects. No JavaScript."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx

REDIRECTS_MAX = 12
CALLBACK = "https://shop.example/callback"


@dataclass
class Field:
    name: str
    type: str = "text"
    value: str = ""
    required: bool = False
    checked: bool = False


@dataclass
class Form:
    action: str
    method: str
    fields: list[Field] = field(default_factory=list)

    def has(self, kind: str) -> bool:
        return any(f.type == kind for f in self.fields)


@dataclass
class Page:
    """The shown page: its URL, the answer, its links and forms."""

    url: str
    answer: httpx.Response
    links: list[str] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)

    @property
    def callback_query(self) -> dict[str, str]:
        """The query of the callback address, after the redirect to it."""
        assert self.url.startswith(CALLBACK), (
            f"still at {self.url}: {self.answer.status_code} {self.answer.text[:1500]}"
        )
        return {key: values[0] for key, values in parse_qs(urlsplit(self.url).query).items()}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {key: value or "" for key, value in attrs}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        elif tag == "form":
            self.forms.append(Form(attributes.get("action", ""), attributes.get("method", "get").lower()))
        elif tag in ("input", "button", "textarea") and self.forms and attributes.get("name"):
            kind = attributes.get("type", "submit" if tag == "button" else "text").lower()
            self.forms[-1].fields.append(
                Field(
                    attributes["name"],
                    kind,
                    attributes.get("value", ""),
                    "required" in attributes,
                    "checked" in attributes,
                )
            )


class Browser:
    """Follows redirects up to the callback address of the application, which it does not load."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.http = httpx.Client(timeout=30.0, follow_redirects=False)
        self.cookies: dict[str, dict[str, str]] = {}

    def close(self) -> None:
        self.http.close()

    def open(self, url: str, **kwargs: Any) -> Page:
        return self._follow("GET", urljoin(self.base_url + "/", url), kwargs)

    def submit(self, page: Page, form: Form, data: dict[str, str]) -> Page:
        target = urljoin(page.url, form.action) if form.action else page.url
        at = urlsplit(page.url)
        headers = {"Origin": f"{at.scheme}://{at.netloc}", "Referer": page.url}
        if form.method == "get":
            return self._follow("GET", f"{target}?{urlencode(data)}", {"headers": headers})
        return self._follow("POST", target, {"data": data, "headers": headers})

    def fill(self, page: Page, person: dict[str, str], kind: str = "password") -> Page:
        """Fill in the form that has a field of type `kind` with the data of `person` and submit it."""
        form = next(f for f in page.forms if f.has(kind))
        return self.submit(
            page, form, {f.name: value for f in form.fields if (value := value_for(f, person)) is not None}
        )

    def store_cookies(self, answer: httpx.Response) -> None:
        """Store the cookies of an answer, as `fetch` with credentials does."""
        jar = self.cookies.setdefault(answer.request.url.host, {})
        for line in answer.headers.get_list("set-cookie"):
            first, *rest = [part.strip() for part in line.split(";")]
            name, _, value = first.partition("=")
            attributes = {part.partition("=")[0].lower(): part.partition("=")[2] for part in rest}
            if attributes.get("max-age") == "0" or "1970" in attributes.get("expires", ""):
                jar.pop(name, None)
            else:
                jar[name] = value

    def cookie_header(self, host: str) -> dict[str, str]:
        jar = self.cookies.get(host, {})
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}

    def _follow(self, method: str, url: str, kwargs: dict[str, Any]) -> Page:
        for _ in range(REDIRECTS_MAX):
            headers = {**kwargs.pop("headers", {}), **self.cookie_header(urlsplit(url).hostname or "")}
            headers.setdefault("Accept", "text/html")
            answer = self.http.request(method, url, headers=headers, **kwargs)
            self.store_cookies(answer)
            if answer.status_code not in (301, 302, 303, 307, 308):
                return _read(answer)
            url = urljoin(url, answer.headers["location"])
            if url.startswith(CALLBACK):
                return Page(url, answer)
            method, kwargs = "GET", {}
        raise AssertionError(f"redirected more than {REDIRECTS_MAX} times, now at {url}")


def _read(answer: httpx.Response) -> Page:
    reader = _Reader()
    if answer.headers.get("content-type", "").startswith("text/html"):
        reader.feed(answer.text)
    return Page(str(answer.url), answer, reader.links, reader.forms)


def value_for(field: Field, person: dict[str, str]) -> str | None:
    """The value of a field for this person; None for a field that a browser does not send."""
    name = field.name.lower()
    if field.type == "hidden":
        return field.value
    if field.type == "password":
        return person["password"]
    if field.type in ("checkbox", "radio"):
        return (field.value or "on") if field.required or field.checked else None
    if field.type == "submit":
        return None if field.value.lower() in ("cancel", "deny", "no") else field.value
    for part, key in (
        ("mail", "email"),
        ("user", "username"),
        ("login", "username"),
        ("identifier", "username"),
    ):
        if part in name:
            return person[key]
    for part, key in (
        ("given", "given"),
        ("first", "given"),
        ("family", "family"),
        ("last", "family"),
        ("name", "given"),
    ):
        if part in name:
            return person.get(key, "Ann")
    return person.get(name, field.value)


# -- the application's side of the authorization code flow ------------------------------------------


@dataclass(frozen=True)
class WebApplication:
    """An application with a callback address; `client_secret` is None for a public application."""

    base_url: str
    org: str
    client_id: str
    client_secret: str | None
    scope: str = "openid internal_cds_profile_view internal_cds_profile_update"

    def authorize_url(self, challenge: str, **extra: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": self.scope,
            "state": "state-of-the-shop",
            "nonce": "nonce-of-the-shop",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **extra,
        }
        return f"{self.base_url}/t/{self.org}/oauth2/authorize?{urlencode(query)}"

    def exchange(self, code: str, verifier: str, **extra: str) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": verifier,
            **extra,
        }
        return self.token_request(form)

    def token_request(self, form: dict[str, str]) -> httpx.Response:
        url = f"{self.base_url}/t/{self.org}/oauth2/token"
        if self.client_secret is None:
            return httpx.post(url, data={**form, "client_id": self.client_id}, timeout=30)
        return httpx.post(url, data=form, auth=(self.client_id, self.client_secret), timeout=30)


def pkce() -> tuple[str, str]:
    """A code verifier and its S256 challenge."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def register(browser: Browser, app: WebApplication, person: dict[str, str], **extra: str) -> dict[str, Any]:
    """Open authorize, follow the link to registration and register; the token response of the exchange."""
    verifier, challenge = pkce()
    page = browser.open(app.authorize_url(challenge, **extra))
    registration = next((link for link in page.links if "register" in link), None)
    assert registration is not None, f"no link to registration on {page.url}: {page.links}"
    page = browser.open(urljoin(page.url, registration))
    page = browser.fill(page, person)
    if not page.url.startswith(CALLBACK):  # a provider can ask for a sign-in after registration
        page = browser.fill(page, person)
    return _tokens(app, page, verifier)


def sign_in(browser: Browser, app: WebApplication, person: dict[str, str], **extra: str) -> dict[str, Any]:
    """Open authorize and sign in if a form asks for it; the token response of the exchange."""
    verifier, challenge = pkce()
    page = browser.open(app.authorize_url(challenge, **extra))
    if not page.url.startswith(CALLBACK):
        page = browser.fill(page, person)
    return _tokens(app, page, verifier)


def _tokens(app: WebApplication, page: Page, verifier: str) -> dict[str, Any]:
    callback_query = page.callback_query
    assert callback_query["state"] == "state-of-the-shop", callback_query
    answer = app.exchange(callback_query["code"], verifier)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def new_person(word: str) -> dict[str, str]:
    return {
        "username": word,
        "email": f"{word}@acme.example",
        "password": f"correct horse {word} Battery 9!",
        "given": "Ann",
        "family": "Archer",
    }
