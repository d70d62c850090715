"""People with browsers of their own, who fill in pages and read the mails in the development outbox."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from support.service import RunningService
from support.visitor import PASSWORD

#: The narrowest screen that pages have to fit, and a wide one; light and dark.
SCREENS = {"narrow": (320, 640, "light"), "wide": (1280, 900, "dark")}
#: What people press.
PRESSED = "input:visible:not([type=radio]), .choice, button, .actions a"


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, service: RunningService, page: Page, axe: Axe | None) -> None:
        self.service, self.page, self.axe = service, page, axe
        #: The titles of the pages that were checked.
        self.titles: set[str] = set()

    async def open(self, path: str) -> None:
        await self.page.goto(f"{self.service.base_url}/t/{self.service.org}/{path}")

    async def follow(self, name: str) -> None:
        await self.page.get_by_role("link", name=name).click()

    async def submit(self, button: str, heading: str, **fields: str) -> None:
        """Fill in fields by their labels, with underscores for spaces, press a button, await a heading."""
        for label, value in fields.items():
            await self.page.get_by_label(label.replace("_", " "), exact=True).fill(value)
        await self.check_page()
        await self.page.get_by_role("button", name=button).click()
        await self.page.get_by_role("heading", name=heading).wait_for()
        await self.check_page()

    async def check_page(self) -> None:
        """It fits the screen, what people press is large enough, and axe, if in use, finds nothing."""
        title = await self.page.title()
        assert await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), title
        for target in await self.page.locator(PRESSED).all():
            box = await target.bounding_box()
            assert box is not None
            assert box["height"] >= 44, title
        if self.axe is not None and title not in self.titles:
            found = await self.axe.run(self.page)
            assert not found.violations_count, f"{title}: {found.generate_report()}"
        self.titles.add(title)

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

    async def ask_for_link(self, email: str) -> None:
        """Say that the password of an address is forgotten."""
        await self.open("accounts/recover")
        await self.submit("Send the link", "Look into your mailbox", **{"E-mail_address": email})

    async def read_code(self, number: str) -> str:
        """The newest code that was sent to a number, once it has arrived in the outbox."""
        message = self.page.locator("article", has_text=number.replace(" ", ""))
        async with asyncio.timeout(30):
            while not await message.count():
                await self.open("accounts/outbox")
        found = re.search(r"[0-9]{6}", await message.first.locator("p").last.inner_text())
        assert found is not None
        return found[0]

    async def add_mobile(self, number: str, password: str = PASSWORD) -> None:
        await self.open("accounts/mobile")
        await self.page.get_by_label("Mobile number").fill(number)
        await self.submit("Save the number", "Your mobile number is changed", Your_password=password)

    async def focus(self) -> str:
        """The name of the field that has the focus."""
        return str(await self.page.evaluate("document.activeElement.name"))

    async def prove(self, email: str) -> None:
        await self.open_link(email, "Confirm your e-mail address")
        await self.submit(
            "Confirm the address", "Your address is confirmed", Password_of_this_account=PASSWORD
        )


async def new_person(
    service: RunningService, browser: Browser, screen: str, axe: Axe | None = None
) -> Person:
    """Somebody with a new browser: without JavaScript, unless `axe`, which needs it, checks each page."""
    width, height, scheme = SCREENS[screen]
    context = await browser.new_context(
        java_script_enabled=axe is not None,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    context.set_default_timeout(30_000)
    return Person(service, await context.new_page(), axe)


@contextlib.contextmanager
def proof_first(service: RunningService) -> Iterator[None]:
    """The organisation asks for a verified address before the first sign-in."""
    url = f"/t/{service.org}/cds/api/v1/config"
    token = service.token("internal_cds_admin_config_update")
    with service.client(headers={"Authorization": f"Bearer {token}"}) as client:

        def require(proof: bool) -> None:
            answer = client.patch(url, json={"verified_address_first": proof})
            assert answer.status_code == 200, answer.text

        require(True)
        try:
            yield
        finally:
            require(False)
