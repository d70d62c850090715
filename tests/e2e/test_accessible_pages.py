"""Every page of accounts under axe, in a light narrow and a dark wide browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser

import oneself.auth.provider
from support.service import RunningService
from support.visitor import PASSWORD

from .people import SCREENS, Person, new_person, proof_first

pytestmark = pytest.mark.e2e

TEMPLATES = Path(oneself.auth.provider.__file__).parent / "templates"
FIXED_TITLE = re.compile(r"block title %\}([^{]+)\{%")
NEW_PASSWORD = "another long password"


@pytest.mark.parametrize("screen", SCREENS)
async def test_every_page_is_accessible(service: RunningService, browser: Browser, screen: str) -> None:
    vera = await new_person(service, browser, screen, Axe())
    first, second = f"vera.axe.{screen}@acme.example", f"vera.new.{screen}@acme.example"

    await _meet_sign_in(vera)
    await vera.register(first)
    await _recover_unproved(vera, first)
    await vera.sign_in(first, NEW_PASSWORD)
    await _change_address(vera, first, second)
    await _recover_proved(vera, second)
    for path in ("password", "mobile", "delete"):
        await vera.sign_in(second, NEW_PASSWORD)
        await vera.open(f"accounts/{path}")
        await vera.check_page()
    await _confirm_mobile(vera, {"narrow": "+44 7700 900125", "wide": "+44 7700 900126"}[screen])
    with proof_first(service):
        await _wait_for_proof(vera, f"vera.first.{screen}@acme.example")

    fixed = {title for path in TEMPLATES.glob("*.html") for title in FIXED_TITLE.findall(path.read_text())}
    assert fixed <= vera.titles


async def _meet_sign_in(vera: Person) -> None:
    """The pages before an account exists, with their errors."""
    for path in (
        "login",
        "register",
        "recover",
        "outbox",
        "verify?link=unknown",
        "recover/link?link=unknown",
    ):
        await vera.open(f"accounts/{path}")
        await vera.check_page()
    await vera.open("accounts/login")
    await vera.submit(
        "Sign in", "There is a problem",
        **{"E-mail_address": "nobody@acme.example", "Password": PASSWORD},
    )  # fmt: skip
    assert await vera.page.get_by_label("E-mail address").input_value() == "nobody@acme.example"
    await vera.open("accounts/register")
    await vera.submit(
        "Create account", "There is a problem",
        **{"E-mail_address": "vera@localhost", "First_name": "Vera", "Last_name": "Archer"},
        Password=PASSWORD,
    )  # fmt: skip
    assert await vera.page.get_by_label("First name").input_value() == "Vera"


async def _recover_unproved(vera: Person, email: str) -> None:
    """Look at the page of a verification link, then take the account by a forgotten password."""
    await vera.open_link(email, "Confirm your e-mail address")
    await vera.check_page()
    await vera.ask_for_link(email)
    await vera.open_link(email, "Your account at")
    await vera.check_page()
    await vera.page.get_by_label("Yes, the account created").check()
    await vera.submit(
        "Go on", "Your account is ready",
        First_name="Vera", Last_name="Archer", New_password=NEW_PASSWORD,
    )  # fmt: skip


async def _recover_proved(vera: Person, email: str) -> None:
    await vera.ask_for_link(email)
    await vera.open_link(email, "Your account at")
    await vera.submit("Change the password", "Your password is changed", New_password=NEW_PASSWORD)


async def _change_address(vera: Person, former: str, address: str) -> None:
    """Change the address, and look at the page where the former one can take the change back."""
    await vera.follow("Change your e-mail address")
    await vera.submit(
        "Send the link", "Look into your new mailbox",
        **{"New_e-mail_address": address, "Your_password": NEW_PASSWORD},
    )  # fmt: skip
    await vera.open_link(address, "Confirm your new e-mail address")
    await vera.submit(
        "Change the address", "Your e-mail address is changed", Password_of_this_account=NEW_PASSWORD
    )
    await vera.open_link(former, "was changed")
    await vera.check_page()
    await vera.open("oauth2/logout")
    await vera.submit("Sign out", "You are signed out")


async def _confirm_mobile(vera: Person, number: str) -> None:
    """Look at the page before and after a code was sent, and at that of a wrong one."""
    await vera.add_mobile(number, NEW_PASSWORD)
    await vera.follow("Confirm your mobile number")
    await vera.submit("Send the code", "Confirm your mobile number")
    await vera.page.get_by_label("Code").wait_for()
    vera.titles.discard("Confirm your mobile number")
    await vera.check_page()
    await vera.submit("Confirm the number", "There is a problem", Code="12345")


async def _wait_for_proof(vera: Person, email: str) -> None:
    await vera.open("accounts/register")
    await vera.submit(
        "Create account", "Confirm your e-mail address",
        **{"E-mail_address": email, "First_name": "Vera", "Last_name": "Archer"}, Password=PASSWORD,
    )  # fmt: skip
