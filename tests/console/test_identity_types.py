"""Identity → Identity Types, as a browser without JavaScript sees it."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.core.identity.identity_type import IdentityType
from oneself.errors import NotFound
from oneself.service.context import DatasetRef
from oneself.service.schema.identity_bindings import Binding
from oneself.services import Services
from support.console_browser import ConsoleBrowser, new_console_user
from support.profiles_harness import ProfilesHarness

LIST = "/console/o/acme/types"
PAGE = f"{LIST}/type"


async def stored(services: Services, acme: DatasetRef, type_id: str = "loyaltyId") -> IdentityType:
    return await services.schema.identity_types.find(acme, type_id)


@pytest.fixture
async def loyalty(services: Services, acme: DatasetRef) -> None:
    new = IdentityType("loyaltyId", "Loyalty number", conflict_blocks_merge=True)
    await services.schema.identity_types.create(acme, new)


@pytest.fixture
async def namesakes(services: Services, acme: DatasetRef, loyalty: None) -> ProfilesHarness:
    """Two people with one address, whom their loyalty numbers keep apart."""
    harness = ProfilesHarness(services)
    harness.dataset_ref = acme
    await harness.begin()
    bindings = [
        Binding("emailAddress", "emailAddress", "traits.mail"),
        Binding("loyaltyId", "loyaltyId", "traits.card"),
    ]
    await services.identity.attributes.put(acme, bindings)
    for plan, card in (("gold", "A-1"), ("trial", "B-2")):
        await harness.person(plan=plan, card=card, mail="ann@acme.example")
    return harness


async def test_a_type_is_created_renamed_without_a_preview_and_deleted(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await ada.open(LIST)
    assert "Email Address" in ada.text
    await ada.open(f"{LIST}/new")
    await ada.submit(id="loyaltyId", case_sensitive="yes", trusted_only="yes")
    assert "The identity type was created." in ada.text
    made = await stored(services, acme)
    assert made == IdentityType(
        "loyaltyId", "loyaltyId", is_unique=True, case_sensitive=True, trusted_only=True
    )
    await ada.open(PAGE, id="loyaltyId")
    form = ada.page
    await ada.submit(label="Loyalty number")
    assert "The identity type was changed." in ada.text
    assert (await stored(services, acme)).label == "Loyalty number"
    await ada.submit(form, label="Again")
    assert ada.page.status_code == 409
    await ada.open("/console/o/acme/audit")
    assert ada.text.count("ada (console)") == 2
    await ada.open(f"{LIST}/delete", id="loyaltyId")
    await ada.submit()
    assert "The identity type was deleted." in ada.text
    with pytest.raises(NotFound):
        await stored(services, acme)


async def test_a_guard_that_joins_people_is_dropped_beneath_the_preview_of_whom(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, namesakes: ProfilesHarness
) -> None:
    await services.schema.datasets.create(acme, "web", {})
    await ada.open(PAGE, id="loyaltyId")
    await ada.submit(conflict_blocks_merge="")
    assert ada.heading == "Change the identity type loyaltyId?"
    assert "Some that would become one" in ada.text
    assert "All have emailAddress ann@acme.example (proven by servers)" in ada.text
    for fact in ("card: A-1", "card: B-2", "No stored profile would change in web"):
        assert fact in ada.text
    assert (await stored(services, acme)).conflict_blocks_merge
    await ada.submit()
    assert "The identity type was changed." in ada.text
    assert not (await stored(services, acme)).conflict_blocks_merge
    web = await services.schema.datasets.get(acme, "web")
    assert not (await stored(services, web)).conflict_blocks_merge


async def test_a_preview_before_another_change_confirms_nothing(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, namesakes: ProfilesHarness
) -> None:
    await ada.open(PAGE, id="loyaltyId")
    await ada.submit(conflict_blocks_merge="")
    await namesakes.person(plan="free", card="C-3", mail="ann@acme.example")
    await services.schema.datasets.create(acme, "web", {})
    await ada.submit()
    assert ada.page.status_code == 409
    assert "Something has changed since the last preview" in ada.text
    assert "card: C-3" in ada.text
    assert (await stored(services, acme)).conflict_blocks_merge


async def test_two_administrators_are_told_of_each_other(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, loyalty: None
) -> None:
    await ada.open(PAGE, id="loyaltyId")
    await services.schema.identity_types.change(acme, "loyaltyId", {"label": "Theirs", "trusted_only": True})
    await ada.submit(label="Mine")
    assert ada.page.status_code == 409
    assert "Somebody else changed this identity type in the meantime" in ada.text
    assert "Label: Theirs" in ada.text
    assert "Only from servers: yes" in ada.text
    assert (await stored(services, acme)).label == "Theirs"
    await ada.submit()
    saved = await stored(services, acme)
    assert (saved.label, saved.trusted_only) == ("Mine", False)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"id": ""}, 400),
        ({"id": "loyalty-id"}, 400),
        ({"id": "<b>x</b>"}, 400),
        ({"id": "x" * 5000}, 400),
        ({"id": "tracker"}, 400),
        ({"id": "card", "label": "x" * 101}, 400),
        ({"id": "card", "label": "a\0b"}, 400),
        ({"id": "EMAILADDRESS"}, 409),
    ],
)
async def test_what_is_no_type_is_rejected(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, fields: dict[str, str], status: int
) -> None:
    before = await services.schema.identity_types.list(acme)
    await ada.open(f"{LIST}/new")
    await ada.submit(**fields)
    assert ada.page.status_code == status
    assert "<b>x" not in ada.page.text
    assert await services.schema.identity_types.list(acme) == before


async def test_built_in_and_used_types_stay(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, namesakes: ProfilesHarness
) -> None:
    for type_id, sentence in (("emailAddress", "is built in"), ("loyaltyId", "unbind it first")):
        await ada.open(f"{LIST}/delete", id=type_id)
        await ada.submit()
        assert (ada.page.status_code, sentence in ada.text) == (409, True)
    await ada.open(PAGE, id="profileId")
    assert "Save" not in ada.text
    await ada.open(PAGE, id="emailAddress")
    await ada.submit(to=f"{PAGE}?id=profileId", version="")
    assert ada.page.status_code == 409
    await ada.open(PAGE, id="missing")
    assert ada.page.status_code == 404


async def test_an_analyst_reads_types(
    app: Any, services: Services, acme: DatasetRef, ada: ConsoleBrowser, loyalty: None
) -> None:
    await new_console_user(services, "eve", "analyst", "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await eve.open(LIST)
    assert "Loyalty number" in eve.text
    assert "New identity type" not in eve.text
    await eve.open(PAGE, id="loyaltyId")
    assert "Different values keep people apart yes" in eve.text
    assert "Save" not in eve.text
