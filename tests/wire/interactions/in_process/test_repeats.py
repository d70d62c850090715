"""`Idempotency-Key` and `eventId` on the event endpoints (docs/concepts/log-and-fold.md, exactly once).

A repeat by the same sender gets the first answer; the same key of another sender stores another event.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from oneself.service.context import Actor
from oneself.service.directory.applications import NewApplication
from oneself.service.events.write_keys import NewWriteKey
from oneself.service.schema.identity_bindings import Binding
from support.caller import Cds

ADMIN = Actor("admin", "crm")
EVENT = {
    "interaction": {"name": "View"},
    "source": {"channel": "Server"},
    "user": {"attributes": {"emailAddress": "ann@acme.example"}},
}
EVENT_ID = "0123456789abcdef0123456789abcdef"
BROWSER_ID = "0123456789abcdef"
EXPIRE = "UPDATE idempotency_record SET expires_at = now()"


class Senders:
    """Applications, and a server and a browser with write keys, that send events to one dataset."""

    def __init__(self, cds: Cds) -> None:
        self.cds = cds
        self.write_keys = cds.services.events.write_keys

    async def application(self, client_id: str) -> dict[str, str]:
        new = NewApplication(client_id, "machine", (), (), ("internal_cds_event_create",), client_id)
        _, secret = await self.cds.services.directory.applications.create(self.cds.dataset_ref, new)
        return basic(client_id, str(secret))

    async def key(self, kind: Any) -> dict[str, str]:
        _, key = await self.write_keys.create(self.cds.dataset_ref, NewWriteKey(kind, "a key", ()), ADMIN)
        return basic(key, "")

    async def send(
        self,
        credentials: dict[str, str],
        key: str | None = "k",
        *,
        endpoint: str = "authevent",
        **changes: Any,
    ) -> httpx.Response:
        headers = {**credentials, **({} if key is None else {"Idempotency-Key": key})}
        path = f"/t/acme/api2/{endpoint}/default"
        return await self.cds.http.post(path, json={**EVENT, **changes}, headers=headers)

    async def stored(self) -> int:
        return len(await self.cds.services.database.fetch("SELECT FROM log WHERE name IS NOT NULL"))


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


@pytest_asyncio.fixture
async def senders(cds: Cds) -> AsyncIterator[Senders]:
    bindings = [Binding("emailAddress", "emailAddress")]
    await cds.services.identity.attributes.put(cds.dataset_ref, bindings)
    yield Senders(cds)


async def test_a_repeat_of_an_application_gets_the_first_answer(senders: Senders) -> None:
    """The answer includes the persisted token, which is different in every other answer."""
    shop = await senders.application("shop")
    first = await senders.send(shop)
    again = await senders.send(shop)
    assert (again.status_code, again.content) == (200, first.content)
    assert first.json()["persistedUserId"]["entityId"]
    assert await senders.stored() == 1
    other = await senders.send(shop, "another")
    assert other.json()["id"] != first.json()["id"]
    assert other.json()["resolvedUserId"] == first.json()["resolvedUserId"]


@pytest.mark.parametrize(("kind", "endpoint"), [("server", "authevent"), ("browser", "event")])
async def test_a_repeat_with_a_write_key_gets_the_first_answer(
    senders: Senders, kind: str, endpoint: str
) -> None:
    key = await senders.key(kind)
    first, again = [await senders.send(key, endpoint=endpoint) for _ in range(2)]
    assert (first.status_code, again.content) == (200, first.content)
    assert await senders.stored() == 1


async def test_simultaneous_repeats_store_one_event(senders: Senders) -> None:
    shop = await senders.application("shop")
    answers = await asyncio.gather(*(senders.send(shop) for _ in range(8)))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert await senders.stored() == 1


async def test_another_event_with_the_key_is_rejected(senders: Senders) -> None:
    shop = await senders.application("shop")
    await senders.send(shop)
    answer = await senders.send(shop, interaction={"name": "Buy"})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await senders.stored() == 1


async def test_the_same_key_of_another_sender_stores_another_event(senders: Senders) -> None:
    """Another application, each kind of write key, another browser, another endpoint."""
    shop, page = await senders.application("shop"), await senders.key("browser")
    first = await senders.send(shop)
    others = [
        await senders.send(await senders.application("till")),
        await senders.send(await senders.key("server")),
        await senders.send(page, endpoint="event"),
        await senders.send(await senders.key("browser"), endpoint="event"),
    ]
    assert {answer.status_code for answer in others} == {200}
    ids = {answer.json()["id"] for answer in (first, *others)}
    tokens = {answer.json()["persistedUserId"]["entityId"] for answer in (first, *others)}
    assert (len(ids), len(tokens)) == (5, 5)
    assert await senders.stored() == 5


async def test_the_same_key_of_another_browser_stores_another_event(senders: Senders) -> None:
    page = await senders.key("browser")
    browsers = [{"user": {"anonymousId": f"{n}123456789abcdef"}} for n in range(2)]
    first, second = [await senders.send(page, endpoint="event", **browser) for browser in browsers]
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["id"] != second.json()["id"]
    again = await senders.send(page, endpoint="event", **browsers[0])
    assert again.content == first.content


@pytest.mark.parametrize(
    "user",
    [
        {"anonymousProfileTracker": ""},
        {"anonymousProfileTracker": "undefined"},
        {"anonymousProfileTracker": "", "anonymousId": "0123456789abcdef"},
        {},
        {"anonymousId": "not valid!"},
    ],
)
async def test_with_a_browser_key_nobody_gets_the_ids_of_another_browser(
    senders: Senders, user: dict[str, str]
) -> None:
    """A browser key is in the page: whoever sends the same event with the same header begins anew."""
    page = await senders.key("browser")
    answers = [await senders.send(page, endpoint="event", user=user) for _ in range(2)]
    answers += await asyncio.gather(*(senders.send(page, endpoint="event", user=user) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    for name in ("id", "anonymousProfileTracker", "anonymousId"):
        given = [answer.json()[name] for answer in answers if name in answer.json()]
        assert len(set(given)) == len(given), name
    assert await senders.stored() == len(answers)


async def test_a_browser_that_knows_its_tracker_can_repeat_an_event(senders: Senders) -> None:
    page = await senders.key("browser")
    asked = await senders.send(page, None, endpoint="event", user={"anonymousProfileTracker": ""})
    browser = {"anonymousProfileTracker": asked.json()["anonymousProfileTracker"]}
    first, again = [await senders.send(page, endpoint="event", user=browser) for _ in range(2)]
    assert (first.status_code, again.content) == (200, first.content)
    assert await senders.stored() == 2


@pytest.mark.parametrize("kind", ["server", "application"])
async def test_a_server_that_repeats_an_event_gets_the_tracker_again(senders: Senders, kind: str) -> None:
    server = await (senders.application("shop") if kind == "application" else senders.key("server"))
    user = {"anonymousProfileTracker": ""}
    first, again = [await senders.send(server, user=user) for _ in range(2)]
    assert again.json()["anonymousProfileTracker"] == first.json()["anonymousProfileTracker"]
    assert await senders.stored() == 1


async def test_without_credentials_the_header_is_ignored(senders: Senders) -> None:
    first, again = [await senders.send({}, endpoint="event") for _ in range(2)]
    assert first.json()["id"] != again.json()["id"]
    assert await senders.stored() == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_has_at_most_255_printable_characters(senders: Senders, key: str) -> None:
    answer = await senders.send(await senders.application("shop"), key)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")
    assert await senders.stored() == 0


async def test_a_key_expires(senders: Senders) -> None:
    shop = await senders.application("shop")
    first = await senders.send(shop)
    await senders.cds.services.database.execute(EXPIRE)
    again = await senders.send(shop)
    assert again.json()["id"] != first.json()["id"]
    assert await senders.stored() == 2


async def test_a_repeat_after_the_erasure_of_the_person_stores_nothing(senders: Senders) -> None:
    shop, cds = await senders.application("shop"), senders.cds
    await senders.send(shop)
    (profile,) = (await cds.listed())["profiles"]
    assert (await cds("DELETE", f"/profiles/{profile['profile_id']}")).status_code == 204
    again = await senders.send(shop)
    assert again.status_code == 200
    assert "persistedUserId" not in again.json()
    assert (await cds.listed())["profiles"] == []


@pytest.mark.parametrize("kind", ["nobody", "browser", "server"])
async def test_an_event_with_an_id_is_stored_once(senders: Senders, kind: str) -> None:
    credentials = {} if kind == "nobody" else await senders.key(kind)
    event = {"eventId": EVENT_ID, "endpoint": "authevent" if kind == "server" else "event"}
    first, again = [await senders.send(credentials, None, **event) for _ in range(2)]
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["id"] == first.json()["id"]
    together = await asyncio.gather(*(senders.send(credentials, None, **event) for _ in range(4)))
    assert {answer.json()["id"] for answer in together} == {first.json()["id"]}
    assert await senders.stored() == 1


async def test_a_browser_that_repeats_its_event_stays_who_it_is(senders: Senders) -> None:
    """With its tracker it gets the first answer, and with it the persisted token."""
    asked = await senders.send({}, None, endpoint="event", user={"anonymousProfileTracker": ""})
    user = {**EVENT["user"], "anonymousProfileTracker": asked.json()["anonymousProfileTracker"]}  # type: ignore[dict-item]
    first, again = [
        await senders.send({}, None, endpoint="event", user=user, eventId=EVENT_ID) for _ in range(2)
    ]
    assert first.json()["persistedUserId"]["entityId"]
    assert again.content == first.content


@pytest.mark.parametrize("kind", ["nobody", "browser"])
@pytest.mark.parametrize(
    "user",
    [
        {"anonymousProfileTracker": ""},
        {"anonymousProfileTracker": "", "anonymousId": BROWSER_ID},
        {},
        {"anonymousId": "not valid!"},
    ],
)
async def test_a_repeat_with_an_id_reveals_no_browser(
    senders: Senders, kind: str, user: dict[str, str]
) -> None:
    """Whoever finds out the id and the event, and sends it again, learns that it is stored."""
    credentials = {} if kind == "nobody" else await senders.key(kind)
    event = {"endpoint": "event", "user": user, "eventId": EVENT_ID}
    first, again = [await senders.send(credentials, None, **event) for _ in range(2)]
    assert set(first.json()) & {"anonymousProfileTracker", "anonymousId"}
    assert again.json() == {
        "id": first.json()["id"],
        "campaignResponses": [],
        "compiledCampaignTemplates": [],
        "errorCode": 0,
    }
    assert await senders.stored() == 1


async def test_another_event_with_the_id_is_rejected(senders: Senders) -> None:
    await senders.send({}, None, endpoint="event", eventId=EVENT_ID)
    answer = await senders.send({}, None, endpoint="event", eventId=EVENT_ID, interaction={"name": "Buy"})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await senders.stored() == 1


async def test_the_same_id_of_another_browser_stores_another_event(senders: Senders) -> None:
    browsers = [{"user": {"anonymousId": f"{n}123456789abcdef"}} for n in range(2)]
    first, second = [
        await senders.send({}, None, endpoint="event", eventId=EVENT_ID, **browser) for browser in browsers
    ]
    assert first.json()["id"] != second.json()["id"]
    assert await senders.stored() == 2


async def test_a_header_is_not_an_id(senders: Senders) -> None:
    """A key that is written like an id is another one."""
    page = await senders.key("browser")
    await senders.send(page, None, endpoint="event", eventId=EVENT_ID)
    await senders.send(page, EVENT_ID, endpoint="event")
    assert await senders.stored() == 2


@pytest.mark.parametrize("event_id", ["", "short", "x" * 65, "0123456789abcdef ", "0123456789abcdeü", 7])
async def test_an_id_of_an_event_can_be_told_apart(senders: Senders, event_id: Any) -> None:
    answer = await senders.send({}, None, endpoint="event", eventId=event_id)
    assert answer.status_code == 400
    assert "eventId" in answer.json()["message"]
    assert await senders.stored() == 0
