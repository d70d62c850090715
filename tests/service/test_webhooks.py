"""Webhooks: changes arrive signed, in the order of each profile, and again after whatever failed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import UUID

import pytest

from oneself.adapters.webhook import WebhookClient, key_of
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.feed.dispatcher import BACKLOG_MAX, LEASE_S, Dispatcher
from oneself.service.feed.webhooks import WEBHOOKS_MAX, NewWebhook, Webhook
from oneself.services import Services
from oneself.store.directory import Directory
from oneself.store.tables.webhook import DeliveryRow
from support.code_receiver import CodeReceiver, ReceivedRequest
from support.profiles_harness import ProfilesHarness
from support.waiting import until_async

pytestmark = pytest.mark.postgres
LEASE_OVER = "UPDATE webhook SET leased_until = now() - interval '1 second'"


class ChoosyReceiver(CodeReceiver):
    """A receiver that fails for some profiles."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: set[str] = set()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = ReceivedRequest(handler.path, headers, body)
        self.received.append(request)
        is_failing = not self.failing.isdisjoint(request.document.get("before", ()))
        handler.send_response(500 if is_failing else 204)
        handler.end_headers()

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [request.document for request in self.received]


@pytest.fixture
async def harness(services: Services) -> ProfilesHarness:
    created = await services.setup.provisioning.create("acme")
    harness = ProfilesHarness(services)
    harness.dataset_ref = created.dataset_ref
    return await harness.begin()


@pytest.fixture
def receiver() -> Iterator[ChoosyReceiver]:
    receiver = ChoosyReceiver()
    yield receiver
    receiver.stop()


def dispatcher_of(
    services: Services,
    *,
    retry_first_s: float = 0.0,
    attempt_s: float = 2.0,
    turn_s: float = 30.0,
    lease_s: float = LEASE_S,
) -> Dispatcher:
    """One whose retries are due at once, unless said otherwise."""
    client = WebhookClient(timeout_s=attempt_s / 2, attempt_s=attempt_s)
    return Dispatcher(
        Directory(services.database),
        services.history.change_feed,
        services.feed.webhooks,
        client,
        retry_first_s=retry_first_s,
        lease_s=lease_s,
        turn_s=turn_s,
    )


async def begun(harness: ProfilesHarness, receiver: CodeReceiver, **fields: Any) -> Webhook:
    new = NewWebhook(receiver.url, **fields)
    return await harness.services.feed.webhooks.create(harness.dataset_ref, new)


async def listed(harness: ProfilesHarness, webhook: Webhook, state: str | None = None) -> list[DeliveryRow]:
    """Its deliveries, the first change first."""
    found = await harness.services.feed.webhooks.deliveries(
        harness.dataset_ref, webhook.row.webhook_id, state, limit=500
    )
    return [*reversed(found)]


def is_signed(request: ReceivedRequest, secret: str) -> bool:
    headers = request.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    digest = base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest()).decode()
    return f"v1,{digest}" in headers["webhook-signature"].split(" ")


async def test_changes_arrive_signed_in_their_order(
    harness: ProfilesHarness, receiver: ChoosyReceiver
) -> None:
    before = await harness.person(plan="earlier")
    webhook = await begun(harness, receiver)
    one = await harness.person(plan="trial")
    await harness.write(one, plan="gold")
    await dispatcher_of(harness.services).serve_all()
    kinds = [(item["type"], item["profile_id"]) for item in receiver.documents]
    assert kinds == [("profile.created", str(one)), ("profile.updated", str(one))]
    assert str(before) not in str(receiver.documents)
    assert all(is_signed(request, webhook.secrets[0].text) for request in receiver.received)
    assert receiver.documents[1]["changed"] == ["traits.plan"]
    assert receiver.documents[1]["dataset"] == "default"
    done = await listed(harness, webhook, "delivered")
    assert [str(item.delivery_id) for item in done] == [r.headers["webhook-id"] for r in receiver.received]


async def test_a_webhook_receives_its_view_and_types_alone(
    harness: ProfilesHarness, receiver: ChoosyReceiver
) -> None:
    await begun(harness, receiver, view="own", types=("profile.updated",))
    await harness.rule("mail")
    one = await harness.person(mail="ann@acme.example")
    await harness.person(mail="ann@acme.example")
    await harness.write(one, plan="gold")
    await dispatcher_of(harness.services).serve_all()
    assert [item["type"] for item in receiver.documents] == ["profile.updated"]
    assert receiver.documents[0]["view"] == "own"


