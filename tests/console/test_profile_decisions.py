"""Split, merge, export and erase profiles: always after what it comes to was shown, and only that."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from oneself.service.context import DatasetRef
from oneself.services import Services
from support.console_browser import ADMIN, ConsoleBrowser
from support.interactions_harness import InteractionsHarness, customer, mail

PROFILES = "/console/o/acme/profiles"
SERVER: dict[str, Any] = {"trust": "server"}


@pytest_asyncio.fixture
async def site(services: Services, acme: DatasetRef) -> InteractionsHarness:
    return await InteractionsHarness(services, acme).begin()


async def profile(site: InteractionsHarness, number: str, browser: str = "") -> UUID:
    """A customer whose number a server said and, if it is named, a browser."""
    values = {"identity_attributes": {"customerId": number}}
    await site.event(customer(number), name="Order", values=values, **SERVER)
    if browser:
        await site.event(device=browser, name="View", values={"traits": {"plan": "gold"}})
        await site.event(customer(number), device=browser, name="Login form")
    found = await site.found(f"customerId:{number}")
    assert found is not None
    return found


async def decided(services: Services, acme: DatasetRef) -> list[tuple[str, str | None]]:
    entries = await services.log.audit.list_entries(acme, 0, 2**62, limit=100, offset=0)
    return [(item.kind, item.console_user) for item in entries if item.kind in ("split", "merge", "erase")]


async def test_a_split_is_made_once_and_as_it_was_shown(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    profile_id = str(await profile(site, "C-7", "browser-1"))
    await ada.open(f"{PROFILES}/split", id=profile_id)
    assert "browser:browser-1" in ada.page.text
    preview = await ada.open(f"{PROFILES}/split", id=profile_id, what="browser:browser-1")
    assert "Stays" in ada.text
    assert "Goes" in ada.text
    assert "&#34;browser&#34;:&#34;browser-1&#34;" in preview.text
    assert await decided(services, acme) == []
    # Another browser arrives before the form is sent.
    await site.event(customer("C-7"), device="browser-9")
    await ada.submit(preview, reason="A shared laptop")
    assert ada.page.status_code == 409
    assert "Nothing was done" in ada.text
    assert 'value="A shared laptop"' in ada.page.text
    assert await decided(services, acme) == []
    again = ada.page
    await ada.submit()
    assert "The profile was split" in ada.text
    assert await decided(services, acme) == [("split", ADMIN)]
    assert str(await site.found("browser-1")) != profile_id
    await ada.submit(again)
    assert ada.page.status_code == 409
    assert await decided(services, acme) == [("split", ADMIN)]
    await ada.open(f"{PROFILES}/history", id=profile_id)
    assert f"By {ADMIN}. It was parted into 2 parts, 1 part. Reason: A shared laptop" in ada.text, ada.text
    assert "became part of" in ada.text
    # It is told when it was decided, not as if it had always been.
    assert "a person split them" not in ada.text


@pytest.mark.parametrize("what", ["browser:unknown", "profile:6e7b3c1e-5f2d-4e43-9d0e-5a3f7f1b2c4d"])
async def test_a_split_of_nothing_says_why(ada: ConsoleBrowser, site: InteractionsHarness, what: str) -> None:
    profile_id = str(await profile(site, "C-7", "browser-1"))
    assert (await ada.open(f"{PROFILES}/split", id=profile_id, what=what)).status_code == 400
    assert 'role="alert"' in ada.page.text
    assert (await ada.open(f"{PROFILES}/split", id=profile_id, what="nonsense")).status_code == 400
    assert "The parameter “what” is wrong." in ada.text


async def test_a_merge_shows_both_and_the_result(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    one, other = str(await profile(site, "C-7")), str(await profile(site, "C-8"))
    await ada.open(f"{PROFILES}/merge", id=one)
    await ada.open(f"{PROFILES}/merge", **{"id": one, "with": "unknown"})
    assert ada.page.status_code == 400
    page = await ada.open(f"{PROFILES}/merge", **{"id": one, "with": other})
    assert "This profile" in ada.text
    assert "Afterwards" in ada.text
    form = page.text.replace('method="get"', "").split("<h2", 2)[2]
    assert "Merge the profiles" in form
    # A value changes before the form is sent.
    await site.event(customer("C-8"), values={"traits": {"plan": "silver"}}, **SERVER)
    await ada.submit(_last_form(page), to=str(page.url), reason="Called us")
    assert ada.page.status_code == 409
    assert "silver" in ada.text
    assert await decided(services, acme) == []
    page = ada.page
    await ada.submit(_last_form(page), to=str(page.url), reason="Called us")
    assert "The profiles were merged" in ada.text
    assert await decided(services, acme) == [("merge", ADMIN)]
    assert await site.found("customerId:C-7") == await site.found("customerId:C-8")
    await ada.open(f"{PROFILES}/merge", **{"id": one, "with": other})
    assert "Both ids mean the same profile already" in ada.text


async def test_of_two_users_one_gives_up_the_account(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    from oneself.service.context import Actor

    made = [
        await services.profiles.profiles.create(acme, Actor("cds"), {}, tracker=None, user_id=user)
        for user in ("user-1", "user-2")
    ]
    one, other = (str(item.profile.profile_id) for item in made)
    await ada.open(f"{PROFILES}/merge", **{"id": one, "with": other})
    assert ada.page.status_code == 409
    assert "two users never share a profile" in ada.text
    assert "The account of user-2" in ada.text
    page = await ada.open(f"{PROFILES}/merge", **{"id": one, "with": other, "gives_up": "user-2"})
    assert "The account user-2 ends" in ada.text
    await ada.submit(_last_form(page), to=str(page.url))
    assert "The profiles were merged" in ada.text


async def test_an_export_is_a_file_after_a_typed_confirmation(
    ada: ConsoleBrowser, site: InteractionsHarness
) -> None:
    profile_id = str(await profile(site, "C-7", "browser-1"))
    await ada.open(f"{PROFILES}/export", id=profile_id)
    await ada.submit(typed="yes")
    assert ada.page.status_code == 400
    await ada.submit(typed=profile_id[:8])
    assert ada.page.headers["content-disposition"] == f'attachment; filename="person-{profile_id}.json"'
    assert ada.page.headers["cache-control"] == "no-store"
    assert ada.page.json()["profile"]["profile_id"] == profile_id


async def test_an_erasure_is_confirmed_and_leaves_a_receipt(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    profile_id = str(await profile(site, "C-7", "browser-1"))
    page = await ada.open(f"{PROFILES}/erase", id=profile_id)
    assert "What would be erased in this view" in ada.text
    await ada.submit(typed="")
    assert ada.page.status_code == 400
    # A value changes before the form is sent.
    await site.event(customer("C-7"), values={"traits": {"plan": "silver"}}, **SERVER)
    await ada.submit(page, typed=profile_id[:8])
    assert ada.page.status_code == 409
    assert "Nothing was erased" in ada.text
    await ada.submit(typed=profile_id[:8])
    assert ada.heading == "Receipt of an erasure"
    assert profile_id in ada.text
    assert await decided(services, acme) == [("erase", ADMIN)]
    assert (await ada.open(f"{PROFILES}/profile", id=profile_id)).status_code == 404
    await ada.open("/console/o/acme/erasures")
    assert any("/erasures/receipt?id=" in link for link in ada.parsed.links)
    await ada.open("/console/o/acme/erasures", before="1")
    assert "Nothing was erased before that" in ada.text


async def test_an_erasure_takes_no_browser_that_its_page_did_not_count(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    await site.event(mail("family@x.org"), device="browser-1")
    await site.event(mail("family@x.org"), device="browser-2")
    profile_id = str(await site.found("browser-1"))
    page = await ada.open(f"{PROFILES}/erase", id=profile_id, view="all")
    await site.event(mail("family@x.org"), device="browser-3")
    await ada.submit(page, typed=profile_id[:8])
    assert ada.page.status_code == 409
    assert "Nothing was erased" in ada.text
    assert await site.found("browser-3") == UUID(profile_id)
    await ada.submit(typed=profile_id[:8])
    assert ada.heading == "Receipt of an erasure"
    assert await site.found("browser-3") is None


async def test_an_erasure_names_the_users_whose_parts_it_has(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    await site.event(mail("family@x.org"), device="browser-1")
    found = await site.found("browser-1")
    await ada.open(f"{PROFILES}/erase", id=str(found), view="own")
    assert "of nobody who signed in" in ada.text


def _last_form(page: Any) -> Any:
    """A page with its last form alone, which makes the decision."""
    import httpx

    text = "<form" + page.text.rpartition("<form")[2]
    return httpx.Response(200, text=text, request=page.request)
