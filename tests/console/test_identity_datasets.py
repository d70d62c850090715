"""Identity → Datasets, as a browser without JavaScript sees it."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.console.change_review import fingerprint
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.service.context import Actor, DatasetRef
from oneself.service.schema.identity_bindings import Binding
from oneself.services import Services
from support.console_browser import ConsoleBrowser, new_console_user

LIST = "/console/o/acme/datasets"
PAGE = f"{LIST}/dataset"


async def settings(services: Services, acme: DatasetRef, name: str = "web") -> DatasetSettings:
    return (await services.schema.datasets.show(acme, name)).settings


@pytest.fixture
async def web(services: Services, acme: DatasetRef) -> DatasetRef:
    """A dataset with a customer number."""
    await services.schema.datasets.create(acme, "web", {"label": "Web shop"})
    ref = await services.schema.datasets.get(acme, "web")
    await services.identity.attributes.put(ref, [Binding("customerId", "customerId")])
    return ref


async def test_a_dataset_is_created_with_safe_settings_changed_and_deleted(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await ada.open(LIST)
    assert "the one that the Customer Data Service uses" in ada.text
    await ada.open(f"{LIST}/new")
    await ada.submit(name="web", label="Web shop")
    assert "The dataset was created." in ada.text
    assert (await settings(services, acme)).channel_identity_conflict == "keep_apart"
    form = ada.page
    await ada.submit(
        label="Shop",
        visit_timeout_millis="45",
        allowed_origins="https://shop.example\n\nhttp://localhost:3000",
        enable_remember_me_user_ids="yes",
        default_view="proven",
    )
    assert "The dataset was changed." in ada.text
    stored = await settings(services, acme)
    assert (stored.label, stored.visit_timeout_ms, stored.default_view) == ("Shop", 2_700_000, "proven")
    assert stored.allowed_origins == ("https://shop.example", "http://localhost:3000")
    assert stored.tokens_outlive_visits
    await ada.submit(form)
    assert ada.page.status_code == 409
    assert "You have sent this form already" in ada.text
    await ada.open("/console/o/acme/audit")
    # Its creation is an entry of the organisation and one of the dataset.
    assert ada.text.count("ada (console)") == 3
    await ada.open(f"{LIST}/delete", dataset="web")
    await ada.submit()
    assert "The dataset was deleted." in ada.text
    assert [item.name for item in await services.schema.datasets.list(acme)] == ["default"]


async def test_what_joins_people_is_stored_beneath_its_preview_alone(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, web: DatasetRef
) -> None:
    await ada.open(PAGE, dataset="web")
    await ada.submit(channel_identity_conflict="replace", label="Shop")
    assert ada.heading == "Change the dataset web?"
    assert "No stored profile would change." in ada.text
    assert "datasets/web/preview" in ada.text
    assert (await settings(services, acme)).channel_identity_conflict == "keep_apart"
    await ada.submit()
    assert "The dataset was changed." in ada.text
    stored = await settings(services, acme)
    assert (stored.channel_identity_conflict, stored.label) == ("replace", "Shop")


async def test_a_setting_that_parts_people_says_whom_and_why(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, web: DatasetRef
) -> None:
    bindings = [Binding("customerId", "customerId"), Binding("emailAddress", "emailAddress")]
    await services.identity.attributes.put(web, bindings)
    for known in ({"customerId": "c-1"}, {"emailAddress": "ann@acme.example"}):
        values = {"identity_attributes": known}
        await services.profiles.profiles.create(web, Actor("cds"), values, tracker=None)
    event = {"user": {"attributes": {"customerId": "c-1", "emailAddress": "ann@acme.example"}}}
    answer = await ada.http.post("/t/acme/api2/event/web", json=event)
    assert answer.status_code == 200
    await ada.open(PAGE, dataset="web")
    await ada.submit(asserted_merges="unprotected")
    assert "Some that would come apart" in ada.text
    assert "A page said so, not a server." in ada.text
    assert "into 2 profiles" in ada.text
    (link,) = {link for link in ada.parsed.links if "/profiles/profile?" in link}
    await ada.open(link)
    assert "ann@acme.example" in ada.text


async def test_a_preview_of_other_settings_is_no_confirmation(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, web: DatasetRef
) -> None:
    await ada.open(PAGE, dataset="web")
    await ada.submit(channel_identity_conflict="replace")
    await services.schema.identity_types.change(acme, "emailAddress", {"trusted_only": True})
    await ada.submit()
    assert ada.page.status_code == 409
    assert "Something has changed since the last preview" in ada.text
    assert (await settings(services, acme)).channel_identity_conflict == "keep_apart"
    await ada.submit()
    assert (await settings(services, acme)).channel_identity_conflict == "replace"


async def test_two_administrators_are_told_of_each_other(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, web: DatasetRef
) -> None:
    await ada.open(PAGE, dataset="web")
    await services.schema.datasets.change(acme, "web", {"merged_anonymous": "fresh", "label": "Theirs"})
    await ada.submit(label="Mine")
    assert ada.page.status_code == 409
    assert "Somebody else changed this dataset in the meantime" in ada.text
    assert "Label: Theirs" in ada.text
    assert "A known browser without an identity: A new visitor" in ada.text
    assert (await settings(services, acme)).label == "Theirs"
    await ada.submit()
    stored = await settings(services, acme)
    assert (stored.label, stored.merged_anonymous) == ("Mine", "follow")


def test_a_fingerprint_does_not_depend_on_the_order_in_which_settings_were_read() -> None:
    one, other = ({"label": "a", "view": "b"}, {"view": "b", "label": "a"})
    assert fingerprint(one) == fingerprint(other) != fingerprint({"label": "b", "view": "a"})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"visit_timeout_millis": "1e99999999"}, "Enter 1 to 1440 minutes."),
        ({"visit_timeout_millis": "0"}, "Enter 1 to 1440 minutes."),
        ({"remember_me_user_ids_millis": "3651"}, "Enter 1 to 3650 days."),
        ({"allowed_origins": "https://shop.example/path"}, "is no origin"),
        ({"allowed_origins": "<script>alert(1)</script>"}, "is no origin"),
        ({"label": "x" * 101}, "at most 100 printable characters"),
        ({"asserted_merges": "everybody"}, "asserted_merges is one of"),
    ],
)
async def test_invalid_settings_are_said_at_their_field_and_change_nothing(
    ada: ConsoleBrowser,
    services: Services,
    acme: DatasetRef,
    web: DatasetRef,
    fields: dict[str, str],
    sentence: str,
) -> None:
    before = await settings(services, acme)
    await ada.open(PAGE, dataset="web")
    await ada.submit(**fields)
    assert (ada.page.status_code, sentence in ada.text) == (400, True), ada.text
    assert "<script>alert" not in ada.page.text
    assert await settings(services, acme) == before


@pytest.mark.parametrize(
    ("name", "status"), [("", 400), ("a b", 400), ("x" * 5000, 400), ("default", 409), ("a\0b", 400)]
)
async def test_invalid_and_taken_names_are_rejected(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, name: str, status: int
) -> None:
    await ada.open(f"{LIST}/new")
    await ada.submit(name=name)
    assert ada.page.status_code == status
    assert len(await services.schema.datasets.list(acme)) == 1


async def test_a_used_dataset_is_not_deleted(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await ada.open(f"{LIST}/delete", dataset="default")
    await ada.submit()
    assert ada.page.status_code == 409
    assert "cannot be deleted" in ada.text


async def test_identity_resolution_is_turned_on_beneath_its_preview(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await ada.open(f"{LIST}/new")
    await ada.submit(name="old", resolves="")
    assert "Identity resolution is off" in ada.text
    await ada.open(f"{LIST}/resolution", dataset="old")
    await ada.submit()
    assert ada.page.status_code == 409
    assert "Bind one to an identity type first" in ada.text
    ref = await services.schema.datasets.get(acme, "old")
    await services.identity.attributes.put(ref, [Binding("customerId", "customerId")])
    await ada.open(f"{LIST}/resolution", dataset="old")
    await ada.submit(attribute="customerId")
    assert "It cannot be turned off again." in ada.text
    assert not (await settings(services, acme, "old")).resolves_identities
    await ada.submit()
    assert "Identity resolution is on." in ada.text
    assert (await settings(services, acme, "old")).resolves_identities


@pytest.mark.parametrize("role", ["analyst", "privacy_officer"])
async def test_who_may_not_change_settings_reads_them(
    app: Any, services: Services, acme: DatasetRef, web: DatasetRef, role: str
) -> None:
    await new_console_user(services, "eve", role, "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await eve.open(LIST)
    assert "New dataset" not in eve.text
    await eve.open(PAGE, dataset="web")
    assert "Two customer numbers Keep apart" in eve.text
    assert "Save" not in eve.text
    assert not [link for link in eve.parsed.links if "/delete" in link or "/new" in link]
