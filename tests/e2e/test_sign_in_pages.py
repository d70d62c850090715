"""The sign-in pages in a real browser without JavaScript: cookies, redirects, layout and keyboard."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Page

from support.service import RunningService
from support.visitor import PASSWORD, challenge_of
from support.waiting import until_async

pytestmark = pytest.mark.e2e

SIZES = {"phone": (360, 740), "desktop": (1280, 900)}


@pytest.fixture(scope="module")
def client_id(service: RunningService, callback: str) -> str:
    created = service.command("app", "create", "Book shop", "--kind", "browser", "--redirect-uri", callback)
    found = re.search(r"client id +(\S+)", created.stdout)
    assert found, created.stderr
    return found[1]


def _authorize(service: RunningService, client_id: str, **more: str) -> str:
    query = {
        "response_type": "code",
        "client_id": client_id,
        "scope": "openid",
        "state": "s",
        "code_challenge": challenge_of("v" * 43),
        "code_challenge_method": "S256",
        **more,
    }
    return f"{service.base_url}/t/{service.org}/oauth2/authorize?{urlencode(query)}"


async def _page(browser: Browser, size: str) -> Page:
    width, height = SIZES[size]
    context = await browser.new_context(
        java_script_enabled=False, viewport={"width": width, "height": height}
    )
    return await context.new_page()


@pytest.mark.parametrize("size", SIZES)
async def test_a_registered_person_stays_signed_in_until_sign_out(
    service: RunningService, client_id: str, callback: str, browser: Browser, size: str
) -> None:
    page = await _page(browser, size)
    await page.goto(_authorize(service, client_id))
    await page.get_by_role("link", name="Create an account").click()
    await page.get_by_label("E-mail address").fill(f"{size}@acme.example")
    await page.get_by_label("First name").fill("Ann")
    await page.get_by_label("Last name").fill("Archer")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await page.wait_for_url(callback + "?*")
    assert "code" in parse_qs(urlsplit(page.url).query)

    await page.goto(_authorize(service, client_id, prompt="none"))
    assert "code" in parse_qs(urlsplit(page.url).query)

    await page.goto(f"{service.base_url}/t/{service.org}/accounts")
    await page.get_by_role("button", name="Sign out").click()
    assert await page.get_by_role("heading").inner_text() == "You are signed out"
    await page.goto(_authorize(service, client_id, prompt="none"))
    assert parse_qs(urlsplit(page.url).query)["error"] == ["login_required"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", ["login", "register"])
async def test_pages_fit_the_screen_and_load_nothing_external(
    service: RunningService, client_id: str, browser: Browser, path: str, size: str
) -> None:
    page = await _page(browser, size)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    console_messages: list[str] = []
    page.on("console", lambda message: console_messages.append(message.text))
    await page.goto(_authorize(service, client_id, prompt="create" if path == "register" else "login"))
    box = await page.locator("main").bounding_box()
    assert box is not None
    assert box["width"] <= SIZES[size][0]
    for target in await page.locator("input:visible, button").all():
        box = await target.bounding_box()
        assert box is not None
        assert box["height"] >= 44
    hosts = {httpx.URL(url).host for url in requested if not url.startswith("data:")}
    assert hosts == {httpx.URL(service.base_url).host}
    assert console_messages == []


async def test_the_tab_key_visits_the_fields_in_order(
    service: RunningService, client_id: str, browser: Browser
) -> None:
    page = await _page(browser, "desktop")
    await page.goto(_authorize(service, client_id, prompt="create"))
    focused_names = []
    for _ in range(6):
        await page.keyboard.press("Tab")
        focused = page.locator(":focus")
        outline = await focused.evaluate("element => getComputedStyle(element).outlineStyle")
        assert outline == "solid"
        focused_names.append(await focused.get_attribute("name") or await focused.inner_text())
    assert focused_names == ["email", "given_name", "last_name", "mobile", "password", "Create account"]


async def _register(page: Page, service: RunningService, email: str, password: str) -> None:
    await page.goto(f"{service.base_url}/t/{service.org}/accounts/register")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("First name").fill("Vera")
    await page.get_by_label("Last name").fill("Archer")
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Create account").click()
    await page.get_by_role("heading", name="You are signed in").wait_for()


async def _open_newest_link(page: Page, service: RunningService, email: str, count: int) -> None:
    """Open the link in the newest mail to an address, once it has got `count` mails."""
    outbox = f"{service.base_url}/t/{service.org}/accounts/outbox"
    mails = page.locator("article", has_text=email)

    async def has_arrived() -> bool:
        await page.goto(outbox)
        return await mails.count() >= count

    await until_async(has_arrived, f"{email} did not get {count} mails")
    await mails.first.locator("a[href*=link]").click()


@pytest.mark.parametrize("size", SIZES)
async def test_a_stranger_who_registered_first_does_not_get_her_account(
    service: RunningService, browser: Browser, size: str
) -> None:
    """Two people and two browsers: the stranger registers in advance, Vera registers, proves, and forgets."""
    email, stranger, vera = (
        f"vera.{size}@acme.example",
        await _page(browser, size),
        await _page(browser, size),
    )
    await _register(stranger, service, email, "the stranger's own")
    await _open_newest_link(vera, service, email, 1)
    await vera.get_by_label("Password of this account").fill(PASSWORD)
    await vera.get_by_role("button", name="Confirm the address").click()
    await vera.get_by_role("alert").wait_for()

    await _register(vera, service, email, PASSWORD)
    await _open_newest_link(vera, service, email, 2)
    await vera.get_by_label("Password of this account").fill(PASSWORD)
    await vera.get_by_role("button", name="Confirm the address").click()
    await vera.get_by_role("heading", name="Your address is confirmed").wait_for()

    await stranger.goto(f"{service.base_url}/t/{service.org}/accounts/login")
    await stranger.get_by_label("E-mail address").fill(email)
    await stranger.get_by_label("Password").fill("the stranger's own")
    await stranger.get_by_role("button", name="Sign in").click()
    assert "incorrect" in await stranger.get_by_role("alert").inner_text()

    await vera.goto(f"{service.base_url}/t/{service.org}/accounts/login")
    await vera.get_by_role("link", name="Forgot your password?").click()
    await vera.get_by_label("E-mail address").fill(email)
    await vera.get_by_role("button", name="Send the link").click()
    await vera.get_by_role("heading", name="Look into your mailbox").wait_for()
    await _open_newest_link(vera, service, email, 3)
    await vera.get_by_label("New password").fill("another long password")
    await vera.get_by_role("button", name="Change the password").click()
    await vera.get_by_role("link", name="Sign in").click()
    await vera.get_by_label("E-mail address").fill(email)
    await vera.get_by_label("Password").fill("another long password")
    await vera.get_by_role("button", name="Sign in").click()
    assert "confirmed" in await vera.locator("dl").inner_text()
    box = await vera.locator("main").bounding_box()
    assert box is not None
    assert box["width"] <= SIZES[size][0]
