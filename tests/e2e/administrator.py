"""An administrator of the console at a real browser, wide and light, or narrow and dark; under axe."""

from __future__ import annotations

import httpx
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from support.service import RunningService

SCREENS = {"wide": (1280, 900, "light"), "narrow": (320, 700, "dark")}


class Administrator:
    """An administrator at a browser; every page that they look at is checked."""

    def __init__(self, page: Page, service: RunningService, width: int) -> None:
        self.page, self.service, self.width = page, service, width
        self.hosts: set[str] = set()
        self.problems: list[str] = []
        page.on("request", lambda request: self.hosts.add(httpx.URL(request.url).host))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self._note(message.text))

    def _note(self, text: str) -> None:
        if "status of 4" not in text:
            self.problems.append(text)

    async def look(self) -> None:
        """Check the page: no violation, nothing beyond the edge of the screen."""
        found = (await Axe().run(self.page)).response["violations"]
        assert not found, [(item["id"], [node["html"] for node in item["nodes"]]) for item in found]
        assert await self.page.evaluate("document.documentElement.scrollWidth") <= self.width

    async def open(self, path: str) -> None:
        await self.page.goto(f"{self.service.base_url}{path}")

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name).click()


async def new_administrator(service: RunningService, browser: Browser, screen: str) -> Administrator:
    width, height, scheme = SCREENS[screen]
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    return Administrator(await context.new_page(), service, width)


async def sign_in(ada: Administrator) -> None:
    """Sign in by the front page, and look at each page on the way."""
    await ada.open("/")
    await ada.look()
    await ada.page.get_by_role("link", name="Go to the console").click()
    await ada.look()
    await enter_password(ada)
    await ada.look()
    await ada.page.keyboard.press("Tab")
    assert await ada.page.locator(":focus").inner_text() == "Skip to the content"


async def enter_password(ada: Administrator) -> None:
    """Sign in on the page that asks for it."""
    await ada.page.get_by_label("Name").fill("admin")
    await ada.page.get_by_label("Password").fill(ada.service.admin_password)
    await ada.page.keyboard.press("Enter")
    await ada.page.wait_for_url(f"**/console/o/{ada.service.org}")
