"""The overview and the sample data in a real browser, under axe, wide and light, narrow and dark."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import Browser

from support.service import RunningService

from .administrator import SCREENS, enter_password, new_administrator

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("screen", SCREENS)
async def test_an_administrator_looks_at_sample_data_and_removes_it(
    service: RunningService, browser: Browser, screen: str
) -> None:
    ada, home = await new_administrator(service, browser, screen), f"/console/o/{service.org}"
    page = ada.page
    await ada.open("/console/")
    await enter_password(ada)
    await ada.open(f"{home}/sample")
    await ada.look()
    async with page.expect_response(lambda response: "/overview/stream" in response.url):
        await ada.press("Add sample data")
        await page.get_by_text("This is sample data").wait_for()
        await page.get_by_role("heading", name="Events per minute").wait_for()
        await page.locator("summary", has_text="Table: Joins").click()
        await page.locator("table.numbers th", has_text="asserted").wait_for()
        await ada.look()
    await page.get_by_role("link", name="Pause the newest events").click()
    await page.get_by_role("link", name="Continue the newest events").wait_for()
    await page.get_by_role("link", name="Remove it").click()
    await ada.look()
    await ada.press("Remove the sample data")
    await page.get_by_text("The sample data was removed.").wait_for()
    await ada.look()
    assert ada.hosts == {httpx.URL(service.base_url).host}
    assert ada.problems == []
