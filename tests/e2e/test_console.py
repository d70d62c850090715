"""The console in a real browser: an administrator's tasks, under axe, wide and light, narrow and dark."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import Browser, Page

from support.service import RunningService

from .administrator import SCREENS, Administrator, enter_password, new_administrator, sign_in

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("screen", SCREENS)
async def test_an_administrator_defines_changes_and_deletes_an_attribute(
    service: RunningService, browser: Browser, screen: str
) -> None:
    ada, name = await new_administrator(service, browser, screen), f"interests_{screen}"
    page = ada.page
    await sign_in(ada)
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
    changed = page.get_by_text(f"The attribute {name} was changed.")
    await changed.wait_for()
    await page.get_by_role("link", name="Overview").click()
    await page.go_back()
    await page.get_by_role("link", name=name).wait_for()
    assert await changed.count() == 0

    await page.get_by_role("link", name=name).click()
    await page.get_by_role("link", name="Delete").click()
    await page.get_by_text("No profile has a value of this attribute.").wait_for()
    await ada.look()
    await ada.press("Delete the attribute")
    deleted = page.get_by_text(f"The attribute {name} was deleted.")
    await deleted.wait_for()
    await page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert await deleted.count() == 0
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


@pytest.mark.parametrize("screen", SCREENS)
async def test_an_administrator_tells_another_system_and_adds_an_application_and_a_user(
    service: RunningService, browser: Browser, screen: str
) -> None:
    ada, home = await new_administrator(service, browser, screen), f"/console/o/{service.org}"
    page = ada.page
    await sign_in(ada)
    await ada.open(f"{home}/webhooks/new")
    await page.get_by_label("Address").fill("http://127.0.0.1:9/crm")
    await ada.press("Create webhook")
    await page.get_by_text("Copy the secret now").wait_for()
    await ada.look()
    await page.get_by_role("link", name="Continue").click()
    await ada.press("Send a test")
    await page.get_by_text("The test was not accepted").wait_for()
    await ada.look()
    await page.get_by_role("link", name="Delete…").click()
    await ada.look()
    await ada.press("Delete the webhook")
    await page.get_by_text("The webhook was deleted.").wait_for()

    await ada.open(f"{home}/applications/new")
    await page.get_by_label("Name", exact=True).fill(f"Shop {screen}")
    await page.get_by_label("profile view", exact=True).check()
    await ada.look()
    await ada.press("Create application")
    await page.get_by_text("Copy the secret now").wait_for()
    await ada.look()
    await page.get_by_role("link", name="Continue").click()
    await page.get_by_role("heading", name="Secret").wait_for()
    await ada.look()

    await ada.open(f"{home}/members")
    await page.get_by_label("Name", exact=True).fill(f"eve_{screen}")
    await ada.look()
    await ada.press("Add the user")
    await page.get_by_text("Copy the password now").wait_for()
    for path in (f"{home}/webhooks", f"{home}/applications", f"{home}/audit", "/console/password"):
        await ada.open(path)
        await ada.look()
    assert ada.hosts == {httpx.URL(service.base_url).host}
    assert not ada.problems


@pytest.mark.parametrize("screen", SCREENS)
async def test_an_administrator_creates_a_rule_beneath_its_preview(
    service: RunningService, browser: Browser, screen: str
) -> None:
    ada, home = await new_administrator(service, browser, screen), f"/console/o/{service.org}"
    page = ada.page
    await sign_in(ada)
    await ada.open(f"{home}/rules/new")
    await page.get_by_label("Attribute").select_option(index=1)
    await page.get_by_label("Name").fill(f"Rule {screen}")
    await ada.look()
    await ada.press("Show whom it would merge")
    await page.get_by_text("What would happen to the stored profiles").wait_for()
    await ada.look()
    await ada.press("Create and switch on")
    await page.get_by_text("The rule was created.").wait_for()
    await ada.look()
    await page.get_by_role("link", name=f"Rule {screen}", exact=True).click()
    await page.get_by_role("link", name="Delete…").click()
    await ada.press("Delete the rule")
    await page.get_by_text("The rule was deleted.").wait_for()
    assert ada.problems == []


@pytest.mark.parametrize("screen", SCREENS)
async def test_an_administrator_says_what_identifies_people(
    service: RunningService, browser: Browser, screen: str
) -> None:
    ada, home = await new_administrator(service, browser, screen), f"/console/o/{service.org}"
    page, name = ada.page, f"number_{screen}"
    await ada.open("/console/")
    await enter_password(ada)
    await ada.open(f"{home}/identities/new")
    await page.get_by_label("Name in events").fill(name)
    await page.get_by_label("Identity type").select_option(index=1)
    await ada.press("Show whom it would join")
    await page.get_by_text("This is a preview.").wait_for()
    await ada.look()
    await ada.press("Create")
    await page.get_by_text("The identity attribute was created.").wait_for()
    await page.get_by_role("link", name=name).click()
    await ada.look()
    await ada.press("Remove…")
    await ada.press("Remove it")
    await page.get_by_text("The identity attribute was removed.").wait_for()
    for path in ("datasets/dataset", "types/type?id=emailAddress", "blocked"):
        await ada.open(f"{home}/{path}")
        await ada.look()
    assert ada.hosts == {httpx.URL(service.base_url).host}
    assert ada.problems == []
