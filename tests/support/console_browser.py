"""A browser of a console user, without JavaScript, on the whole application in the same process."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urljoin

import httpx

from oneself.services import Services
from support.visitor import Page

ADMIN, ADMIN_PASSWORD = "ada", "a good password"
REDIRECTS_MAX = 6


class ConsoleBrowser:
    """Cookies, redirects and forms. `page`: the last answer, redirects followed."""

    def __init__(self, app: Any) -> None:
        transport = httpx.ASGITransport(app=app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost:8700")
        self.page = httpx.Response(200)

    async def open(self, path: str, **parameters: str) -> httpx.Response:
        self.page = await self._follow(await self.http.get(path, params=parameters or None))
        return self.page

    async def submit(self, page: httpx.Response | None = None, to: str = "", **fields: str) -> httpx.Response:
        """Send the first form of a page that is not for signing out, with what it contains."""
        page = page or self.page
        form = next(form for form in _forms(page.text) if 'action="/console/sign-out"' not in form)
        action = re.search(r'<form[^>]* action="([^"]*)"', form)
        address = urljoin(str(page.url), html.unescape(action[1]) if action else str(page.url))
        sent = {**_fields(form), **fields}
        self.page = await self._follow(await self.http.post(to or address, data=sent))
        return self.page

    async def sign_in(self, username: str = ADMIN, password: str = ADMIN_PASSWORD) -> httpx.Response:
        await self.open("/console/")
        return await self.submit(username=username, password=password)

    async def submit_sign_out(self) -> httpx.Response:
        await self.open("/console/")
        sent = {"csrf": self.parsed.csrf}
        self.page = await self._follow(await self.http.post("/console/sign-out", data=sent))
        return self.page

    @property
    def text(self) -> str:
        """The page without tags."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.page.text)).split())

    @property
    def heading(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.page.text)
        return html.unescape(found[1]) if found else ""

    @property
    def parsed(self) -> Page:
        return Page(self.page.text)

    async def _follow(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(REDIRECTS_MAX):
            if not answer.is_redirect:
                return answer
            answer = await self.http.get(urljoin(str(answer.url), answer.headers["location"]))
        raise AssertionError(f"too many redirects: {answer.url}")


async def new_console_user(services: Services, username: str, role: str, *handles: str) -> None:
    roles = {await services.directory.organisations.get(handle): role for handle in handles}
    await services.directory.console_users.create(username, ADMIN_PASSWORD, roles)


def _forms(text: str) -> list[str]:
    return re.findall(r"<form.*?</form>", text, re.DOTALL)


def _fields(form: str) -> dict[str, str | list[str]]:
    """What a browser would send: hidden and text fields, chosen options, areas; checkboxes as a list."""
    found: dict[str, str | list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = dict(re.findall(r'([a-z]+)="([^"]*)"', tag))
        if attributes.get("type") in ("radio", "checkbox") and " checked" not in tag:
            continue
        if "name" not in attributes:
            continue
        name, value = attributes["name"], html.unescape(attributes.get("value", ""))
        if attributes.get("type") == "checkbox":
            found[name] = [*found.get(name, []), value]
        else:
            found[name] = value
    for name, options in re.findall(r'<select[^>]* name="([^"]*)".*?>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    for name, value in re.findall(r'<textarea[^>]* name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        found[name] = html.unescape(value)
    return found
