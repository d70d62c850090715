"""A person's browser, as far as a story needs one: cookies, redirects, links, forms. No JavaScript.

Law of this module: it sends what a page's own form holds, hidden fields included, and nothing it was not
shown. It never loads the shop: there it has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from http import HTTPStatus
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import msgspec

from oneself.demo.teller import Broken, Teller

REDIRECTS_MAX = 10
PROFILE_COOKIE = "cds_profile"


class Form(msgspec.Struct):
    """A form of a page: where it goes and what it holds, by field name."""

    action: str
    method: str
    fields: dict[str, str] = {}


class Page(msgspec.Struct, frozen=True):
    """What the browser shows. `title`, the links by their words, and the forms."""

    url: str
    title: str = ""
    links: dict[str, str] = {}
    forms: tuple[Form, ...] = ()

    @property
    def query(self) -> dict[str, str]:
        """What came with the address."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}


class Browser:
    """One browser of one person. `home`: where it is told to stop, the address of the shop."""

    def __init__(self, service: str, home: str, teller: Teller) -> None:
        self._home = home
        self._teller = teller
        self._http = httpx.Client(base_url=service, timeout=30.0, follow_redirects=False)

    def close(self) -> None:
        self._http.close()

    @property
    def tracker(self) -> str | None:
        """What the cookie `cds_profile` holds."""
        return self._http.cookies.get(PROFILE_COOKIE)

    def keep(self, answer: httpx.Response) -> None:
        """Keep the cookies of an answer that the shop passed on."""
        self._http.cookies.extract_cookies(answer)

    def open(self, address: str) -> Page:
        """Go to an address and follow where it leads."""
        return self._follow("GET", address, None)

    def click(self, page: Page, words: str) -> Page:
        """Follow the link that reads so."""
        self._teller.say(f"\n  [italic]clicks “{words}”[/]")
        return self.open(urljoin(page.url, page.links[words]))

    def fill(self, page: Page, entries: Mapping[str, str]) -> Page:
        """Fill in the form of a page and send it."""
        form = page.forms[0]
        return self._follow(form.method.upper(), urljoin(page.url, form.action), {**form.fields, **entries})

    def _follow(self, method: str, address: str, form: Mapping[str, str] | None) -> Page:
        for _ in range(REDIRECTS_MAX):
            self._teller.request(method, _path(address), form=form)
            answer = self._http.request(method, address, data=dict(form) if form else None)
            status = HTTPStatus(answer.status_code)
            if not answer.is_redirect:
                page = _read(answer)
                self._teller.answer(status.value, status.phrase, f"the page “{page.title}”")
                return page
            address = urljoin(str(answer.url), answer.headers["location"])
            if address.startswith(self._home):
                self._teller.answer(status.value, status.phrase, f"back to the shop{_with(address)}")
                return Page(address)
            self._teller.answer(status.value, status.phrase, f"on to {urlsplit(address).path}")
            method, form = "GET", None
        raise Broken(f"The browser was redirected more than {REDIRECTS_MAX} times.")


class _Reader(HTMLParser):
    """Title, links and forms of a page."""

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


def _read(answer: httpx.Response) -> Page:
    reader = _Reader()
    reader.feed(answer.text)
    if not answer.is_success:
        raise Broken(f"The page {answer.url.path} answered {answer.status_code}: {reader.title}")
    return Page(str(answer.url), reader.title, reader.links, tuple(reader.forms))


def _path(address: str) -> str:
    parts = urlsplit(address)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _with(address: str) -> str:
    """The names of what an address carries."""
    names = " and ".join(name for name in parse_qs(urlsplit(address).query) if name in ("code", "state"))
    return f", with {names}" if names else ""