async def test_a_change_that_fails_keeps_back_its_profile_and_no_other(
    harness: ProfilesHarness, receiver: ChoosyReceiver
) -> None:
    one, other = await harness.person(plan="a"), await harness.person(plan="b")
    webhook = await begun(harness, receiver)
    receiver.failing = {str(one)}
    for plan in ("c", "d"):
        await harness.write(one, plan=plan)
        await harness.write(other, plan=plan)
    dispatcher = dispatcher_of(harness.services, retry_first_s=0.2)
    await dispatcher.serve_all()
    waiting = await listed(harness, webhook, "waiting")
    assert [item.type for item in waiting] == ["profile.updated"] * 2
    assert (waiting[0].attempts > 0, waiting[1].attempts, waiting[0].failure) == (
        True,
        0,
        "The webhook answered 500.",
    )
    assert [item["profile_id"] for item in receiver.documents].count(str(other)) == 2
    receiver.failing = set()
    async with asyncio.timeout(20):
        while await listed(harness, webhook, "waiting"):
            await dispatcher.serve_all()
    ids = [r.headers["webhook-id"] for r in receiver.received if r.document["profile_id"] == str(one)]
    assert list(dict.fromkeys(ids)) == [str(item.delivery_id) for item in waiting]
    assert ids[-1] == str(waiting[1].delivery_id)


async def test_what_failed_for_three_days_is_dead_and_can_be_sent_again(
    harness: ProfilesHarness, receiver: ChoosyReceiver
) -> None:
    webhook = await begun(harness, receiver)
    one = await harness.person(plan="a")
    receiver.failing = {str(one)}
    await harness.write(one, plan="b")
    await dispatcher_of(harness.services, retry_first_s=3600.0).serve_all()
    assert await listed(harness, webhook, "dead") == []
    later = "created_at = created_at - interval '3 days', due_at = now(), expires_at = now()"
    await harness.database.execute(f"UPDATE webhook_delivery SET {later} WHERE state = 'waiting'")
    await dispatcher_of(harness.services, retry_first_s=3600.0).serve_all()
    (dead,) = await listed(harness, webhook, "dead")
    assert (dead.type, dead.attempts, dead.failure) == ("profile.updated", 2, "The webhook answered 500.")
    webhooks = harness.services.feed.webhooks
    assert (await webhooks.get(harness.dataset_ref, webhook.row.webhook_id)).row.dead == 1
    receiver.failing = set()
    assert await webhooks.send_again(harness.dataset_ref, webhook.row.webhook_id, None) == 1
    await dispatcher_of(harness.services).serve_all()
    assert [item.state for item in await listed(harness, webhook)] == ["delivered"] * 2
    first = (await listed(harness, webhook))[0].delivery_id
    assert await webhooks.send_again(harness.dataset_ref, webhook.row.webhook_id, [first]) == 1
    with pytest.raises(InvalidInput):
        await webhooks.deliveries(harness.dataset_ref, webhook.row.webhook_id, "lost", limit=1)


async def test_a_slow_webhook_holds_up_no_other(harness: ProfilesHarness, receiver: ChoosyReceiver) -> None:
    slow = CodeReceiver("hangs")
    try:
        await begun(harness, slow)
        await begun(harness, receiver)
        await harness.person(plan="a")
        dispatcher = dispatcher_of(harness.services, turn_s=3.0)
        await dispatcher.begin()
        await until_async(lambda: _both(receiver, slow), "both get it")
        await dispatcher.serve_all()
        assert len(receiver.received) == 1
    finally:
        slow.stop()


async def _both(*receivers: CodeReceiver) -> bool:
    return all(item.received for item in receivers)


async def test_one_process_serves_a_webhook_and_another_takes_over_from_a_dead_one(
    harness: ProfilesHarness, receiver: ChoosyReceiver
) -> None:
    webhook = await begun(harness, receiver)
    await harness.person(plan="a")
    (leased,) = await Directory(harness.database).webhook_queue.lease(3600.0, 5)
    assert leased.webhook_id == webhook.row.webhook_id
    await dispatcher_of(harness.services).serve_all()
    assert receiver.received == []
    await harness.database.execute(LEASE_OVER)
    await asyncio.gather(*(dispatcher_of(harness.services).serve_all() for _ in range(3)))
    assert len(receiver.received) == 1


