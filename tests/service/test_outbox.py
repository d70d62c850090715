"""Mails are stored with what asks for them and sent afterwards, until a server takes them or they expire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from oneself.adapters.mail import OutgoingMail, SmtpMailer, smtp_server
from oneself.errors import DeliveryDeferred, DeliveryRejected
from oneself.service.context import DatasetRef
from oneself.service.delivery.outbox import CodeMessage, Letter, MailText, Outbox
from oneself.service.delivery.postman import MailCarrier, Postman
from oneself.services import Services
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.delivery import DueDelivery
from support.smtp import HOST, MailServer

pytestmark = pytest.mark.postgres

RECIPIENT = "vera@acme.example"
SENDER = "accounts@acme.example"
NewPostman = Callable[..., Postman]


class Mailbox:
    """Stands for a server: takes mails, after it raised what it was given."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.taken: list[OutgoingMail] = []
        self.has_mail = asyncio.Event()

    async def send(self, mail: OutgoingMail) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(mail)
        self.has_mail.set()


class Hanging:
    """Stands for a webhook that never answers."""

    retry_first_s = 0.0

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()

    async def carry(self, delivery: DueDelivery, content: Any) -> bool:
        self.is_asked.set()
        await asyncio.Event().wait()
        return True


async def compose_code(tables: DirectoryTables, delivery: DueDelivery) -> CodeMessage:
    return CodeMessage(delivery.recipient, "123456", "test")


@pytest.fixture
async def dataset_ref(services: Services) -> DatasetRef:
    founded = await services.setup.provisioning.create("acme", name="Acme, Inc.")
    return founded.dataset_ref


@pytest.fixture
def directory(services: Services) -> Directory:
    return Directory(services.database)


@pytest.fixture
def outbox(services: Services, directory: Directory) -> Outbox:
    return Outbox(directory, services.secret_box)


@pytest.fixture
def postman(directory: Directory, outbox: Outbox) -> NewPostman:
    """Makes postmen, who write the number of a mail's composition into it."""
    composed: list[str] = []

    async def compose(tables: DirectoryTables, mail: DueDelivery) -> MailText | None:
        composed.append(mail.recipient)
        return MailText(f"The {len(composed)}.", f"https://link/{len(composed)}", "<p>…</p>")

    def make(mailer: Any, retry_first_s: float = 0.0, compose: Any = compose) -> Postman:
        carriers = {"mail": MailCarrier(mailer, retry_first_s=retry_first_s), "webhook": Hanging()}
        return Postman(directory, outbox, carriers, {"test": compose, "code": compose_code})

    return make


async def put(outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, **fields: Any) -> None:
    async with directory.transaction() as tables:
        kind, recipient = fields.pop("kind", "test"), fields.pop("to", RECIPIENT)
        await outbox.put(tables, dataset_ref, Letter(kind, recipient, **fields))


async def count(services: Services) -> int:
    return int(await services.database.fetchval("SELECT count(*) FROM delivery"))


