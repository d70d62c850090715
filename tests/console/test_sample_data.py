"""Sample data in the console: offered where nothing is yet, shown as such, removed with progress."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from oneself.service.context import DatasetRef
from oneself.services import Services
from support.console_browser import ConsoleBrowser, new_console_user

HOME = "/console/o/acme"
FIRST_STEPS = {
    "": "Begin with an attribute",
    "/overview": "Nothing has arrived yet",
    "/profiles": "There is no profile yet",
    "/rules": "There is no rule yet",
    "/attributes": "There is no attribute here yet",
}


async def add(browser: ConsoleBrowser) -> None:
    await browser.open(f"{HOME}/sample")
    await browser.submit()


@pytest.mark.parametrize("path", FIRST_STEPS)
async def test_an_empty_page_says_what_to_do_first_and_offers_sample_data(
    ada: ConsoleBrowser, app: Any, services: Services, path: str
) -> None:
    await ada.open(HOME + path)
    assert FIRST_STEPS[path] in ada.text
    assert f'action="{HOME}/sample/add"' in ada.page.text
    await new_console_user(services, "eve", "analyst", "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await eve.open(HOME + path)
    assert FIRST_STEPS[path] in eve.text
    assert "sample/add" not in eve.page.text


async def test_sample_data_is_added_marked_and_removed(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await add(ada)
    assert ada.page.url.path == f"{HOME}/overview"
    assert "This is sample data" in ada.text
    assert "Two users are never merged".casefold() in ada.text.casefold()
    await ada.open(f"{HOME}/profiles", dataset="sample", q="sample-ann")
    assert "This is sample data" in ada.text
    assert "ann@shop.example" in ada.text
    for path in FIRST_STEPS:
        await ada.open(HOME + path)
        assert "Add sample data" not in ada.text
        assert "Look at the sample data" in ada.text
        assert "This is sample data" not in ada.text
    await ada.open(f"{HOME}/sample")
    confirm = ada.page
    await ada.submit()
    assert "The sample data is being removed" in ada.text
    assert 'hx-trigger="every 1s"' in ada.page.text
    await ada.submit(confirm, form="another")
    assert ada.page.status_code == 404
    while await services.overview.sample_data.step():
        pass
    ended = await ada.http.get(f"{HOME}/sample", headers={"HX-Request": "true"})
    assert "The sample data was removed" in ended.text
    await ada.open(f"{HOME}/sample")
    assert "The sample data was removed" not in ada.text
    assert "There is no sample data" in ada.text
    await ada.open(f"{HOME}/profiles", dataset="sample")
    assert ada.page.status_code == 400
    await add(ada)
    assert "This is sample data" in ada.text
    await ada.open(f"{HOME}/audit")
    assert ada.text.count("dataset sample") >= 3


async def test_a_second_sample_is_rejected_with_a_sentence(ada: ConsoleBrowser) -> None:
    await ada.open(f"{HOME}/sample")
    form = ada.page
    await ada.submit(form)
    await ada.submit(form, form="another")
    assert (ada.page.status_code, "has sample data already" in ada.text) == (409, True)


async def test_an_analyst_sees_sample_data_and_neither_adds_nor_removes_it(
    ada: ConsoleBrowser, app: Any, services: Services
) -> None:
    await add(ada)
    await new_console_user(services, "eve", "analyst", "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await eve.open(f"{HOME}/sample")
    assert "Dora and Emil share a tablet" in eve.text
    assert "sample/remove" not in eve.page.text
    for path in ("add", "remove"):
        answer: httpx.Response = await eve.http.post(f"{HOME}/sample/{path}", data={})
        assert answer.status_code == 403