async def test_a_webhook_is_served_while_its_lease_is_renewed_and_no_longer(harness: ProfilesHarness) -> None:
    slow = CodeReceiver("hangs")
    try:
        webhook = await begun(harness, slow)
        await harness.person(plan="a")
        dispatcher = dispatcher_of(harness.services, attempt_s=60.0, lease_s=2.0)
        await dispatcher.begin()
        first = await harness.database.fetchval("SELECT leased_until FROM webhook")

        async def outlived() -> bool:
            asked = "SELECT now() > $1 AND leased_until > now() FROM webhook"
            return bool(slow.received) and await harness.database.fetchval(asked, first)

        await until_async(outlived, "the lease is renewed")
        await dispatcher_of(harness.services).serve_all()
        assert len(slow.received) == 1
        await harness.database.execute("UPDATE webhook SET leased_until = now() + interval '1 hour'")
        await dispatcher.serve_all()
        assert [(item.state, item.attempts) for item in await listed(harness, webhook)] == [("waiting", 0)]
    finally:
        slow.stop()


async def test_a_secret_is_rotated_while_both_sign(
    harness: ProfilesHarness, receiver: ChoosyReceiver
) -> None:
    webhook, webhooks = await begun(harness, receiver), harness.services.feed.webhooks
    former = webhook.secrets[0].text
    changed, is_new = await webhooks.change(
        harness.dataset_ref, webhook.row.webhook_id, {"url": receiver.url}, rotates=True
    )
    assert is_new
    assert (await webhooks.test(harness.dataset_ref, webhook.row.webhook_id)).failure is None
    (request,) = receiver.received
    assert request.document == {
        "type": "webhook.test",
        "organisation": "acme",
        "dataset": "default",
        "view": "proven",
    }
    assert is_signed(request, former)
    assert is_signed(request, changed.secrets[0].text)
    stored = await harness.database.fetch("SELECT secrets_encrypted FROM webhook")
    assert former.encode() not in stored[0]["secrets_encrypted"]


async def test_changes_wait_in_the_feed_while_very_many_wait(
    harness: ProfilesHarness, receiver: ChoosyReceiver
) -> None:
    webhook = await begun(harness, receiver)
    await asyncio.gather(*(harness.person(plan=f"{number}") for number in range(BACKLOG_MAX + 120)))
    await harness.database.execute("UPDATE webhook SET url = 'http://127.0.0.1:9/'")
    await dispatcher_of(harness.services, retry_first_s=3600.0).serve_all()
    waiting = await listed(harness, webhook, "waiting")
    assert BACKLOG_MAX <= len(waiting) < BACKLOG_MAX + 120


async def test_lost_changes_are_said(harness: ProfilesHarness, receiver: ChoosyReceiver) -> None:
    webhook = await begun(harness, receiver)
    await harness.person(plan="a")
    old = "recorded_at = recorded_at - 30 * 24 * 3600 * 1000000::bigint"
    await harness.database.execute(f"UPDATE profile_change SET {old}")
    await harness.database.execute(f"UPDATE webhook SET {old}, leased_until = created_at")
    await harness.services.history.change_feed.sweep()
    late = await harness.person(plan="b")
    await dispatcher_of(harness.services).serve_all()
    assert [item["profile_id"] for item in receiver.documents] == [str(late)]
    found = await harness.services.feed.webhooks.get(harness.dataset_ref, webhook.row.webhook_id)
    assert found.row.lost_at is not None


async def test_what_is_no_webhook(harness: ProfilesHarness, receiver: ChoosyReceiver) -> None:
    webhooks, at = harness.services.feed.webhooks, harness.dataset_ref
    for new in (
        NewWebhook("http://crm.acme.example/changes"),
        NewWebhook(receiver.url, types=("profile.touched",)),
        NewWebhook(receiver.url, view="each"),  # type: ignore[arg-type]
        NewWebhook(receiver.url, secret="short"),
    ):
        with pytest.raises(InvalidInput):
            await webhooks.create(at, new)
    with pytest.raises(NotFound):
        await webhooks.get(at, UUID(int=7))
    for _ in range(WEBHOOKS_MAX):
        await begun(harness, receiver)
    with pytest.raises(Conflict):
        await begun(harness, receiver)
    first = (await webhooks.find_all(at))[0].row.webhook_id
    assert await webhooks.delete(at, first)
    assert not await webhooks.delete(at, first)
