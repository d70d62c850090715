"""Customer Data → Profiles: search, a profile in its views, its timeline, and why it is one person."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from oneself.core.config.changes import PutAttributes
from oneself.core.values.attribute import Attribute
from oneself.service.context import Actor, DatasetRef
from oneself.services import Services
from support.console_browser import ConsoleBrowser
from support.interactions_harness import InteractionsHarness, customer, mail

PROFILES = "/console/o/acme/profiles"
SERVER: dict[str, Any] = {"trust": "server"}


@pytest_asyncio.fixture
async def site(services: Services, acme: DatasetRef) -> InteractionsHarness:
    return await InteractionsHarness(services, acme).begin()


async def ann(site: InteractionsHarness) -> UUID:
    """A customer of whom a server said number and address; a page said the number of a browser."""
    values = {"identity_attributes": {"emailAddress": "ann@x.org", "customerId": "C-7"}}
    await site.event(customer("C-7"), mail("ann@x.org"), name="Order", values=values, **SERVER)
    await site.event(device="browser-1", name="View", values={"traits": {"plan": "gold"}})
    await site.event(customer("C-7"), device="browser-1", name="Login form")
    found = await site.found("customerId:C-7")
    assert found is not None
    return found


async def test_an_organisation_without_profiles_says_how_they_begin(ada: ConsoleBrowser) -> None:
    await ada.open(PROFILES)
    assert "There is no profile yet" in ada.text
    assert "/docs" in ada.parsed.links


async def test_one_field_finds_a_profile_by_anything(ada: ConsoleBrowser, site: InteractionsHarness) -> None:
    profile_id = await ann(site)
    other = await site.event(mail("bob@x.org"), device="browser-2")
    await ada.open(PROFILES)
    assert "The newest profiles" in ada.text
    assert {f"{PROFILES}/profile?id={it}" for it in (profile_id, other.profile.profile_id)} <= set(
        ada.parsed.links
    )
    for text in (
        str(profile_id),
        profile_id.hex[:24],
        "C-7",
        "c-7",
        "ANN@x.org",
        "browser-1",
        "customerId:C-7",
    ):
        await ada.open(PROFILES, q=text)
        assert f"{PROFILES}/profile?id={profile_id}" in ada.parsed.links, text
        assert str(other.profile.profile_id) not in ada.page.text
    await ada.open(PROFILES, q="unknown")
    assert "No profile has “unknown”" in ada.text
    await ada.open(f"{PROFILES}/values", q="GOL")
    assert "plan" in ada.text
    assert f"{PROFILES}/profile?id={profile_id}" in ada.parsed.links
    await ada.open(f"{PROFILES}/values", q="platinum")
    assert "No value contains" in ada.text


async def test_values_are_read_part_by_part(
    services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    for number in range(5):
        await site.event(
            mail(f"{number}@x.org"), device=f"browser-{number}", values={"traits": {"plan": "gold"}}
        )
    search, found = services.profiles.search, []
    page = await search.with_value(acme, "gold", size=2, read_at_once=3)
    while page.found or page.next_position is not None:
        found.append(len(page.found))
        if page.next_position is None:
            break
        page = await search.with_value(acme, "gold", page.next_position, size=2, read_at_once=3)
    assert sum(found) == 5
    assert max(found) == 2
    newest = await search.newest(acme, size=3)
    assert newest.next_position is not None
    assert len((await search.newest(acme, newest.next_position, size=3)).items) == 2


async def test_hidden_values_find_nobody_and_are_not_shown(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    secret = Attribute("pin", "traits.pin", "string", "overwrite", mutability="writeOnly")
    await services.configurations.change(acme.dataset_id, lambda _: PutAttributes((secret,)))
    created = await services.profiles.profiles.create(
        acme, Actor("cds"), {"traits": {"pin": "4711", "plan": "gold"}}, tracker=None
    )
    await ada.open(f"{PROFILES}/values", q="4711")
    assert "No value contains" in ada.text
    for page in ("profile", "history", "identifiers", "events"):
        await ada.open(f"{PROFILES}/{page}", id=str(created.profile.profile_id))
        assert ada.page.status_code == 200
        assert "4711" not in ada.page.text, page


async def test_a_profile_shows_what_each_view_adds(ada: ConsoleBrowser, site: InteractionsHarness) -> None:
    profile_id = await ann(site)
    await ada.open(f"{PROFILES}/profile", id=str(profile_id))
    assert "emailAddress ann@x.org" in ada.text
    assert "plan gold only in “All”" in ada.text
    assert "All adds 1 value and 1 merged profile" in ada.text
    assert f"profiles/{profile_id}?view=all" in ada.page.text
    await ada.open(f"{PROFILES}/profile", id=str(profile_id), view="proven")
    assert "ann@x.org" in ada.text
    assert "gold" not in ada.text
    assert "browser-1" not in ada.text
    await ada.open(f"{PROFILES}/profile", id="customerId:C-7", view="own")
    assert ada.page.status_code == 200


async def test_the_timeline_is_paged_and_filtered(ada: ConsoleBrowser, site: InteractionsHarness) -> None:
    for number in range(26):
        await site.event(device="browser-1", name=f"Visit {number:02}")
    profile_id = await site.found("browser-1")
    await ada.open(f"{PROFILES}/events", id=str(profile_id))
    assert re.findall(r"<strong>(Visit \d+)</strong>", ada.page.text) == [
        f"Visit {n:02}" for n in range(25, 0, -1)
    ]
    await ada.open(next(link for link in ada.parsed.links if "after=" in link))
    assert re.findall(r"<strong>(Visit \d+)</strong>", ada.page.text) == ["Visit 00"]
    await ada.open(f"{PROFILES}/events", id=str(profile_id), name="Visit 07", since="2020-01-01T00:00")
    assert re.findall(r"<strong>(Visit \d+)</strong>", ada.page.text) == ["Visit 07"]
    await ada.open(f"{PROFILES}/events", id=str(profile_id), until="2020-01-01T00:00")
    assert "No event passes the filter" in ada.text
    assert (await ada.open(f"{PROFILES}/events", id=str(profile_id), since="soon")).status_code == 400


async def test_identifiers_say_how_far_they_are_trusted(
    ada: ConsoleBrowser, site: InteractionsHarness
) -> None:
    profile_id = await ann(site)
    await ada.open(f"{PROFILES}/identifiers", id=str(profile_id))
    assert "emailAddress ann@x.org proven" in ada.text
    assert "anonymous_id browser-1 asserted" in ada.text


async def test_why_parts_are_one_and_why_profiles_are_not(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    profile_id = await ann(site)
    await ada.open(f"{PROFILES}/joins", id=str(profile_id))
    assert "Both have customerId “c-7”" in ada.text
    assert "asserted, not proven" in ada.text
    assert "Login form" in ada.text
    await ada.open(f"{PROFILES}/compare", **{"id": str(profile_id), "with": "browser-1"})
    assert "They are one profile in the view “All”" in ada.text
    other = await site.event(mail("bob@x.org"), device="browser-2")
    await ada.open(f"{PROFILES}/compare", **{"id": str(profile_id), "with": str(other.profile.profile_id)})
    assert "They are two profiles" in ada.text
    assert "nothing in common" in ada.text
    page = await ada.open(f"{PROFILES}/compare", **{"id": str(profile_id), "with": "unknown"})
    assert page.status_code == 404
    await ada.open(f"{PROFILES}/history", id=str(profile_id))
    assert "Merged" in ada.text
    assert "identity_attributes.emailAddress: ann@x.org" in ada.text


async def test_a_profile_as_it_was(ada: ConsoleBrowser, site: InteractionsHarness) -> None:
    first = await site.event(device="browser-1", values={"traits": {"plan": "gold"}})
    await site.event(device="browser-1", values={"traits": {"plan": "silver"}})
    entry, profile_id = first.profile, str(first.profile.profile_id)
    from oneself.console.formats import iso

    await ada.open(f"{PROFILES}/profile", id=profile_id, at=iso(entry.seq))
    assert "As it was on" in ada.text
    assert "gold" in ada.text
    assert "silver" not in ada.text
    assert (await ada.open(f"{PROFILES}/profile", id=profile_id, at="2020-01-01T00:00")).status_code == 404
    assert ada.heading == "No such profile"
    assert (await ada.open(f"{PROFILES}/profile", id=profile_id, at="2999-01-01T00:00")).status_code == 400
    assert "The instant is in the future." in ada.text


async def test_a_dataset_is_chosen_and_stays_chosen(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await services.schema.datasets.create(acme, "web", {})
    web = await services.schema.datasets.get(acme, "web")
    event = await (await InteractionsHarness(services, web).begin()).event(device="browser-1")
    await ada.open(PROFILES, q="browser-1")
    assert "No profile has “browser-1”" in ada.text
    await ada.open(PROFILES, dataset="web", q="browser-1")
    profile = f"{PROFILES}/profile?id={event.profile.profile_id}&dataset=web"
    assert profile in ada.parsed.links
    await ada.open(profile)
    assert "of the dataset web" in ada.text
    assert all("dataset=web" in link for link in ada.parsed.links if "/profiles" in link and "id=" in link)


@pytest.mark.parametrize(
    "path",
    [
        "/profile?id=unknown",
        "/profile?id=unknown&view=proven",
    ],
)
async def test_addresses_that_lead_to_no_profile(ada: ConsoleBrowser, path: str) -> None:
    assert (await ada.open(PROFILES + path)).status_code == 404
    assert ada.heading == "No such profile"


async def test_browsers_and_former_ids_of_some_parts_alone(
    services: Services, acme: DatasetRef, site: InteractionsHarness
) -> None:
    """As a page about a very large person reads them."""
    for browser in ("browser-1", "browser-2"):
        await site.event(customer("C-7"), device=browser, name="Order", **SERVER)
    lookup = services.profiles.lookup
    view = await lookup.find(acme, "customerId:C-7", "proven")
    assert view is not None
    every = await lookup.devices(acme, view)
    person = await lookup.person_in(acme, view)
    assert await lookup.devices(acme, view, parts_max=500) == every
    assert await lookup.person_in(acme, view, parts_max=500) == person
    assert set(await lookup.devices(acme, view, parts_max=1)) <= set(every)
    assert (await lookup.person_in(acme, view, parts_max=1)).survivor == person.survivor


async def test_a_person_is_called_by_the_address_that_is_known(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    """Also where no identity attribute is bound to it."""
    claims = {"emailaddress": "vera@acme.example"}
    made = await services.profiles.profiles.sign_in(
        acme, Actor("sign-in", "spa"), "user-9", tracker=None, claims=claims
    )
    await ada.open("/console/o/acme/profiles/profile", id=str(made.survivor.profile_id))
    assert ada.heading == "vera@acme.example"
