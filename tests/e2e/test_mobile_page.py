"""Confirming a mobile number in a real browser without JavaScript, by the code in the development outbox."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from support.service import RunningService

from .people import SCREENS, new_person
from .test_account_change_pages import next_focus

pytestmark = pytest.mark.e2e

NUMBERS = {"narrow": "+44 7700 900123", "wide": "+44 7700 900124"}


@pytest.mark.parametrize("screen", SCREENS)
async def test_vera_confirms_her_mobile_number(
    service: RunningService, browser: Browser, screen: str
) -> None:
    vera, number = await new_person(service, browser, screen), NUMBERS[screen]
    await vera.register(f"vera.mobile.{screen}@acme.example")
    await vera.add_mobile("+44 7700 900456")
    await vera.follow("Confirm your mobile number")
    await vera.submit("This is not my number", "Your mobile number is removed")
    await vera.add_mobile(number)
    await vera.open("accounts")
    await vera.follow("Confirm your mobile number")
    await vera.submit("Send the code", "Confirm your mobile number")
    await vera.page.get_by_label("Code").wait_for()
    assert await vera.focus() == "code"
    buttons = ["Confirm the number", "Send another code", "This is not my number", "Back to your account"]
    assert [await next_focus(vera.page) for _ in buttons] == buttons

    code = await vera.read_code(number)
    await vera.open("accounts/mobile/verify")
    guess = f"{(int(code) + 1) % 1_000_000:06}"
    await vera.submit("Confirm the number", "There is a problem", Code=guess)
    assert await vera.page.get_by_label("Code").get_attribute("aria-invalid") == "true"
    assert await vera.focus() == "code"
    await vera.submit("Confirm the number", "Your mobile number is confirmed", Code=code)
    await vera.follow("Go to your account")
    assert number.replace(" ", "") in await vera.page.locator("dl").inner_text()
    assert not await vera.page.get_by_role("link", name="Confirm your mobile number").count()
