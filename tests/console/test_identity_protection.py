"""Identity → Blocked Values and Limits, as a browser without JavaScript sees them."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from oneself.core.identity.identity_type import IdentityType
from oneself.service.context import DatasetRef
from oneself.service.preview.concerned import PreviewLimits
from oneself.service.preview.previews import ChangePreviews
from oneself.service.profiles.refusals import Protection
from oneself.service.schema.identity_bindings import Binding
from oneself.services import Services
from support.console_browser import ConsoleBrowser, new_console_user
from support.profiles_harness import ProfilesHarness
from support.tunables import tuned

BLOCKED = "/console/o/acme/blocked"
LIMITS = "/console/o/acme/limits"


async def protection(services: Services, acme: DatasetRef) -> Protection:
    return await services.profiles.refusals.protection(acme)


def form_with(browser: ConsoleBrowser, text: str) -> httpx.Response:
    """The page, cut to the one form that contains a text."""
    forms = re.findall(r"<form.*?</form>", browser.page.text, re.DOTALL)
    (form,) = [item for item in forms if text in item and "csrf" in item]
    return httpx.Response(200, text=form, request=browser.page.request)


async def block(browser: ConsoleBrowser, entries: str, type_id: str = "", **fields: str) -> None:
    await browser.open(BLOCKED, **({"type": type_id} if type_id else {}))
    await browser.submit(form_with(browser, "<textarea"), entries=entries, **fields)


@pytest.fixture
async def people(services: Services, acme: DatasetRef) -> ProfilesHarness:
    """Two people with the address of a service desk, which is blocked."""
    await services.profiles.refusals.protect(acme, blocked_values=("desk@acme.example", "other"))
    harness = ProfilesHarness(services)
    harness.dataset_ref = acme
    await harness.begin()
    await services.identity.attributes.put(acme, [Binding("emailAddress", "emailAddress", "traits.mail")])
    for plan in ("gold", "trial"):
        await harness.person(plan=plan, mail="desk@acme.example")
    return harness


async def test_values_and_patterns_are_blocked_at_once(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await ada.open(BLOCKED)
    assert "No value is blocked here yet" in ada.text
    await block(ada, " Desk@acme.example \n\nhelp@acme.example\nDESK@acme.example")
    assert "identify nobody from now on" in ada.text
    await block(ada, "*@test.example", kind="blocked_patterns")
    stored = await protection(services, acme)
    assert stored.blocked_values == ("desk@acme.example", "help@acme.example")
    assert stored.blocked_patterns == ("*@test.example",)
    await ada.open(BLOCKED, q="TEST")
    assert "*@test.example Pattern" in ada.text
    assert "help@" not in ada.text
    await ada.open("/console/o/acme/audit")
    assert ada.text.count("ada (console)") == 2


async def test_a_value_is_unblocked_beneath_the_preview_of_whom_it_joins(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    await ada.open(BLOCKED)
    await ada.submit(form_with(ada, 'value="desk@acme.example"'))
    assert ada.heading == "No longer block “desk@acme.example”?"
    assert "All have emailAddress desk@acme.example" in ada.text
    assert "plan: gold" in ada.text
    assert len((await protection(services, acme)).blocked_values) == 2
    await services.profiles.refusals.protect(acme, blocked_patterns=("x*",))
    await ada.submit()
    assert (ada.page.status_code, "Something has changed" in ada.text) == (409, True)
    assert len((await protection(services, acme)).blocked_values) == 2
    confirm = ada.page
    await ada.submit()
    assert "The value is no longer blocked." in ada.text
    stored = await protection(services, acme)
    assert (stored.blocked_values, stored.blocked_patterns) == (("other",), ("x*",))
    await ada.submit(confirm)
    assert "You have sent this form already" in ada.text


async def test_values_of_one_type_are_blocked_and_unblocked_in_every_dataset(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    await services.schema.datasets.create(acme, "web", {})
    web = await services.schema.datasets.get(acme, "web")
    await services.identity.attributes.put(web, [Binding("emailAddress", "emailAddress")])
    await block(ada, "shared@acme.example", "emailAddress")
    assert "Email Address, in every dataset" in ada.text
    for ref in (acme, web):
        found = await services.schema.identity_types.find(ref, "emailAddress")
        assert found.blocked_values == ("shared@acme.example",)
    await ada.submit(form_with(ada, 'value="shared@acme.example"'))
    assert "No stored profile would change in default, web." in ada.text
    await ada.submit()
    assert (await services.schema.identity_types.find(web, "emailAddress")).blocked_values == ()


@pytest.mark.parametrize("tunables", [tuned(preview_limits=PreviewLimits(several_s=0))])
async def test_further_datasets_are_previewed_one_by_one(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    for name in ("a", "b"):
        await services.schema.datasets.create(acme, name, {})
        ref = await services.schema.datasets.get(acme, name)
        await services.identity.attributes.put(ref, [Binding("emailAddress", "emailAddress")])
    await block(ada, "desk@acme.example", "emailAddress")
    await ada.submit(form_with(ada, 'value="desk@acme.example"'))
    assert "Stored profiles of the dataset a" in ada.text
    assert "1 further dataset" in ada.text
    await ada.submit()
    assert (ada.page.status_code, "Stored profiles of the dataset b" in ada.text) == (200, True)
    assert "further" not in ada.text
    assert (await services.schema.identity_types.find(acme, "emailAddress")).blocked_values
    await services.schema.datasets.change(acme, "a", {"label": "A"})
    await ada.submit()
    assert (ada.page.status_code, "Stored profiles of the dataset a" in ada.text) == (409, True)
    await ada.submit()
    await ada.submit()
    assert "The value is no longer blocked." in ada.text


@pytest.mark.parametrize(
    ("entries", "type_id", "status"),
    [
        ("", "", 400),
        (" \n ", "", 400),
        ("x" * 513, "", 400),
        ("x" * 257, "emailAddress", 400),
        ("a\0", "", 400),
    ],
)
async def test_what_cannot_be_blocked_is_said(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, entries: str, type_id: str, status: int
) -> None:
    await block(ada, entries, type_id)
    assert ada.page.status_code == status
    assert (await protection(services, acme)).blocked_values == ()


async def test_markup_in_a_blocked_value_is_text(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    value = "\"><script>alert('x')</script>"
    await block(ada, value)
    assert "<script>alert" not in ada.page.text
    await ada.submit(form_with(ada, "Remove"))
    assert (await protection(services, acme)).blocked_values == ()
    await ada.open(BLOCKED, type="<b>", q="a")
    assert ada.page.status_code == 400
    assert "<b>" not in ada.page.text


async def test_a_raised_limit_is_previewed_and_a_stale_one_is_told(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await ada.open(LIMITS)
    stale = ada.page
    await ada.submit(profiles_per_merge_max="200")
    assert ada.heading == "Change the limits?"
    await ada.submit()
    assert "The limits were changed." in ada.text
    assert (await protection(services, acme)).profiles_per_merge_max == 200
    await ada.submit(stale, profiles_per_merge_max="300", form="another")
    assert ada.page.status_code == 409
    assert "Stored now: 200 profiles" in ada.text
    assert (await protection(services, acme)).profiles_per_merge_max == 200
    await ada.open(LIMITS)
    await ada.submit(values_per_namespace_max="50")
    assert (await protection(services, acme)).values_per_namespace_max == 50


@pytest.mark.parametrize("text", ["", "0", "-1", "1e9", "1000001", "٣", "9" * 5000])
async def test_what_is_no_limit_is_said(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, text: str
) -> None:
    await ada.open(LIMITS)
    await ada.submit(profiles_per_merge_max=text)
    assert (ada.page.status_code, "Enter a whole number from 1 to 1000000" in ada.text) == (400, True)
    assert (await protection(services, acme)).profiles_per_merge_max == 100


async def test_a_change_at_the_same_moment_is_told(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def change_meanwhile(*_: Any) -> bool:
        await services.profiles.refusals.protect(acme, blocked_values=("theirs",))
        return False

    monkeypatch.setattr(ChangePreviews, "may_concern", change_meanwhile)
    await block(ada, "mine")
    assert ada.page.status_code == 409
    assert "Somebody else changed the settings at the same moment" in ada.text
    assert (await protection(services, acme)).blocked_values == ("theirs",)


async def test_many_values_are_searched(ada: ConsoleBrowser, services: Services, acme: DatasetRef) -> None:
    values = tuple(f"value-{number:04}" for number in range(1000))
    await services.schema.identity_types.create(acme, IdentityType("card", "Card", blocked_values=values))
    await ada.open(BLOCKED, type="card")
    assert "The first 200 of 1000 are listed." in ada.text
    await ada.open(BLOCKED, type="card", q="0999")
    assert "value-0999" in ada.text
    assert ada.text.count("Exact value") == 1


@pytest.mark.parametrize("role", ["analyst", "privacy_officer"])
async def test_who_may_not_change_protection_reads_it(
    app: Any, services: Services, acme: DatasetRef, people: ProfilesHarness, role: str
) -> None:
    await new_console_user(services, "eve", role, "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await eve.open(BLOCKED)
    assert "desk@acme.example" in eve.text
    assert "Remove" not in eve.text
    assert "<textarea" not in eve.page.text
    await eve.open(LIMITS)
    assert "Profiles per merge 100" in eve.text
    assert "Save" not in eve.text
