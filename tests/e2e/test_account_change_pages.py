"""Changing and deleting an account in a real browser without JavaScript: two people, two browsers."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from support.service import RunningService
from support.visitor import PASSWORD

pytestmark = pytest.mark.e2e

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
#: The narrowest screen that pages have to fit, and a wide one; light and dark.
SCREENS = {"narrow": (320, 640, "light"), "wide": (1280, 900, "dark")}
NEW_PASSWORD = "another long password"


@pytest_asyncio.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    path = os.environ.get("ONESELF_TEST_CHROMIUM") or shutil.which("chromium")
    assert path, "Chromium is not installed; run tools/ensure-chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, service: RunningService, page: Page, folder: Path) -> None:
        self.service, self.page, self.folder = service, page, folder

    async def open(self, path: str) -> None:
        await self.page.goto(f"{self.service.base_url}/t/{self.service.org}/{path}")

    async def follow(self, name: str) -> None:
        await self.page.get_by_role("link", name=name).click()

    async def submit(self, button: str, heading: str, **fields: str) -> None:
        """Fill in fields by their labels, with underscores for spaces, press a button, await a heading."""
        for label, value in fields.items():
            await self.page.get_by_label(label.replace("_", " "), exact=True).fill(value)
        await self.check_layout()
        await self.page.get_by_role("button", name=button).click()
        await self.page.get_by_role("heading", name=heading).wait_for()
        await self.check_layout()

    async def check_layout(self) -> None:
        """Nothing is wider than the screen, and what people press is large enough."""
        title = (await self.page.title()).replace("/", "-").replace(":", "")
        await self.page.screenshot(path=self.folder / f"{title}.png", full_page=True)
        assert await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), title
        for target in await self.page.locator("input:visible, button, .actions a").all():
            box = await target.bounding_box()
            assert box is not None
            assert box["height"] >= 44, title

    async def register(self, email: str) -> None:
        await self.open("accounts/register")
        await self.submit(
            "Create account", "You are signed in",
            **{"E-mail_address": email, "First_name": "Vera", "Last_name": "Archer", "Password": PASSWORD},
        )  # fmt: skip

    async def sign_in(self, email: str, password: str) -> None:
        await self.open("accounts/login")
        await self.submit("Sign in", "You are signed in", **{"E-mail_address": email, "Password": password})

    async def open_link(self, email: str, subject: str) -> None:
        """Open the link in a mail to an address, once it has arrived."""
        mail = self.page.locator("article", has_text=email).filter(has_text=subject)
        async with asyncio.timeout(30):
            while not await mail.count():
                await self.open("accounts/outbox")
        await mail.first.locator("a").click()

    async def prove(self, email: str) -> None:
        await self.open_link(email, "Confirm your e-mail address")
        await self.submit(
            "Confirm the address", "Your address is confirmed", Password_of_this_account=PASSWORD
        )


@pytest.mark.parametrize("screen", SCREENS)
async def test_vera_gets_her_account_back_from_somebody_who_knows_her_password(
    service: RunningService, chromium: Browser, screen: str, tmp_path: Path
) -> None:
    vera = await _person(service, chromium, screen, tmp_path)
    thief = await _person(service, chromium, screen, tmp_path)
    hers, his = f"vera.{screen}@acme.example", f"thief.{screen}@evil.example"
    await vera.register(hers)
    await vera.prove(hers)

    await thief.sign_in(hers, PASSWORD)
    await thief.follow("Change your e-mail address")
    await thief.submit(
        "Send the link",
        "Look into your new mailbox",
        **{"New_e-mail_address": his, "Your_password": PASSWORD},
    )
    await thief.open_link(his, "Confirm your new e-mail address")
    await thief.submit(
        "Change the address", "Your e-mail address is changed", Password_of_this_account=PASSWORD
    )

    await vera.open("accounts")
    await vera.page.get_by_role("heading", name="Sign in").wait_for()
    await vera.open_link(hers, "was changed")
    await vera.submit("Take the change back", "There is a problem", New_password=PASSWORD)
    assert await vera.page.get_by_label("New password").get_attribute("aria-invalid") == "true"
    await vera.submit("Take the change back", "The change is taken back", New_password=NEW_PASSWORD)
    await vera.sign_in(hers, NEW_PASSWORD)
    assert hers in await vera.page.locator("dl").inner_text()
    await thief.open("accounts")
    await thief.page.get_by_role("heading", name="Sign in").wait_for()


@pytest.mark.parametrize("screen", SCREENS)
async def test_vera_changes_her_password_and_number_and_deletes_her_account(
    service: RunningService, chromium: Browser, screen: str, tmp_path: Path
) -> None:
    vera = await _person(service, chromium, screen, tmp_path)
    address = f"vera.leaves.{screen}@acme.example"
    await vera.register(address)
    await vera.prove(address)
    await vera.open("accounts")
    await vera.follow("Change your password")
    await vera.submit(
        "Change the password", "There is a problem",
        Current_password="not the password", New_password=NEW_PASSWORD,
    )  # fmt: skip
    await vera.submit(
        "Change the password", "Your password is changed",
        Current_password=PASSWORD, New_password=NEW_PASSWORD,
    )  # fmt: skip
    await vera.follow("Back to your account")
    await vera.follow("Add a mobile number")
    await vera.page.get_by_label("Mobile number").fill("+44 20 7946 0018")
    await vera.submit("Save the number", "Your mobile number is changed", Your_password=NEW_PASSWORD)
    await vera.follow("Back to your account")
    assert "+44 20 7946 0018" in await vera.page.locator("dl").inner_text()
    await vera.follow("Delete your account")
    await vera.submit("Delete the account", "Your account is deleted", Your_password=NEW_PASSWORD)
    await vera.open("accounts")
    await vera.page.get_by_role("heading", name="Sign in").wait_for()


async def test_the_tab_key_visits_every_field_and_link(
    service: RunningService, chromium: Browser, tmp_path: Path
) -> None:
    vera = await _person(service, chromium, "wide", tmp_path)
    await vera.register("vera.tabs@acme.example")
    for path, names in {
        "password": ["password", "new_password", "Change the password", "Back to your account"],
        "email": ["email", "password", "Send the link", "Back to your account"],
        "mobile": ["mobile", "password", "Save the number", "Back to your account"],
        "delete": ["password", "Delete the account", "Keep the account"],
    }.items():
        await vera.open(f"accounts/{path}")
        assert [await _next_focus(vera.page) for _ in names] == names


async def _next_focus(page: Page) -> str:
    await page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert await focused.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    return await focused.get_attribute("name") or await focused.inner_text()


async def _person(service: RunningService, chromium: Browser, screen: str, folder: Path) -> Person:
    width, height, scheme = SCREENS[screen]
    context = await chromium.new_context(
        java_script_enabled=False,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    return Person(service, await context.new_page(), folder)
