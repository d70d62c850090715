"""Two people and two browsers, one of them a stranger who registered in advance, without JavaScript."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from support.service import RunningService
from support.visitor import PASSWORD

from .people import SCREENS, Person, new_person, proof_first

pytestmark = pytest.mark.e2e

NEW_PASSWORD = "another long password"
VERA = {"First_name": "Vera", "Last_name": "Archer", "New_password": NEW_PASSWORD}


@pytest.mark.parametrize("screen", SCREENS)
async def test_the_account_of_a_stranger_is_handed_over(
    service: RunningService, browser: Browser, screen: str
) -> None:
    stranger, vera, email = await _strangers_account(service, browser, f"yes.{screen}@acme.example", screen)
    await vera.page.get_by_label("Yes, the account created").check()
    await vera.submit("Go on", "Your account is ready", **VERA)
    await vera.sign_in(email, NEW_PASSWORD)
    assert "not confirmed" not in await vera.page.locator("dl").inner_text()

    await stranger.open("accounts")
    await stranger.submit("Sign in", "There is a problem", **{"E-mail_address": email, "Password": PASSWORD})
    await stranger.open_link(email, "Confirm your e-mail address")
    await stranger.page.get_by_role("heading", name="This link").wait_for()


@pytest.mark.parametrize("screen", SCREENS)
async def test_whoever_begins_anew_takes_the_address_from_the_stranger(
    service: RunningService, browser: Browser, screen: str
) -> None:
    stranger, vera, email = await _strangers_account(service, browser, f"no.{screen}@acme.example", screen)
    await vera.page.get_by_label("No. I begin with a new account").check()
    await vera.submit("Go on", "Your account is ready", **VERA)
    await vera.sign_in(email, NEW_PASSWORD)
    hers = await vera.page.locator("dl").inner_text()

    await stranger.open("accounts")
    his = await stranger.page.locator("dl").inner_text()
    assert email in hers
    assert email not in his
    await stranger.follow("Add an e-mail address")
    await stranger.page.get_by_role("heading", name="e-mail address").wait_for()


@pytest.mark.parametrize("screen", SCREENS)
async def test_an_address_that_is_proved_on_the_telephone_signs_in_the_laptop(
    service: RunningService, browser: Browser, screen: str
) -> None:
    laptop, telephone = [await new_person(service, browser, screen) for _ in range(2)]
    email = f"first.{screen}@acme.example"
    with proof_first(service):
        await laptop.open("accounts/register")
        await laptop.submit(
            "Create account", "Confirm your e-mail address",
            **{"E-mail_address": email, "First_name": "Vera", "Last_name": "Archer", "Password": PASSWORD},
        )  # fmt: skip
        await telephone.open_link(email, "Confirm your e-mail address")
        await telephone.submit("Confirm the address", "You are signed in", Password_of_this_account=PASSWORD)
        await laptop.follow("Sign in")
        await laptop.submit("Sign in", "You are signed in", **{"E-mail_address": email, "Password": PASSWORD})


async def _strangers_account(
    service: RunningService, browser: Browser, email: str, screen: str
) -> tuple[Person, Person, str]:
    """A stranger who is signed in to an account with Vera's address, and Vera, who is asked whose it is."""
    stranger, vera = [await new_person(service, browser, screen) for _ in range(2)]
    await stranger.register(email)
    await vera.ask_for_link(email)
    await vera.open_link(email, "Your account at")
    await vera.page.get_by_role("heading", name="Whose account is it?").wait_for()
    return stranger, vera, email
