"""Changing and deleting an account in a real browser without JavaScript: two people, two browsers."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page

from support.service import RunningService
from support.visitor import PASSWORD

from .people import SCREENS, new_person

pytestmark = pytest.mark.e2e

NEW_PASSWORD = "another long password"


@pytest.mark.parametrize("screen", SCREENS)
async def test_vera_gets_her_account_back_from_somebody_who_knows_her_password(
    service: RunningService, browser: Browser, screen: str
) -> None:
    vera = await new_person(service, browser, screen)
    thief = await new_person(service, browser, screen)
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
    service: RunningService, browser: Browser, screen: str
) -> None:
    vera = await new_person(service, browser, screen)
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
    await vera.follow("Confirm your mobile number")
    await vera.follow("Back to your account")
    assert "+44 20 7946 0018" in await vera.page.locator("dl").inner_text()
    await vera.follow("Delete your account")
    await vera.submit("Delete the account", "Your account is deleted", Your_password=NEW_PASSWORD)
    await vera.open("accounts")
    await vera.page.get_by_role("heading", name="Sign in").wait_for()


async def test_the_tab_key_visits_every_field_and_link(service: RunningService, browser: Browser) -> None:
    vera = await new_person(service, browser, "wide")
    await vera.register("vera.tabs@acme.example")
    for path, names in {
        "password": ["password", "new_password", "Change the password", "Back to your account"],
        "email": ["email", "password", "Send the link", "Back to your account"],
        "mobile": ["mobile", "password", "Save the number", "Back to your account"],
        "delete": ["password", "Delete the account", "Keep the account"],
    }.items():
        await vera.open(f"accounts/{path}")
        assert [await next_focus(vera.page) for _ in names] == names


async def next_focus(page: Page) -> str:
    """What has the focus after the tab key: the name of a field, or the text of a button or link."""
    await page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert await focused.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    return await focused.get_attribute("name") or await focused.inner_text()
