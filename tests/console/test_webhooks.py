"""Other systems → Change feed, as a browser without JavaScript sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from oneself.adapters.change_event import EVENT_TYPES
from oneself.service.context import DatasetRef
from oneself.service.feed.webhooks import WEBHOOKS_MAX, NewWebhook, Webhook
from oneself.services import Services
from support.code_receiver import CodeReceiver
from support.console_browser import ConsoleBrowser, new_console_user
from support.profiles_harness import ProfilesHarness

LIST = "/console/o/acme/webhooks"


@pytest.fixture
def receiver() -> Iterator[CodeReceiver]:
    receiver = CodeReceiver()
    yield receiver
    receiver.stop()


async def only(services: Services, acme: DatasetRef) -> Webhook:
    (webhook,) = await services.feed.webhooks.find_all(acme)
    return webhook


async def create(browser: ConsoleBrowser, url: str, **fields: str) -> None:
    await browser.open(f"{LIST}/new")
    await browser.submit(url=url, **fields)


async def press(browser: ConsoleBrowser, step: str, webhook_id: UUID, **fields: str) -> None:
    """Open the page of a webhook, and send the form of a button there."""
    await browser.open(f"{LIST}/webhook", id=str(webhook_id))
    await browser.submit(to=f"{LIST}/{step}?id={webhook_id}", **fields)


async def send_changes(services: Services, acme: DatasetRef, number: int) -> None:
    """So many people come, and webhooks are told."""
    harness = ProfilesHarness(services)
    harness.dataset_ref = acme
    await harness.begin()
    for _ in range(number):
        await harness.person(plan="a")
    await services.feed.dispatcher.serve_all()


async def test_a_webhook_is_created_and_its_secret_is_shown_once(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, receiver: CodeReceiver
) -> None:
    await ada.open(LIST)
    assert "There is no webhook yet" in ada.text
    await create(ada, receiver.url, view="all")
    webhook = await only(services, acme)
    assert (webhook.row.url, webhook.row.view, webhook.row.types) == (receiver.url, "all", [])
    secret = webhook.secrets[0].text
    assert secret in ada.text
    await ada.open(LIST)
    assert receiver.url in ada.text
    for page in (LIST, f"{LIST}/webhook?id={webhook.row.webhook_id}"):
        await ada.open(page)
        assert secret not in ada.page.text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"url": "ftp://crm.example"}, "url"),
        ({"url": ""}, "url"),
        ({"view": "everything"}, "view must be own, proven or all"),
        ({"dataset": "gone"}, "no such dataset"),
        ({"types": "profile.imagined"}, "is not a type"),
        ({"types": ""}, "is not a type"),
    ],
)
async def test_what_is_no_webhook_is_said_at_its_field(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, fields: dict[str, str], sentence: str
) -> None:
    await ada.open(f"{LIST}/new")
    await ada.submit(**{"url": "http://127.0.0.1:9/", **fields})
    assert ada.page.status_code == 400
    assert sentence in ada.text
    assert "Nothing was saved yet" in ada.text
    assert await services.feed.webhooks.find_all(acme) == []


async def test_there_are_at_most_so_many(ada: ConsoleBrowser, services: Services, acme: DatasetRef) -> None:
    await ada.open(f"{LIST}/new")
    form = ada.page
    for _ in range(WEBHOOKS_MAX):
        await services.feed.webhooks.create(acme, NewWebhook("http://127.0.0.1:9/"))
    await ada.submit(form, url="http://127.0.0.1:9/")
    assert (ada.page.status_code, "at most" in ada.text) == (409, True)
    await ada.open(LIST)
    assert "New webhook" not in ada.text


async def test_a_test_says_what_the_receiver_did(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, receiver: CodeReceiver
) -> None:
    await create(ada, receiver.url)
    webhook_id = (await only(services, acme)).row.webhook_id
    await press(ada, "test", webhook_id)
    assert "The test was accepted" in ada.text
    receiver.behaviour = "fails"
    await press(ada, "test", webhook_id)
    assert "The test was not accepted" in ada.text
    assert "The webhook answered 5" in ada.text
    await ada.open(f"{LIST}/webhook", id=str(webhook_id), failure="The bank called")
    assert (ada.page.status_code, "The bank called" in ada.text) == (200, False)
    assert [request.document["type"] for request in receiver.received] == ["webhook.test"] * 2


async def test_dead_letters_are_looked_at_and_sent_again(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, receiver: CodeReceiver
) -> None:
    receiver.behaviour = "refuses"
    await create(ada, receiver.url)
    webhook_id = (await only(services, acme)).row.webhook_id
    await send_changes(services, acme, 1)
    await services.database.execute("UPDATE webhook_delivery SET expires_at = now(), due_at = now()")
    await services.feed.dispatcher.serve_all()
    await ada.open(f"{LIST}/webhook", id=str(webhook_id), state="dead")
    assert "Dead letter" in ada.text
    assert "after 2 attempts" in ada.text
    assert "profile.created" in ada.text
    assert "Send every dead letter again" in ada.text
    receiver.behaviour = "accepts"
    await press(ada, "again", webhook_id)
    assert "1 delivery is sent again" in ada.text
    await services.feed.dispatcher.serve_all()
    await ada.open(f"{LIST}/webhook", id=str(webhook_id), state="delivered")
    (delivery,) = re.findall(r'name="delivery" value="([^"]+)"', ada.page.text)
    await press(ada, "again", webhook_id, delivery=delivery)
    assert "1 delivery is sent again" in ada.text
    await press(ada, "again", webhook_id, delivery="none")
    assert ada.page.status_code == 404


async def test_deliveries_are_paged(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, receiver: CodeReceiver
) -> None:
    await create(ada, receiver.url)
    webhook_id = (await only(services, acme)).row.webhook_id
    await send_changes(services, acme, 26)
    await ada.open(f"{LIST}/webhook", id=str(webhook_id))
    seen = set(re.findall(r"Delivery <code>([^<]+)", ada.page.text))
    assert len(seen) == 25
    (further,) = [link for link in ada.parsed.links if "before=" in link]
    await ada.open(further)
    last = re.findall(r"Delivery <code>([^<]+)", ada.page.text)
    assert len(last) == 1
    assert not seen & set(last)
    await ada.open(f"{LIST}/webhook", id=str(webhook_id), before="x")
    assert ada.page.status_code == 400


async def test_a_webhook_is_changed_unless_somebody_else_did(
    ada: ConsoleBrowser, app: Any, services: Services, acme: DatasetRef, receiver: CodeReceiver
) -> None:
    await create(ada, receiver.url)
    known = await only(services, acme)
    await ada.open(f"{LIST}/edit", id=str(known.row.webhook_id))
    form = ada.page
    await ada.submit(types=EVENT_TYPES[2], view="own")
    assert "The webhook was changed" in ada.text
    row = (await only(services, acme)).row
    assert (row.types, row.view, row.is_active) == ([EVENT_TYPES[2]], "own", True)
    await ada.open(f"{LIST}/edit", id=str(known.row.webhook_id))
    late = re.search(r'name="form" value="([^"]+)"', ada.page.text)
    assert late is not None
    await ada.submit(form, form=late[1], view="all")
    assert ada.page.status_code == 409
    assert "Somebody else changed this webhook in the meantime" in ada.text
    assert (await only(services, acme)).row.view == "own"
    await ada.submit()
    assert (await only(services, acme)).row.view == "all"


async def test_a_secret_is_rotated_and_a_webhook_deleted(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef, receiver: CodeReceiver
) -> None:
    await create(ada, receiver.url)
    known = await only(services, acme)
    await press(ada, "rotate", known.row.webhook_id)
    new, former = (await only(services, acme)).secrets
    assert former.text == known.secrets[0].text
    assert new.text in ada.text
    assert former.text not in ada.text
    await ada.open(f"{LIST}/delete", id=str(known.row.webhook_id))
    await ada.submit()
    assert "The webhook was deleted" in ada.text
    assert await services.feed.webhooks.find_all(acme) == []
    await ada.open(f"{LIST}/webhook", id=str(known.row.webhook_id))
    assert ada.page.status_code == 404


async def test_an_analyst_sees_and_changes_nothing(app: Any, services: Services, acme: DatasetRef) -> None:
    webhook = await services.feed.webhooks.create(acme, NewWebhook("http://127.0.0.1:9/"))
    await new_console_user(services, "eve", "analyst", "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    await eve.open(LIST)
    assert "New webhook" not in eve.text
    await eve.open(f"{LIST}/webhook", id=str(webhook.row.webhook_id))
    assert "http://127.0.0.1:9/" in eve.text
    assert "Send a test" not in eve.text
    await eve.open(f"{LIST}/webhook", id=str(UUID(int=1)))
    assert eve.page.status_code == 404
