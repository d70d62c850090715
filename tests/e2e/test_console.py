"""The console in a real browser: an administrator's tasks, under axe, wide and light, narrow and dark."""

from __future__ import annotations

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from support.service import RunningService

pytestmark = pytest.mark.e2e

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


@pytest.mark.parametrize("screen", SCREENS)
async def test_an_administrator_defines_changes_and_deletes_an_attribute(
    service: RunningService, browser: Browser, screen: str
) -> None:
    ada, name = await new_administrator(service, browser, screen), f"interests_{screen}"
    page = ada.page
    await _sign_in(ada)
    await ada.open(f"/console/o/{service.org}/attributes/new?scope=traits")
    await _fill_in(ada, name)
    await ada.press("Create attribute")
    await page.get_by_text(f"The attribute {name} was created.").wait_for()
    await ada.look()

    await _search(page, name)
    await page.get_by_role("link", name=name).click()
    await page.get_by_text("No profile has a value of this attribute.").wait_for()
    await ada.look()
    await page.get_by_label("Attribute name").fill("")
    await ada.press("Save")
    alert = page.get_by_role("alert")
    await alert.wait_for()
    assert await alert.evaluate("element => element === document.activeElement")
    await ada.look()
    await page.get_by_role("link", name="Enter a name.").click()
    assert await page.get_by_label("Attribute name").evaluate("element => element === document.activeElement")
    await page.get_by_label("Attribute name").fill(name)
    await page.get_by_label("Display name").fill("Hobbies")
    await ada.press("Save")
    await page.get_by_text(f"The attribute {name} was changed.").wait_for()

    await page.get_by_role("link", name=name).click()
    await page.get_by_role("link", name="Delete").click()
    await page.get_by_text("No profile has a value of this attribute.").wait_for()
    await ada.look()
    await ada.press("Delete the attribute")
    await page.get_by_text(f"The attribute {name} was deleted.").wait_for()
    await page.reload()
    assert await page.get_by_role("link", name=name).count() == 0
    for query in ("?scope=identity_attributes", "?scope=application_data", "?scope=built_in", "/check"):
        await ada.open(f"/console/o/{service.org}/attributes{query}")
        await ada.look()
    await ada.press("Sign out")
    await page.get_by_role("heading", name="You are signed out").wait_for()
    await ada.look()
    assert ada.hosts == {httpx.URL(service.base_url).host}
    assert ada.problems == []


async def _sign_in(ada: Administrator) -> None:
    await ada.open("/")
    await ada.look()
    await ada.page.get_by_role("link", name="Go to the console").click()
    await ada.look()
    await ada.page.get_by_label("Name").fill("admin")
    await ada.page.get_by_label("Password").fill(ada.service.admin_password)
    await ada.page.keyboard.press("Enter")
    await ada.page.wait_for_url(f"**/console/o/{ada.service.org}")
    await ada.look()
    await ada.page.keyboard.press("Tab")
    assert await ada.page.locator(":focus").inner_text() == "Skip to the content"


async def _fill_in(ada: Administrator, name: str) -> None:
    """Combine is offered for lists alone, and fields that the type makes meaningless are hidden."""
    page = ada.page
    await page.get_by_label("Attribute name").fill(name)
    combine = page.get_by_label("Combine", exact=True)
    assert await combine.is_disabled()
    assert not await page.get_by_label("Sub-attributes").is_visible()
    await page.get_by_label("Value type").select_option("integer")
    assert not await page.get_by_label("Canonical values").is_visible()
    await page.get_by_label("Value type").select_option("string")
    await page.get_by_label("Several values").check()
    await combine.check()
    await ada.look()


async def _search(page: Page, name: str) -> None:
    """The list follows what is typed, without a press of the button."""
    await page.get_by_label("Search").press_sequentially("no such name")
    await page.get_by_text("No attribute here contains").wait_for()
    await page.get_by_label("Search").fill(name)
    await page.get_by_role("link", name=name).wait_for()
