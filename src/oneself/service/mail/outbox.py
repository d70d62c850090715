"""The outbox: mails are stored by the transaction that asks for them, and sent afterwards by the postman.

    put ─▶ a row ─▶ composed when it is due ─▶ sent, and deleted
                                            └▶ without a server: shown by the development outbox

Lives here: storing, taking, retrying and encrypting mails. Must not know: what a mail says (`Compose`).

Invariants: a mail survives a restart and is sent at least once until it expires; the server gets the same
Message-ID each time. Nothing waits for a mail server but the postman. What a mail says is encrypted at rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from uuid import UUID

import msgspec
import structlog

from oneself.adapters.mail import MailDeferred, MailRejected, OutgoingMail
from oneself.errors import OneselfError
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.mail import DeliveredRow, DueMail

_logger = structlog.get_logger("oneself.mail")

SECOND_US = 1_000_000
#: How soon a process sends what another one stored, or what is due again.
POLL_S = 5.0
#: Mails that a process sends at a time.
BATCH_MAX = 20
#: Longer than an attempt takes. A mail whose process died is taken again afterwards.
LEASE_US = 120 * SECOND_US
#: The time to the second attempt. It doubles with each, up to the longest.
RETRY_FIRST_S = 30
RETRY_LONGEST_S = 3_600
FAILURE_CHARACTERS_MAX = 300
DELIVERED_MAX = 50


class MailText(msgspec.Struct, frozen=True):
    """What a mail says."""

    subject: str
    text: str
    html: str
    #: Where it goes, if not to the address that was asked for.
    recipient: str = ""


class Letter(msgspec.Struct, frozen=True):
    """A mail to compose: what it is about, for whom."""

    #: Which text it gets, such as `verification`.
    kind: str
    recipient: str
    #: The account that it is about; None: whichever has the address when it is sent.
    user_id: UUID | None = None
    facts: Mapping[str, str] = {}
    #: How long it is worth sending, in seconds.
    life_s: int = 86_400


#: Says what a mail says, in a transaction; None: there is nothing to say any more.
Compose = Callable[[DirectoryTables, DueMail], Awaitable[MailText | None]]


class Mailer(Protocol):
    """Hands mails to a server."""

    async def send(self, mail: OutgoingMail) -> None:
        """Raises MailDeferred, MailRejected."""


class DeliveredMail(msgspec.Struct, frozen=True):
    """A mail in the development outbox."""

    mail_id: UUID
    recipient: str
    #: In µs since 1970.
    created_at: int
    content: MailText


class Outbox:
    """Stores mails, and shows those that no server took because there is none."""

    def __init__(self, directory: Directory, secret_box: SecretBox) -> None:
        self._directory = directory
        self._secret_box = secret_box
        self._waiting = asyncio.Event()

    async def put(self, tables: DirectoryTables, dataset_ref: DatasetRef, letter: Letter) -> None:
        """Store a mail in the transaction of `tables`. Call `wake` once it is committed."""
        now = time.time_ns() // 1000
        await tables.of(dataset_ref.org_id).mails.put(
            uuid.uuid4(), letter.kind, letter.recipient, letter.user_id, letter.facts,
            now, now + letter.life_s * SECOND_US,
        )  # fmt: skip

    def wake(self) -> None:
        """Send now: this process has stored a mail."""
        self._waiting.set()

    async def wait(self) -> None:
        """Until a mail is stored here, or another process may have stored one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._waiting.wait()
        self._waiting.clear()

    async def list_delivered(self, dataset_ref: DatasetRef) -> list[DeliveredMail]:
        """What the development outbox of an organisation shows, the newest first."""
        rows = await self._directory.of(dataset_ref.org_id).mails.list_delivered(DELIVERED_MAX)
        return [self._delivered(row) for row in rows]

    def _delivered(self, row: DeliveredRow) -> DeliveredMail:
        content = self.decrypt(row.mail_id, row.content)
        return DeliveredMail(row.mail_id, content.recipient or row.recipient, row.created_at, content)

    def encrypt(self, mail_id: UUID, content: MailText) -> bytes:
        """What a mail says, as it is stored."""
        return self._secret_box.encrypt(msgspec.json.encode(content), _purpose(mail_id))

    def decrypt(self, mail_id: UUID, encrypted: bytes) -> MailText:
        """What a stored mail says."""
        return msgspec.json.decode(self._secret_box.decrypt(encrypted, _purpose(mail_id)), type=MailText)


