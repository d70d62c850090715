"""Profiles in a real browser: find a person, look at every page, split, merge, export and erase."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from playwright.async_api import Browser

from support.service import RunningService

from .administrator import SCREENS, Administrator, new_administrator, sign_in

pytestmark = pytest.mark.e2e

SCOPE = "internal_cds_identity_update"
READ_PAGES = ("events", "identifiers", "joins", "graph", "history", "split")


class Shop:
    """A dataset of its own, whose events name people by address and number."""

    def __init__(self, service: RunningService, dataset: str) -> None:
        self.service, self.dataset = service, dataset
        self.basic = (service.client_id, service.client_secret)
        self.http = httpx.Client(base_url=f"{service.base_url}/t/{service.org}", timeout=60)

    def begin(self) -> None:
        token = self.http.post(
            "/oauth2/token", data={"grant_type": "client_credentials", "scope": SCOPE}, auth=self.basic
        ).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        created = self.http.post("/api/v1/datasets", json={"name": self.dataset}, headers=headers)
        assert created.status_code == 201, created.text
        names = [{"name": name, "identity_type": name} for name in ("emailAddress", "customerId")]
        path = f"/api/v1/datasets/{self.dataset}/identity-attributes"
        assert self.http.put(path, json=names, headers=headers).status_code == 200

    def page(self, browser: str, **attributes: str) -> None:
        self._send("event", "Web", {"anonymousId": browser, "attributes": attributes})

    def order(self, **attributes: str) -> None:
        self._send("authevent", "Server", {"attributes": attributes}, auth=self.basic)

    def _send(self, route: str, channel: str, user: dict[str, Any], **options: Any) -> None:
        event = {"interaction": {"name": "View"}, "user": user, "source": {"channel": channel}}
        answer = self.http.post(f"/api2/{route}/{self.dataset}", json=event, **options)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("screen", SCREENS)
async def test_an_administrator_looks_a_person_up_and_decides(
    service: RunningService, browser: Browser, screen: str
) -> None:
    shop = Shop(service, f"shop-{screen}")
    shop.begin()
    # No page may break at a value that has nowhere to wrap.
    shop.order(emailAddress="ann@acme.example", customerId=f"C-{'9' * 200}")
    shop.page("aaaa1111bbbb2222")
    shop.page("aaaa1111bbbb2222", emailAddress="ann@acme.example")
    shop.page("cccc3333dddd4444", emailAddress="ann.second@acme.example")
    ada = await new_administrator(service, browser, screen)
    page, profiles = ada.page, f"/console/o/{service.org}/profiles"
    await sign_in(ada)
    await ada.open(f"{profiles}?dataset={shop.dataset}")
    await ada.look()
    await page.get_by_label("Search", exact=True).fill("ann@acme.example")
    await page.keyboard.press("Enter")
    await page.get_by_text("were read").wait_for()
    await ada.look()
    await page.get_by_role("link", name="ann@acme.example").first.click()
    await page.get_by_role("heading", name="ann@acme.example").wait_for()
    await page.get_by_text("The same as an API request").click()
    await page.get_by_role("button", name="Copy").wait_for()
    await ada.look()
    query = page.url.partition("?")[2]
    await _walk_the_graph(ada, f"{profiles}/graph?{query}")
    for step in READ_PAGES:
        await ada.open(f"{profiles}/{step}?{query}")
        await ada.look()

    await page.get_by_label("The browser aaaa1111bbbb2222").check()
    await ada.press("Show both sides")
    await page.get_by_text("Stays", exact=True).wait_for()
    await ada.look()
    await ada.press("Split the profile")
    await page.get_by_text("The profile was split").wait_for()

    await page.get_by_role("link", name="Merge with another").click()
    await page.get_by_label("The other profile").fill("ann.second@acme.example")
    await ada.press("Show both")
    await page.get_by_text("No profile has the id").wait_for()
    await ada.look()
    await page.get_by_label("The other profile").fill("emailAddress:ann.second@acme.example")
    await ada.press("Show both")
    await page.get_by_role("heading", name="Afterwards").wait_for()
    await ada.look()
    await page.get_by_label("Why").fill("She called")
    await ada.press("Merge the profiles")
    await page.get_by_text("The profiles were merged").wait_for()

    await page.get_by_role("link", name="Export").click()
    typed = page.get_by_label("to confirm")
    await typed.fill(await page.locator("label[for=typed] code").inner_text())
    await ada.look()
    async with page.expect_download() as download:
        await ada.press("Download the file")
    assert (await download.value).suggested_filename.startswith("person-")
    await ada.open(f"{profiles}/erase?{query}")
    await ada.look()
    await page.get_by_label("to confirm").fill(await page.locator("label[for=typed] code").inner_text())
    await ada.press("Erase for good")
    await page.get_by_role("heading", name="Receipt of an erasure").wait_for()
    await ada.look()
    await page.get_by_role("link", name="Erasures").first.click()
    await ada.look()
    assert ada.hosts == {httpx.URL(service.base_url).host}
    assert ada.problems == []


async def _walk_the_graph(ada: Administrator, path: str) -> None:
    """Follow a node of the identity graph with the keyboard; at 320 px the picture scrolls in its area."""
    page = ada.page
    await ada.open(path)
    picture = page.get_by_role("region", name="Picture of the identity graph")
    is_wider = await picture.evaluate("area => area.scrollWidth > area.clientWidth")
    assert is_wider == (ada.width == SCREENS["narrow"][0])
    await picture.focus()
    labels = [await item.get_attribute("aria-label") for item in await picture.locator("a").all()]
    reached = []
    for _ in labels:
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert reached == labels
    assert "emailAddress ann@acme.example" in labels
    await picture.get_by_role("link", name="A browser, aaaa1111bbbb2222").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="They are one profile").wait_for()
