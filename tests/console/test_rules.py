"""Customer Data → Unification Rules, as a browser without JavaScript sees it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from oneself.core.identity.identifier_source import UnificationRule
from oneself.service.context import DatasetRef
from oneself.services import Services
from support.console_browser import ConsoleBrowser, new_console_user
from support.profiles_harness import ProfilesHarness

LIST = "/console/o/acme/rules"


@pytest.fixture
async def people(services: Services, acme: DatasetRef) -> ProfilesHarness:
    """Two profiles with one number, and one with another."""
    harness = ProfilesHarness(services)
    harness.dataset_ref = acme
    await harness.begin()
    for plan, number in (("gold", "A-1"), ("trial", "A-1"), ("free", "B-2")):
        await harness.person(plan=plan, card=number)
    return harness


async def rules(services: Services, acme: DatasetRef) -> list[UnificationRule]:
    return await services.rules.rules.list_rules(acme)


def page_of(browser: ConsoleBrowser, action: str, to: str) -> httpx.Response:
    """The page, cut to one of its forms."""
    forms = re.findall(r"<form.*?</form>", browser.page.text, re.DOTALL)
    (form,) = [item for item in forms if action in item and f'name="to" value="{to}"' in item]
    return httpx.Response(200, text=form, request=browser.page.request)


async def create(browser: ConsoleBrowser, attribute: str, active: str = "yes", **fields: str) -> None:
    await browser.open(f"{LIST}/new", attribute=attribute, **fields)
    await browser.submit(active=active)


async def test_a_rule_is_created_beneath_its_preview_and_applied(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    await ada.open(LIST)
    assert "There is no rule yet" in ada.text
    await ada.open(f"{LIST}/new")
    assert '<option value="traits.card">' in ada.page.text
    await ada.open(f"{LIST}/new", attribute="traits.card", name="Loyalty card")
    assert await rules(services, acme) == []
    (preview,) = [link for link in ada.parsed.links if "/rules/preview" in link]
    confirm = ada.page
    await ada.open(preview)
    assert "All have traits.card a-1" in ada.text
    assert "plan: gold" in ada.text
    assert "plan: trial" in ada.text
    assert "plan: free" not in ada.text
    await ada.submit(confirm, active="yes")
    assert "The rule was created" in ada.text
    (rule,) = await rules(services, acme)
    assert (rule.rule_name, rule.is_active, rule.proves_identity) == ("Loyalty card", True, False)
    assert "of 3 stored profiles" in ada.text
    await services.rules.reindexer.finish(acme, lambda done, total: None)
    await ada.open(LIST)
    assert "1 stored profile merged" in ada.text


async def test_a_rule_is_switched_off_and_on_beneath_what_that_does(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    await create(ada, "traits.card")
    await services.rules.reindexer.finish(acme, lambda done, total: None)
    (rule,) = await rules(services, acme)
    await ada.open(f"{LIST}/switch", id=rule.rule_id)
    assert "What it has merged stays merged" in ada.text
    confirm = ada.page
    await ada.open(f"{LIST}/preview", id=rule.rule_id)
    assert "Would come apart in a rebuild" in ada.text
    await ada.submit(confirm)
    assert "The rule was switched off" in ada.text
    assert not (await rules(services, acme))[0].is_active
    await ada.submit(confirm)
    assert ada.page.status_code == 409
    await ada.open(f"{LIST}/switch", id=rule.rule_id)
    await ada.submit()
    assert (await rules(services, acme))[0].is_active


@pytest.mark.parametrize(
    ("attribute", "sentence"),
    [
        ("traits.nothing", "has no attribute"),
        ("user_id", "The user id identifies without a rule"),
        ("application_data.cart", "not allowed"),
    ],
)
async def test_what_can_be_no_rule_is_said(
    ada: ConsoleBrowser, people: ProfilesHarness, attribute: str, sentence: str
) -> None:
    await ada.open(f"{LIST}/new", attribute=attribute)
    assert (ada.page.status_code, sentence in ada.text) == (400, True)
    await ada.open(f"{LIST}/preview", attribute=attribute)
    assert (ada.page.status_code, sentence in ada.text) == (400, True)


async def test_rules_are_moved_renamed_and_deleted(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    for attribute in ("traits.card", "traits.plan", "identity_attributes.emailaddress"):
        await create(ada, attribute, active="no")
    first, second, third = await rules(services, acme)
    for rule, to, order in (
        (third, "up", [first, third, second]),
        (first, "down", [third, first, second]),
        (third, "up", [third, first, second]),
    ):
        await ada.open(LIST)
        await ada.submit(page_of(ada, f"{LIST}/move?id={rule.rule_id}", to))
        found = [item.rule_id for item in await rules(services, acme)]
        assert found == [item.rule_id for item in order]
    await ada.open(f"{LIST}/rule", id=first.rule_id)
    stale = ada.page
    await ada.submit(name="Card")
    assert "The rule was renamed" in ada.text
    await ada.submit(stale, name="Number", form="another")
    assert ada.page.status_code == 409
    assert "Somebody else changed this rule in the meantime" in ada.text
    assert [rule.rule_name for rule in await rules(services, acme)][1] == "Card"
    await ada.open(f"{LIST}/rule", id=first.rule_id)
    await ada.submit(name=" ")
    assert (ada.page.status_code, "Enter a name" in ada.text) == (400, True)
    await ada.open(f"{LIST}/delete", id=first.rule_id)
    await ada.submit()
    assert "The rule was deleted" in ada.text
    assert first.rule_id not in [rule.rule_id for rule in await rules(services, acme)]
    await ada.open("/console/o/acme/audit")
    assert ada.text.count("ada (console)") >= 6


async def test_an_analyst_sees_rules_and_changes_none(
    app: Any, services: Services, acme: DatasetRef, ada: ConsoleBrowser, people: ProfilesHarness
) -> None:
    await create(ada, "traits.card", active="no")
    await new_console_user(services, "eve", "analyst", "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await eve.open(LIST)
    assert "traits.card" in eve.text
    assert "New rule" not in eve.text
    assert "Switch on" not in eve.text