class Postman:
    """Sends what is in the outbox, from time to time and when it is woken."""

    def __init__(
        self,
        directory: Directory,
        outbox: Outbox,
        mailer: Mailer | None,
        compose: Mapping[str, Compose],
        *,
        retry_first_s: float = RETRY_FIRST_S,
    ) -> None:
        """`mailer`: None: mails go to the development outbox. `compose`: for each kind of mail."""
        self._directory = directory
        self._outbox = outbox
        self._mailer = mailer
        self._compose = compose
        self._retry_first_s = retry_first_s

    @property
    def has_server(self) -> bool:
        """Whether mails leave this machine."""
        return self._mailer is not None

    async def count_waiting(self) -> int:
        """How many mails could not be sent yet."""
        return await self._directory.mail_queue.count_waiting()

    async def run(self) -> None:
        """Work until cancelled. Another process takes over what is interrupted."""
        while True:
            try:
                while await self.deliver_due():
                    pass
            except OneselfError as error:
                _logger.warning("delivery_interrupted", cause=type(error).__name__)
            await self._outbox.wait()

    async def deliver_due(self) -> int:
        """Try to send the next mails that are due, beside each other; how many there were."""
        now = time.time_ns() // 1000
        due = await self._directory.mail_queue.take_due(now, now + LEASE_US, BATCH_MAX)
        await asyncio.gather(*(self._deliver(mail) for mail in due))
        return len(due)

    async def _deliver(self, mail: DueMail) -> None:
        """Try one mail. Whatever happens to it holds up no other one; it is due again after LEASE_US."""
        try:
            await self._compose_and_send(mail)
        except Exception as error:
            _logger.warning("mail_not_sent", kind=mail.kind, org=mail.handle, cause=type(error).__name__)

    async def _compose_and_send(self, mail: DueMail) -> None:
        content = await self._content_of(mail)
        mails = self._directory.of(mail.org_id).mails
        if content is None:
            await mails.delete(mail.mail_id)
        elif self._mailer is None:
            await mails.put_delivered(mail.mail_id, time.time_ns() // 1000)
        else:
            await self._send(self._mailer, mail, content)

    async def _send(self, mailer: Mailer, mail: DueMail, content: MailText) -> None:
        mails = self._directory.of(mail.org_id).mails
        outgoing = OutgoingMail(
            str(mail.mail_id),
            content.recipient or mail.recipient,
            content.subject,
            content.text,
            content.html,
            mail.name,
        )
        try:
            await mailer.send(outgoing)
        except MailRejected:
            # Addresses are typed by people: most of these are misspelled.
            _logger.info("mail_rejected", kind=mail.kind, org=mail.handle)
        except MailDeferred as error:
            _logger.warning("mail_deferred", kind=mail.kind, org=mail.handle, attempts=mail.attempts)
            due_at = time.time_ns() // 1000 + int(self._wait_s(mail.attempts) * SECOND_US)
            await mails.put_failure(mail.mail_id, error.message[:FAILURE_CHARACTERS_MAX], due_at)
            return
        await mails.delete(mail.mail_id)

    async def _content_of(self, mail: DueMail) -> MailText | None:
        """What a mail says. It is made once: a later attempt sends the same links."""
        if mail.content is not None:
            return self._outbox.decrypt(mail.mail_id, mail.content)
        async with self._directory.transaction() as tables:
            content = await self._compose[mail.kind](tables, mail)
            if content is not None:
                encrypted = self._outbox.encrypt(mail.mail_id, content)
                await tables.of(mail.org_id).mails.put_content(mail.mail_id, encrypted)
        return content

    def _wait_s(self, attempts: int) -> float:
        return float(min(self._retry_first_s * 2 ** min(attempts - 1, 20), RETRY_LONGEST_S))


def _purpose(mail_id: UUID) -> str:
    return f"mail {mail_id}"
