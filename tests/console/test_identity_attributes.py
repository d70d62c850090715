"""Identity → Identity Attributes and Channel Identities, as a browser without JavaScript sees them."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.core.identity.identity_type import IdentityBinding, IdentityType
from oneself.service.context import DatasetRef
from oneself.service.schema.identity_bindings import Binding
from oneself.services import Services
from support.console_browser import ConsoleBrowser, new_console_user
from support.profiles_harness import ProfilesHarness

LIST = "/console/o/acme/identities"
CHANNELS = "/console/o/acme/channels"
CARD = IdentityBinding("card", "loyaltyId", "traits.card")


async def bound(services: Services, acme: DatasetRef) -> list[IdentityBinding]:
    return await services.identity.attributes.list(acme)


@pytest.fixture
async def people(services: Services, acme: DatasetRef) -> ProfilesHarness:
    """Two profiles with one card, and one with another."""
    await services.schema.identity_types.create(acme, IdentityType("loyaltyId", "Loyalty number"))
    harness = ProfilesHarness(services)
    harness.dataset_ref = acme
    await harness.begin()
    for plan, number in (("gold", "A-1"), ("trial", "A-1"), ("free", "B-2")):
        await harness.person(plan=plan, card=number)
    return harness


async def put_by_another(services: Services, acme: DatasetRef, *bindings: Binding) -> None:
    attributes = services.identity.attributes
    needed = await attributes.required_confirmation(acme, bindings, None)
    await attributes.put(acme, bindings, needed.confirmation if needed else None)


async def create(browser: ConsoleBrowser, **fields: str) -> None:
    await browser.open(f"{LIST}/new")
    given = {"name": "card", "identity_type": "loyaltyId", "attribute": "traits.card"}
    await browser.submit(**{**given, **fields})


async def test_an_identity_attribute_is_created_beneath_the_preview_of_whom_it_joins(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    await ada.open(LIST)
    assert "Nothing identifies people in the events of default yet" in ada.text
    await ada.open(f"{LIST}/new")
    assert '<option value="traits.card">' in ada.page.text
    await create(ada)
    assert ada.heading == "Create “card”?"
    for fact in ("All have loyaltyId a-1 (proven by servers)", "plan: gold", "plan: trial"):
        assert fact in ada.text
    assert "plan: free" not in ada.text
    assert "In all, 1 stored profile is merged" in ada.text
    assert '"identity_attributes":[{"name":"card"' in ada.text
    assert await bound(services, acme) == []
    confirm = ada.page
    await ada.submit()
    assert "The identity attribute was created." in ada.text
    assert "of 3 stored profiles done" in ada.text
    assert await bound(services, acme) == [CARD]
    await ada.submit(confirm)
    assert "You have sent this form already" in ada.text
    await people.index()
    await ada.open(LIST)
    assert "Matches. Stored profiles merged: 1" in ada.text
    await ada.open("/console/o/acme/audit")
    assert "ada (console)" in ada.text


async def test_more_people_than_were_previewed_are_not_joined(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    await create(ada)
    await people.person(plan="late", card="B-2")
    await ada.submit()
    assert ada.page.status_code == 409
    assert "Something has changed since the last preview" in ada.text
    assert "plan: late" in ada.text
    assert await bound(services, acme) == []
    await ada.submit()
    assert await bound(services, acme) == [CARD]


async def test_an_identity_attribute_is_changed_and_removed(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    await create(ada)
    await ada.submit()
    await people.index()
    await ada.open(f"{LIST}/identity", name="card")
    await ada.submit(attribute="traits.plan")
    assert ada.heading == "Change “card”?"
    await ada.submit()
    assert await bound(services, acme) == [IdentityBinding("card", "loyaltyId", "traits.plan")]
    await ada.open(f"{LIST}/identity", name="card")
    await ada.submit(to=f"{LIST}/remove?name=card")
    assert "Values of the attribute stay stored" in ada.text
    assert len(await bound(services, acme)) == 1
    await ada.submit()
    assert "The identity attribute was removed." in ada.text
    assert await bound(services, acme) == []
    await ada.open(f"{LIST}/identity", name="card")
    assert ada.page.status_code == 404


async def test_two_administrators_are_told_of_each_other(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    await create(ada)
    await ada.submit()
    await ada.open(f"{LIST}/identity", name="card")
    await put_by_another(services, acme, Binding("card", "customerId", "traits.card"))
    await ada.submit(attribute="traits.plan")
    assert ada.page.status_code == 409
    assert "Somebody else changed the identity attributes in the meantime" in ada.text
    assert "of the type customerId" in ada.text
    assert (await bound(services, acme))[0].type_id == "customerId"
    await create(ada, name="mail", identity_type="emailAddress", attribute="traits.mail")
    others = (Binding("card", "customerId", "traits.card"), Binding("plan", "loyaltyId", "traits.plan"))
    await put_by_another(services, acme, *others)
    await ada.submit()
    assert (ada.page.status_code, "Something has changed since the last preview" in ada.text) == (409, True)
    await ada.submit()
    assert [item.name for item in await bound(services, acme)] == ["card", "mail", "plan"]


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"name": ""}, 400, "is not a name of an identity attribute"),
        ({"name": "<b>x</b>"}, 400, "is not a name of an identity attribute"),
        ({"name": "x" * 5000}, 400, "is not a name of an identity attribute"),
        ({"name": "a\0b"}, 400, "contains a NUL character"),
        ({"identity_type": ""}, 400, "There is no identity type"),
        ({"identity_type": "profileId"}, 400, "is the primary id itself"),
        ({"attribute": "traits.tags"}, 400, "cannot hold identities"),
        ({"attribute": "application_data.x"}, 400, "only identity_attributes and traits"),
    ],
)
async def test_what_is_no_identity_attribute_is_said_at_its_field(
    ada: ConsoleBrowser,
    services: Services,
    acme: DatasetRef,
    people: ProfilesHarness,
    fields: dict[str, str],
    status: int,
    sentence: str,
) -> None:
    await create(ada, **fields)
    assert (ada.page.status_code, sentence in ada.text) == (status, True), ada.text
    assert "<b>x" not in ada.page.text
    assert await bound(services, acme) == []


async def test_channel_identities_are_changed_beneath_their_preview(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    await ada.open(CHANNELS)
    assert "user.id means nothing in default yet" in ada.text
    await create(ada)
    await ada.submit()
    await people.index()
    await ada.open(CHANNELS)
    stale = ada.page
    await ada.submit(Web="card")
    assert ada.heading == "Change the channel identities of default?"
    assert await services.identity.attributes.channels(acme) == {}
    await ada.submit()
    assert "The channel identities were changed." in ada.text
    assert await services.identity.attributes.channels(acme) == {"Web": "card"}
    await ada.submit(stale, Server="card", form="another")
    assert ada.page.status_code == 409
    assert "Somebody else changed the channel identities in the meantime" in ada.text
    await ada.open(CHANNELS)
    await ada.submit(Mobile="missing")
    assert (ada.page.status_code, "bind it first" in ada.text) == (400, True)
    await ada.open(f"{LIST}/identity", name="card")
    await ada.submit(to=f"{LIST}/remove?name=card")
    assert (ada.page.status_code, "choose another identity first" in ada.text) == (409, True)


async def test_a_dataset_is_chosen(ada: ConsoleBrowser, services: Services, acme: DatasetRef) -> None:
    await services.schema.datasets.create(acme, "web", {})
    await ada.open(LIST, dataset="web")
    assert "in the events of web yet" in ada.text
    (new,) = {link for link in ada.parsed.links if "/identities/new" in link}
    await ada.open(new)
    await ada.submit(name="customerId", identity_type="customerId")
    await ada.submit()
    web = await services.schema.datasets.get(acme, "web")
    assert [item.name for item in await bound(services, web)] == ["customerId"]
    assert await bound(services, acme) == []
    assert "dataset=web" in str(ada.page.url)
    await ada.open(CHANNELS, dataset="web")
    assert "Now customerId." in ada.text


async def test_an_analyst_reads_identity_attributes_and_channels(
    app: Any, services: Services, acme: DatasetRef, people: ProfilesHarness
) -> None:
    await services.identity.attributes.put(acme, [Binding("customerId", "customerId")])
    await new_console_user(services, "eve", "analyst", "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await eve.open(LIST)
    assert "identity_attributes.customerId" in eve.text
    assert not [link for link in eve.parsed.links if "/identities/" in link]
    await eve.open(CHANNELS)
    assert "Web customerId" in eve.text
    assert "Show what would happen" not in eve.text