async def test_a_mail_that_a_server_took_is_gone(
    services: Services, outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    mailbox = Mailbox()
    await put(outbox, directory, dataset_ref)
    assert await postman(mailbox).deliver_due() == 1
    (mail,) = mailbox.taken
    assert (mail.recipient, mail.sender_name, mail.subject) == (RECIPIENT, "Acme, Inc.", "The 1.")
    assert await count(services) == 0


async def test_a_mail_is_composed_once_and_sent_again_with_the_same_id(
    services: Services, outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    mailbox = Mailbox(DeliveryDeferred("451 later"), DeliveryDeferred("451 later"))
    await put(outbox, directory, dataset_ref)
    first, second = postman(mailbox), postman(mailbox)
    for delivery in (first, second, first):
        assert await delivery.deliver_due() == 1
    assert [mail.subject for mail in mailbox.taken] == ["The 1."]
    assert await count(services) == 0


async def test_the_attempts_become_rare(
    services: Services, outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    await put(outbox, directory, dataset_ref)
    later = "SELECT due_at - now() > make_interval(secs => $1) FROM delivery"
    for attempt, least_s in enumerate((25, 55, 115), 1):
        await postman(Mailbox(DeliveryDeferred("451 later")), retry_first_s=30).deliver_due()
        assert await services.database.fetchval(later, least_s), attempt
        assert await services.database.fetchval("SELECT failure FROM delivery") == "451 later"
        assert await postman(Mailbox()).deliver_due() == 0
        await services.database.execute("UPDATE delivery SET due_at = now()")


@pytest.mark.parametrize("failure", [DeliveryRejected("550 no such mailbox")])
async def test_a_mail_that_no_server_takes_is_dropped(
    services: Services,
    outbox: Outbox,
    directory: Directory,
    dataset_ref: DatasetRef,
    postman: NewPostman,
    failure: Exception,
) -> None:
    await put(outbox, directory, dataset_ref)
    await postman(Mailbox(failure)).deliver_due()
    assert await count(services) == 0


async def test_a_mail_that_fails_otherwise_holds_up_no_other(
    services: Services, outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    for number in range(3):
        await put(outbox, directory, dataset_ref, to=f"{number}@acme.example")
    mailbox = Mailbox(ValueError("a bug"))
    assert await postman(mailbox).deliver_due() == 3
    assert len(mailbox.taken) == 2
    assert await count(services) == 1


async def test_an_expired_mail_is_not_sent_but_deleted(
    services: Services, outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    await put(outbox, directory, dataset_ref, life_s=0)
    mailbox = Mailbox()
    assert await postman(mailbox).deliver_due() == 0
    assert await services.directory.expired_rows.sweep() == 1
    assert await count(services) == 0


async def test_a_mail_that_has_nothing_to_say_is_dropped(
    services: Services, outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    async def nothing(tables: DirectoryTables, mail: DueDelivery) -> None:
        return None

    mailbox = Mailbox()
    await put(outbox, directory, dataset_ref)
    await postman(mailbox, compose=nothing).deliver_due()
    assert mailbox.taken == []
    assert await count(services) == 0


async def test_several_processes_send_each_mail_once(
    outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    for number in range(60):
        await put(outbox, directory, dataset_ref, to=f"{number}@acme.example")
    mailbox = Mailbox()
    postmen = [postman(mailbox) for _ in range(4)]
    await asyncio.gather(*(each.deliver_due() for each in postmen))
    assert sorted(mail.recipient for mail in mailbox.taken) == sorted(f"{n}@acme.example" for n in range(60))


async def test_what_a_mail_says_is_encrypted(
    services: Services, outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    await put(outbox, directory, dataset_ref)
    await postman(None).deliver_due()
    (shown,) = await outbox.list_delivered(dataset_ref)
    assert isinstance(shown.content, MailText)
    assert shown.content.text == "https://link/1"
    stored = await services.database.fetchval("SELECT content FROM delivery")
    assert b"https" not in stored


async def test_a_greylisting_server_gets_the_mail_at_the_next_attempt(
    outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    server = MailServer("greylists")
    try:
        delivery = postman(SmtpMailer(smtp_server(f"smtp://{HOST}:{server.port}"), SENDER))
        await put(outbox, directory, dataset_ref)
        await delivery.deliver_due()
        assert server.received == []
        await delivery.deliver_due()
        assert [message["To"] for message in server.received] == [RECIPIENT]
    finally:
        server.stop()


async def test_a_stored_mail_wakes_the_postman(
    outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    mailbox = Mailbox()
    running = asyncio.create_task(postman(mailbox).run())
    try:
        await put(outbox, directory, dataset_ref)
        outbox.wake()
        async with asyncio.timeout(4):
            await mailbox.has_mail.wait()
    finally:
        running.cancel()


async def test_a_mail_does_not_wait_for_a_webhook_that_hangs(
    outbox: Outbox, directory: Directory, dataset_ref: DatasetRef
) -> None:
    async def compose(tables: DirectoryTables, delivery: DueDelivery) -> MailText:
        return MailText("A mail.", "It says it.", "<p>…</p>")

    mailbox, webhook = Mailbox(), Hanging()
    carriers = {"mail": MailCarrier(mailbox), "webhook": webhook}
    postman = Postman(directory, outbox, carriers, {"test": compose, "code": compose_code})
    await put(outbox, directory, dataset_ref, kind="code", channel="webhook")
    running = asyncio.create_task(postman.run())
    try:
        async with asyncio.timeout(4):
            await webhook.is_asked.wait()
            await put(outbox, directory, dataset_ref)
            outbox.wake()
            await mailbox.has_mail.wait()
    finally:
        running.cancel()


async def test_no_organisation_waits_until_all_of_another_one_is_sent(
    services: Services, outbox: Outbox, directory: Directory, dataset_ref: DatasetRef, postman: NewPostman
) -> None:
    other = (await services.setup.provisioning.create("other")).dataset_ref
    for number in range(25):
        await put(outbox, directory, dataset_ref, to=f"{number}@acme.example")
    await put(outbox, directory, other, to="ben@other.example")
    mailbox = Mailbox()
    assert await postman(mailbox).deliver_due() == 20
    assert "ben@other.example" in [mail.recipient for mail in mailbox.taken]
