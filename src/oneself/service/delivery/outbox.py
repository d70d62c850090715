"""The outbox: mails and messages are stored by the transaction that asks for them, and sent by the postman.

    put ─▶ a row ─▶ composed when it is due ─▶ sent by its channel, and deleted
                                            └▶ without a server: shown by the development outbox

Lives here: storing, encrypting and showing. Must not know: what a mail says (`postman.Compose`), and how a
channel sends (`postman.Carrier`).

Invariants: what is stored survives a restart. What it says is encrypted at rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Mapping
from typing import Literal, cast
from uuid import UUID

import msgspec

from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.delivery import DeliveredRow

#: How a delivery is sent: by mail, or to the webhook of its organisation.
Channel = Literal["mail", "webhook"]
CHANNELS: tuple[Channel, ...] = ("mail", "webhook")
SECOND_US = 1_000_000
#: How soon a process sends what another one stored, or what is due again.
POLL_S = 5.0
DELIVERED_MAX = 50


class MailText(msgspec.Struct, frozen=True):
    """What a mail says."""

    subject: str
    text: str
    html: str
    #: Where it goes, if not to the address that was asked for.
    recipient: str = ""


class CodeMessage(msgspec.Struct, frozen=True):
    """A code that a webhook sends to a mobile number."""

    #: In E.164.
    mobile: str
    code: str
    purpose: str
    #: The language that the browser asks for (BCP 47); empty: unknown.
    locale: str = ""


Content = MailText | CodeMessage
_CONTENT_OF: Mapping[Channel, type[MailText] | type[CodeMessage]] = {"mail": MailText, "webhook": CodeMessage}


class Letter(msgspec.Struct, frozen=True):
    """A mail or message to compose: what it is about, for whom."""

    #: Which text it gets, such as `verification`.
    kind: str
    #: An e-mail address or a mobile number, as the channel needs.
    recipient: str
    #: The account that it is about; None: whichever has the address when it is sent.
    user_id: UUID | None = None
    facts: Mapping[str, str] = {}
    #: How long it is worth sending, in seconds.
    life_s: int = 86_400
    channel: Channel = "mail"


class DeliveredLetter(msgspec.Struct, frozen=True):
    """A mail or message in the development outbox."""

    delivery_id: UUID
    recipient: str
    #: In µs since 1970.
    created_at: int
    content: Content


class Outbox:
    """Stores mails and messages, and shows those that no server took because there is none.

    `is_visible`: whether the development outbox can be seen, because there is no mail server.
    """

    def __init__(self, directory: Directory, secret_box: SecretBox, *, is_visible: bool = True) -> None:
        self.is_visible = is_visible
        self._directory = directory
        self._secret_box = secret_box
        self._waiting = {channel: asyncio.Event() for channel in CHANNELS}

    async def put(self, tables: DirectoryTables, dataset_ref: DatasetRef, letter: Letter) -> UUID:
        """Store a letter in the transaction of `tables`. Call `wake` once it is committed."""
        now, delivery_id = time.time_ns() // 1000, uuid.uuid4()
        await tables.of(dataset_ref.org_id).deliveries.put(
            delivery_id, letter.channel, letter.kind, letter.recipient, letter.user_id, letter.facts,
            now, now + letter.life_s * SECOND_US,
        )  # fmt: skip
        return delivery_id

    def wake(self) -> None:
        """Send now: this process has stored something."""
        for waiting in self._waiting.values():
            waiting.set()

    async def wait(self, channel: Channel) -> None:
        """Until something is stored here, or another process may have stored something."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._waiting[channel].wait()
        self._waiting[channel].clear()

    async def list_delivered(self, dataset_ref: DatasetRef) -> list[DeliveredLetter]:
        """What the development outbox of an organisation shows, the newest first."""
        rows = await self._directory.of(dataset_ref.org_id).deliveries.list_delivered(DELIVERED_MAX)
        return [self._delivered(row) for row in rows]

    def _delivered(self, row: DeliveredRow) -> DeliveredLetter:
        content = self.decrypt(row.delivery_id, row.channel, row.content)
        recipient = content.recipient if isinstance(content, MailText) else ""
        return DeliveredLetter(row.delivery_id, recipient or row.recipient, row.created_at, content)

    def encrypt(self, delivery_id: UUID, content: Content) -> bytes:
        """What a letter says, as it is stored."""
        return self._secret_box.encrypt(msgspec.json.encode(content), _purpose(delivery_id))

    def decrypt(self, delivery_id: UUID, channel: str, encrypted: bytes) -> Content:
        """What a stored letter says."""
        plain = self._secret_box.decrypt(encrypted, _purpose(delivery_id))
        return msgspec.json.decode(plain, type=_CONTENT_OF[cast(Channel, channel)])


def _purpose(delivery_id: UUID) -> str:
    return f"mail {delivery_id}"
