"""The identity graph of a profile: a picture and a table of its parts and what ties them."""

from __future__ import annotations

import html
import re
from itertools import pairwise
from typing import Any

import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from oneself.console.formats import iso
from oneself.console.graph_layout import MARGIN, ROW_HEIGHT, lay_out
from oneself.core.config.changes import PutAttributes
from oneself.core.values.attribute import Attribute
from oneself.service.context import Actor, DatasetRef
from oneself.service.explain.section import PARTS_DRAWN_MAX
from oneself.services import Services
from support.console_browser import ConsoleBrowser
from support.interactions_harness import InteractionsHarness, customer, mail

PROFILES = "/console/o/acme/profiles"
GRAPH = f"{PROFILES}/graph"
SERVER: dict[str, Any] = {"trust": "server"}


@pytest_asyncio.fixture
async def site(services: Services, acme: DatasetRef) -> InteractionsHarness:
    return await InteractionsHarness(services, acme).begin()


def labels(ada: ConsoleBrowser) -> list[str]:
    """What the nodes of the picture are called."""
    return [
        html.unescape(item) for item in re.findall(r'class="node [^>]*aria-label="([^"]*)"', ada.page.text)
    ]


def edges(ada: ConsoleBrowser) -> list[str]:
    """The edges of the picture as sentences."""
    return [
        html.unescape(item)
        for item in re.findall(r'<path class="edge [^>]*><title>(.*?)</title>', ada.page.text)
    ]


async def test_parts_identifiers_and_evidence_are_drawn_and_listed(
    ada: ConsoleBrowser, site: InteractionsHarness
) -> None:
    await site.event(customer("C-7"), mail("ann@x.org"), name="Order", **SERVER)
    await site.event(device="browser-1", name="View")
    await site.event(customer("C-7"), device="browser-1", name="Login form")
    await ada.open(GRAPH, id="customerId:C-7")
    assert sorted(labels(ada)) == [
        "A browser, browser-1",
        "A record of a server (heads the profile)",
        "customerId c-7",
        "emailAddress ann@x.org",
    ]
    assert "A browser, browser-1, customerId c-7: asserted, not proven, reason identity:customerId" in edges(
        ada
    )
    assert (
        "A record of a server (heads the profile), customerId c-7: proven by servers, "
        "reason identity:customerId" in edges(ada)
    )
    table = ada.page.text.partition("<tbody>")[2]
    assert table.count("<tr>") == len(edges(ada)) == 3
    assert "Login form" in table
    assert "joins no other part here" in table
    assert "The picture shows all of it" in ada.text
    links = set(ada.parsed.links)
    assert f"{PROFILES}?q=customerId%3Ac-7" in links
    assert any(link.startswith(f"{PROFILES}/compare?") and "with=" in link for link in links)
    assert {f"{GRAPH}?id=customerId%3AC-7&view={view}" for view in ("own", "proven")} <= links

    await ada.open(GRAPH, id="customerId:C-7", view="proven")
    assert (
        sorted(labels(ada))
        == [
            "A record of a server (heads the profile)",
            "customerId C-7",
            "emailAddress ann@x.org",
        ]
        or "browser-1" not in ada.page.text
    )
    assert "browser-1" not in ada.page.text


async def test_the_owner_of_a_part_is_said(ada: ConsoleBrowser, services: Services, acme: DatasetRef) -> None:
    created = await services.profiles.profiles.create(acme, Actor("cds"), {}, tracker=None, user_id="u-1")
    await ada.open(GRAPH, id=str(created.profile.profile_id), view="own")
    assert ada.page.status_code == 200
    assert "of the user u-1" in " ".join(labels(ada))
    assert 'class="node owned"' in ada.page.text


async def test_a_crowd_is_drawn_section_by_section(ada: ConsoleBrowser, site: InteractionsHarness) -> None:
    await site.event(mail("info@x.org"), name="Order", **SERVER)
    browsers = [f"browser-{number:02}" for number in range(PARTS_DRAWN_MAX + 9)]
    for browser in browsers:
        await site.event(device=browser)
        await site.event(mail("info@x.org"), device=browser)
    await ada.open(GRAPH, id="emailAddress:info@x.org")
    drawn = {browser for browser in browsers if f"A browser, {browser}" in labels(ada)}
    assert len(drawn) == PARTS_DRAWN_MAX
    assert f"The picture shows {PARTS_DRAWN_MAX + 1} of {len(browsers) + 1} parts" in ada.text
    assert "and 9 more with emailAddress info@x.org" in labels(ada)
    further = next(link for link in ada.parsed.links if link.startswith(GRAPH) and "after=" in link)
    await ada.open(further)
    rest = {browser for browser in browsers if f"A browser, {browser}" in labels(ada)}
    assert drawn | rest == set(browsers)
    assert not drawn & rest
    assert "after=" not in " ".join(link for link in ada.parsed.links if link.startswith(GRAPH))


async def test_hidden_values_are_not_drawn(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    key = "identity_attributes.customerId"
    await site.event(customer("C-4711"), mail("ann@x.org"), name="Order", **SERVER)
    known = await services.configurations.current(acme.dataset_id)
    same = next(item for item in known.schema.attributes if item.attribute_name == key)
    hidden = Attribute(same.attribute_id, key, "string", "overwrite", mutability="writeOnly")
    await services.configurations.change(acme.dataset_id, lambda _: PutAttributes((hidden,)))
    await ada.open(GRAPH, id="emailAddress:ann@x.org")
    assert "customerId a hidden value" in labels(ada)
    assert "4711" not in ada.page.text
    await ada.open(f"{PROFILES}/identifiers", id="emailAddress:ann@x.org")
    assert "customerId hidden: write-only" in ada.text
    assert "4711" not in ada.page.text


async def test_the_graph_as_it_was(ada: ConsoleBrowser, site: InteractionsHarness) -> None:
    first = await site.event(mail("ann@x.org"), name="Order", **SERVER)
    await site.event(mail("ann@x.org"), device="browser-1")
    profile_id = str(first.profile.profile_id)
    await ada.open(GRAPH, id=profile_id)
    assert "browser-1" in ada.page.text
    await ada.open(GRAPH, id=profile_id, at=iso(first.profile.seq))
    assert "As it was on" in ada.text
    assert "emailAddress ann@x.org" in labels(ada)
    assert "browser-1" not in ada.page.text


@given(
    st.integers(1, 40).flatmap(
        lambda left: st.integers(0, 40).flatmap(
            lambda right: st.tuples(
                st.just(left),
                st.just(right),
                st.lists(st.tuples(st.integers(0, left - 1), st.integers(0, max(right - 1, 0)))),
            )
        )
    )
)
def test_no_two_nodes_overlap_and_all_are_in_the_picture(
    drawn: tuple[int, int, list[tuple[int, int]]],
) -> None:
    left, right, ends = drawn
    ends = ends if right else []
    layout = lay_out(left, right, ends)
    assert layout == lay_out(left, right, ends)
    assert (len(layout.left), len(layout.right), len(layout.paths)) == (left, right, len(ends))
    for column in (layout.left, layout.right):
        tops = sorted(column)
        assert all(later - earlier >= ROW_HEIGHT for earlier, later in pairwise(tops))
        assert all(MARGIN <= top <= layout.height - ROW_HEIGHT for top in tops)
