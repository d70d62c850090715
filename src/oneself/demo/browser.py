"""A minimal browser for the story: cookies, redirects, links, forms. No JavaScript.

Invariants: it sends only the fields of a page's form, including hidden ones. It stops at the URL of the shop
without loading it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from http import HTTPStatus
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import msgspec

from oneself.demo.narrator import ExpectationFailed, Narrator

REDIRECTS_MAX = 10
PROFILE_COOKIE = "cds_profile"


class Form(msgspec.Struct):
    """A form of a page. `fields`: name → value."""

    action: str
    method: str
    fields: dict[str, str] = {}


class Page(msgspec.Struct, frozen=True):
    """A loaded page. `links`: text → URL."""

    url: str
    title: str = ""
    links: dict[str, str] = {}
    forms: tuple[Form, ...] = ()

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the URL: name → first value."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}


class Browser:
    """A browser of a user. `home`: the URL of the shop, where it stops."""

    def __init__(self, service: str, home: str, narrator: Narrator) -> None:
        self._home = home
        self._narrator = narrator
        self._http = httpx.Client(base_url=service, timeout=30.0, follow_redirects=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def tracker(self) -> str | None:
        """The value of the cookie `cds_profile`."""
        return self._http.cookies.get(PROFILE_COOKIE)

    def store_cookies(self, response: httpx.Response) -> None:
        """Store the cookies of a response that the shop forwarded."""
        self._http.cookies.extract_cookies(response)

    def open(self, address: str) -> Page:
        """Load a URL and follow redirects."""
        return self._follow("GET", address, None)

    def click(self, page: Page, text: str) -> Page:
        """Follow the link with this text."""
        self._narrator.say(f"\n  [italic]clicks “{text}”[/]")
        return self.open(urljoin(page.url, page.links[text]))

    def fill(self, page: Page, entries: Mapping[str, str]) -> Page:
        """Fill in the first form of a page and send it."""
        form = page.forms[0]
        return self._follow(form.method.upper(), urljoin(page.url, form.action), {**form.fields, **entries})

    def _follow(self, method: str, address: str, form: Mapping[str, str] | None) -> Page:
        for _ in range(REDIRECTS_MAX):
            self._narrator.request(method, _path(address), form=form)
            response = self._http.request(method, address, data=dict(form) if form else None)
            status = HTTPStatus(response.status_code)
            if not response.is_redirect:
                page = _read(response)
                self._narrator.answer(status.value, status.phrase, f"the page “{page.title}”")
                return page
            address = urljoin(str(response.url), response.headers["location"])
            if address.startswith(self._home):
                self._narrator.answer(status.value, status.phrase, f"back to the shop{_with(address)}")
                return Page(address)
            self._narrator.answer(status.value, status.phrase, f"redirect to {urlsplit(address).path}")
            method, form = "GET", None
        raise ExpectationFailed(f"The browser was redirected more than {REDIRECTS_MAX} times.")


class _Reader(HTMLParser):
    """Collects title, links and forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.links: dict[str, str] = {}
        self.forms: list[Form] = []
        self._inside = ""
        self._target = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._inside = tag
        if tag == "a":
            self._target = attributes.get("href", "")
        elif tag == "form":
            self.forms.append(Form(attributes.get("action", ""), attributes.get("method", "get")))
        elif tag == "input" and self.forms and attributes.get("name"):
            self.forms[-1].fields[attributes["name"]] = attributes.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title = data.strip()
        elif self._inside == "a" and data.strip():
            self.links[data.strip()] = self._target


def _read(response: httpx.Response) -> Page:
    reader = _Reader()
    reader.feed(response.text)
    if not response.is_success:
        raise ExpectationFailed(
            f"The page {response.url.path} returned {response.status_code}: {reader.title}"
        )
    return Page(str(response.url), reader.title, reader.links, tuple(reader.forms))


def _path(address: str) -> str:
    parts = urlsplit(address)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _with(address: str) -> str:
    """The names of the OAuth parameters in a URL, as a phrase."""
    names = " and ".join(name for name in parse_qs(urlsplit(address).query) if name in ("code", "state"))
    return f", with {names}" if names else ""
