"""Customer Data → Profile Attributes, as a browser without JavaScript sees it."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest

from oneself.core.values.attribute import Attribute
from oneself.service.context import Actor, DatasetRef
from oneself.services import Services
from support.console_browser import ADMIN, ConsoleBrowser, new_console_user

LIST = "/console/o/acme/attributes"
START = UUID(int=0)


async def attributes_of(services: Services, acme: DatasetRef) -> dict[str, Attribute]:
    config = await services.configurations.current(acme.dataset_id)
    return {attribute.attribute_name: attribute for attribute in config.schema.attributes}


async def create(browser: ConsoleBrowser, name: str, scope: str = "traits", **fields: str) -> None:
    await browser.open(f"{LIST}/new", scope=scope)
    await browser.submit(name=name, **fields)


async def open_attribute(browser: ConsoleBrowser, services: Services, acme: DatasetRef, name: str) -> None:
    attribute = (await attributes_of(services, acme))[name]
    await browser.open(f"{LIST}/attribute", id=attribute.attribute_id)


async def test_an_empty_organisation_says_what_to_do_first(ada: ConsoleBrowser) -> None:
    assert "Begin with an attribute" in ada.text
    assert f"{LIST}/new?scope=traits" in ada.parsed.links
    await ada.open(LIST)
    assert "There is no attribute here yet" in ada.text


async def test_every_property_is_stored(ada: ConsoleBrowser, services: Services, acme: DatasetRef) -> None:
    await create(
        ada,
        "tiers",
        value_type="string",
        multi_valued="yes",
        merge_strategy="combine",
        mutability="writeOnce",
        display_name="Loyalty tiers",
        canonical_values="gold = Gold member\n\n silver \n",
    )
    assert ada.page.url.path == LIST
    assert "The attribute tiers was created" in ada.text
    stored = (await attributes_of(services, acme))["traits.tiers"]
    assert (stored.value_type, stored.merge_strategy, stored.mutability) == ("string", "combine", "writeOnce")
    assert (stored.display_name, stored.multi_valued) == ("Loyalty tiers", True)
    assert [(it.value, it.label) for it in stored.canonical_values] == [
        ("gold", "Gold member"),
        ("silver", None),
    ]


async def test_the_form_of_an_attribute_changes_nothing_by_itself(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await create(ada, "address.city")
    await create(ada, "address", value_type="complex", sub_attributes="address.city")
    await create(ada, "tier", canonical_values="gold = Gold")
    before = await attributes_of(services, acme)
    for name in ("traits.address", "traits.address.city", "traits.tier"):
        await open_attribute(ada, services, acme, name)
        await ada.submit()
        assert "was changed" in ada.text
    assert await attributes_of(services, acme) == before


async def test_application_data_belongs_to_an_application(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    from oneself.service.directory.applications import NewApplication

    await services.directory.applications.create(acme, NewApplication("Shop", client_id="shop"))
    await create(ada, "basket", "application_data")
    assert ada.page.status_code == 400
    assert "Choose the application" in ada.text
    await create(ada, "basket", "application_data", application="nobody")
    assert "does not exist" in ada.text
    await create(ada, "basket", "application_data", application="shop")
    assert (await attributes_of(services, acme))["application_data.basket"].application_identifier == "shop"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "Enter a name."),
        ({"name": "a", "merge_strategy": "combine"}, "Only lists can be combined"),
        ({"name": "a", "merge_strategy": ""}, "Choose what happens"),
        ({"name": "a", "value_type": "complex"}, "Name the attributes that the object consists of"),
        ({"name": "a", "value_type": "complex", "sub_attributes": "a.b"}, "There is no attribute a.b here"),
        ({"name": "a", "value_type": "colour"}, "Invalid value_type"),
        ({"name": "a", "display_name": "é"}, "display_name"),
        ({"name": "a.b.c.d.e"}, "maximum depth"),
        ({"name": "Taken"}, "already exists"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_lost(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, fields: dict[str, str], sentence: str
) -> None:
    await create(ada, "taken")
    before = await attributes_of(services, acme)
    await create(ada, **{"display_name": "Kept text", **fields})  # type: ignore[arg-type]
    assert ada.page.status_code == 400
    assert sentence in ada.text
    assert fields.get("display_name", "Kept text") in ada.page.text
    assert await attributes_of(services, acme) == before


async def test_a_form_that_was_rejected_can_be_sent_again(ada: ConsoleBrowser, services: Services) -> None:
    form = await ada.open(f"{LIST}/new")
    await ada.submit(name="")
    await ada.submit(form, name="interests")
    assert "The attribute interests was created" in ada.text


async def test_the_same_form_changes_something_once(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    """Back to the form after the change, and send it again: nothing is created twice."""
    form = await ada.open(f"{LIST}/new")
    await ada.submit(form, name="interests")
    before = await attributes_of(services, acme)
    await ada.submit(form, name="interests2")
    assert ada.page.status_code == 409
    assert "You have sent this form already" in ada.text
    assert "/console/o/acme/attributes" in ada.parsed.links
    assert await attributes_of(services, acme) == before


async def test_a_form_of_another_session_is_rejected(
    ada: ConsoleBrowser, app: Any, services: Services, acme: DatasetRef
) -> None:
    await new_console_user(services, "eve", "administrator", "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    form = await eve.open(f"{LIST}/new")
    await ada.submit(form, name="interests")
    assert ada.page.status_code == 403
    await ada.open(f"{LIST}/new")
    await ada.submit(name="interests", csrf="")
    assert ada.page.status_code == 403
    assert "traits.interests" not in await attributes_of(services, acme)


async def test_a_page_of_another_origin_cannot_send_a_form(ada: ConsoleBrowser) -> None:
    await ada.open(f"{LIST}/new")
    ada.http.headers["origin"] = "https://evil.example"
    await ada.submit(name="interests")
    assert ada.page.status_code == 403


async def test_two_administrators_are_told(
    ada: ConsoleBrowser, app: Any, services: Services, acme: DatasetRef
) -> None:
    await new_console_user(services, "eve", "administrator", "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await create(ada, "interests")
    await open_attribute(ada, services, acme, "traits.interests")
    await open_attribute(eve, services, acme, "traits.interests")
    await eve.submit(display_name="What they like")
    await ada.submit(display_name="Hobbies")
    assert ada.page.status_code == 409
    assert "Somebody else changed this attribute in the meantime" in ada.text
    assert "display name: What they like" in ada.text
    assert 'value="Hobbies"' in ada.page.text
    assert (await attributes_of(services, acme))["traits.interests"].display_name == "What they like"
    await ada.submit()
    assert (await attributes_of(services, acme))["traits.interests"].display_name == "Hobbies"


async def test_what_was_changed_meanwhile_is_not_deleted(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await create(ada, "interests")
    attribute = (await attributes_of(services, acme))["traits.interests"]
    page = await ada.open(f"{LIST}/delete", id=attribute.attribute_id)
    await open_attribute(ada, services, acme, "traits.interests")
    await ada.submit(display_name="Hobbies")
    await ada.submit(page)
    assert ada.page.status_code == 409
    assert "Nothing was deleted" in ada.text
    await ada.submit()
    assert "The attribute interests was deleted" in ada.text
    await ada.submit(page)
    assert ada.page.status_code in (404, 409)


async def test_the_deletion_says_what_happens_and_to_how_many(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await create(ada, "card")
    for number in range(3):
        values = {"traits": {"card": f"C-{number}"}} if number else {}
        await services.profiles.profiles.create(acme, Actor("cds"), values, tracker=None)
    attribute = (await attributes_of(services, acme))["traits.card"]
    page = await ada.open(f"{LIST}/delete", id=attribute.attribute_id)
    assert "Profiles keep their stored values, hidden." in ada.text
    await ada.open(f"{LIST}/count", id=attribute.attribute_id)
    assert "2 of 3 profiles have a value" in ada.text
    await ada.submit(page)
    await ada.open(f"{LIST}/check")
    assert "3 profiles were read" in ada.text
    assert re.search(r"traits\.card .* 2", ada.text)


async def test_counts_go_on_page_by_page(ada: ConsoleBrowser, services: Services, acme: DatasetRef) -> None:
    await create(ada, "address.city")
    await create(ada, "address", value_type="complex", sub_attributes="address.city", multi_valued="yes")
    for number in range(5):
        values = {"traits": {"address": [{"city": "Rome"}]}} if number % 2 else {}
        await services.profiles.profiles.create(acme, Actor("cds"), values, tracker=None)
    attribute = (await attributes_of(services, acme))["traits.address.city"]
    after, counted = START, []
    while True:
        part = await services.profiles.stored_values.count_page(acme, attribute, after, 2)
        counted.append((part.profiles, part.seen))
        if part.last is None:
            break
        after = part.last
    assert [seen for _, seen in counted] == [2, 2, 1]
    assert sum(profiles for profiles, _ in counted) == 2


async def test_search_finds_names_and_display_names(ada: ConsoleBrowser) -> None:
    await create(ada, "tier", display_name="Loyalty")
    await create(ada, "interests")
    for search, expected in (("INTER", ["interests"]), ("loyal", ["tier"]), ("x" * 300, [])):
        await ada.open(LIST, q=search)
        assert re.findall(r'<th scope="row"><a [^>]*>(\w+)</a>', ada.page.text) == expected
    assert "No attribute here contains" in ada.text


async def test_identity_attributes_say_where_they_come_from(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await ada.open(LIST, scope="identity_attributes")
    assert "Provider claim emailaddress" in ada.text
    await open_attribute(ada, services, acme, "identity_attributes.emailaddress")
    assert "follows the identity provider" in ada.text
    attribute = (await attributes_of(services, acme))["identity_attributes.emailaddress"]
    assert (await ada.open(f"{LIST}/delete", id=attribute.attribute_id)).status_code == 404


async def test_core_attributes_are_built_in(ada: ConsoleBrowser) -> None:
    await ada.open(LIST, scope="built_in")
    assert {"profile_id", "meta.created_at"} <= set(re.findall(r"<code>([a-z_.]+)</code>", ada.page.text))
    assert "New attribute" not in ada.text


async def test_texts_are_texts(ada: ConsoleBrowser) -> None:
    await create(ada, "<script>alert(1)</script>")
    assert "<script>alert" not in ada.page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in ada.page.text


@pytest.mark.parametrize(
    "path",
    [
        "/attribute?id=unknown",
        "/delete?id=unknown",
        "/count?id=unknown",
    ],
)
async def test_addresses_that_lead_nowhere_are_no_errors_of_the_service(
    ada: ConsoleBrowser, path: str
) -> None:
    assert (await ada.open(LIST + path)).status_code == 404
    assert ada.heading == "There is no such page"


async def test_the_audit_log_names_who_did_it(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await create(ada, "interests")
    entries = await services.log.audit.list_entries(acme, 0, 2**62, limit=100, offset=0)
    last = entries[0]
    assert (last.interface, last.console_user, last.application) == ("console", ADMIN, None)
    assert {entry.console_user for entry in entries[1:]} == {None}
