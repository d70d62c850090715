"""The overview of a dataset, as a browser without JavaScript sees it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from oneself.api.app import create_app
from oneself.api.http.metrics import Metrics
from oneself.service.context import DatasetRef
from oneself.service.overview.counts import CountLimits
from oneself.services import Services
from oneself.tunables import Tunables
from support.console_browser import ConsoleBrowser, new_console_user
from support.interactions_harness import InteractionsHarness, mail
from support.tunables import tuned

OVERVIEW = "/console/o/acme/overview"


@pytest.fixture
def tunables() -> Tunables:
    """Three parts are many."""
    return tuned(count_limits=CountLimits(wait_s=60, large_parts=3, shared_parts=3))


@pytest.fixture
async def site(services: Services, acme: DatasetRef) -> InteractionsHarness:
    return await InteractionsHarness(services, acme).begin()


async def test_an_empty_organisation_has_an_overview(ada: ConsoleBrowser) -> None:
    await ada.open(OVERVIEW)
    assert ada.page.status_code == 200
    for sentence in ("Nothing has arrived yet", "No event has arrived yet", "It answers in"):
        assert sentence in ada.text
    assert "Look at this. No mail server is set up" in ada.text


async def test_every_plot_has_its_numbers_in_a_table(ada: ConsoleBrowser, site: InteractionsHarness) -> None:
    for device in ("a", "b", "c"):
        await site.event(device=device)
        await site.event(mail("ann@shop.example"), device=device)
    await site.event(device="d")
    await ada.open(OVERVIEW)
    plots = re.findall(r'<section class="plot.*?</section>', ada.page.text, re.DOTALL)
    assert len(plots) == 6
    found = {re.search(r"<h2[^>]*>(.*?)</h2>", plot)[1]: plot for plot in plots}
    for heading, cells in {
        "Events per minute": ("interactions events", '<td data-label="interactions events">'),
        "Profiles": ("known by an identifier", '<td data-label="Profiles">1</td>'),
        "Joins": ("asserted", '<td data-label="Joins">2</td>'),
        "Sizes of profiles": ("3 to 5 parts", '<td data-label="Profiles">1</td>'),
        "Merges": ("emailAddress", '<td data-label="Merges">2</td>'),
    }.items():
        assert "<svg" in found[heading]
        assert "<details>" in found[heading]
        assert all(cell in found[heading] for cell in cells), heading
    assert "None yet" in found["Refusals"]
    assert "style=" not in ada.page.text


async def test_events_link_to_their_profiles_and_the_stream_can_be_paused(
    ada: ConsoleBrowser, site: InteractionsHarness
) -> None:
    await site.event(mail("ann@shop.example"), device="a", name="Basket")
    await ada.open(OVERVIEW)
    assert 'hx-trigger="every 3s"' in ada.page.text
    await site.event(device="b", name="Later")
    await ada.open(f"{OVERVIEW}/stream")
    assert "<h1" not in ada.page.text
    assert ada.text.index("Later") < ada.text.index("Basket")
    assert "a new profile" in ada.text
    await ada.open(
        [link for link in ada.parsed.links if "/profiles/events" in link][-1].replace("&amp;", "&")
    )
    assert ada.heading == "ann@shop.example"
    await ada.open(OVERVIEW, stream="paused")
    assert 'hx-trigger="every 3s"' not in ada.page.text


async def test_what_looks_over_merged_links_to_the_profile(
    ada: ConsoleBrowser, site: InteractionsHarness
) -> None:
    for device in ("a", "b", "c"):
        await site.event(mail("info@shop.example"), device=device)
    await ada.open(OVERVIEW)
    assert "A profile consists of 3 parts. It may be several people." in ada.text
    assert "3 parts have the same emailAddress" in ada.text
    links = re.findall(r'<li class="alert.*?href="([^"]*)"', ada.page.text)
    assert len(links) == 2
    for link in links:
        await ada.open(link.replace("&amp;", "&"))
        assert ada.heading == "info@shop.example"


async def test_every_role_sees_the_overview_of_its_organisation_alone(
    app: Any, services: Services, ada: ConsoleBrowser, site: InteractionsHarness
) -> None:
    await site.event(device="a", name="Secret")
    other = (await services.setup.provisioning.create("other", name="Other")).dataset_ref
    assert other.handle == "other"
    await new_console_user(services, "eve", "analyst", "other")
    await new_console_user(services, "pat", "privacy_officer", "acme")
    eve, pat = ConsoleBrowser(app), ConsoleBrowser(app)
    await eve.sign_in("eve")
    await pat.sign_in("pat")
    await pat.open(OVERVIEW)
    assert "Secret" in pat.text
    await eve.open("/console/o/other/overview")
    assert (eve.page.status_code, "Secret" in eve.text) == (200, False)
    for part in ("", "/numbers", "/stream"):
        await eve.open(OVERVIEW + part)
        assert eve.page.status_code == 404


async def test_a_dataset_is_chosen_and_an_unknown_one_is_rejected(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    await services.schema.datasets.create(acme, "travel", {})
    await site.event(device="a", name="Default")
    await ada.open(OVERVIEW, dataset="travel")
    assert '<option value="travel" selected>' in ada.page.text
    assert "Default" not in ada.text
    await ada.open(OVERVIEW, dataset="nothing")
    assert (ada.page.status_code, "It can be default or travel." in ada.text) == (400, True)


async def test_the_slowest_requests_are_those_of_the_organisation(
    services: Services, ada: ConsoleBrowser
) -> None:
    metrics = Metrics()
    browser, slow = ConsoleBrowser(create_app(services, services.settings, metrics)), metrics.slow_requests
    await browser.sign_in()
    scope = {"method": "GET", "headers": [], "path": "/t/acme/cds/api/v1/profiles"}
    slow.observe(scope, "/t/{org}/cds/api/v1/profiles", 200, 1.25)
    slow.observe({**scope, "path": "/t/other/x"}, "/t/{org}/other", 200, 9.0)
    slow.observe({**scope, "headers": [(b"accept", b"text/event-stream")]}, "/t/{org}/stream", 200, 9.0)
    await browser.open(OVERVIEW)
    assert "1250 ms" in browser.text
    assert "/t/{org}/cds/api/v1/profiles" in browser.text
    assert "9000 ms" not in browser.text
