"""The table `mail`: mails to send, and those in the development outbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, structs_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("mail")


class DueMail(msgspec.Struct, frozen=True):
    """A mail that is due, and its organisation."""

    org_id: int
    #: The organisation's handle and name.
    handle: str
    name: str
    mail_id: UUID
    kind: str
    recipient: str
    #: The account that it is about; None: whichever has the address by then.
    user_id: UUID | None
    facts: dict[str, str]
    #: Encrypted; None: not made yet.
    content: bytes | None
    #: In µs since 1970, as `expires_at`.
    created_at: int
    expires_at: int
    #: How often it was taken, this time included.
    attempts: int


class DeliveredRow(msgspec.Struct, frozen=True):
    """A mail in the development outbox."""

    mail_id: UUID
    recipient: str
    #: Encrypted.
    content: bytes
    #: In µs since 1970.
    created_at: int


class MailQueue:
    """The mails of every organisation that wait."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def take_due(self, now: int, until: int, limit: int) -> list[DueMail]:
        """The mails that are due, which nobody else takes before `until` (µs since 1970)."""
        return structs_of(DueMail, await self._executor.fetch(_sql.take_due, now, until, limit))

    async def count_waiting(self) -> int:
        """How many mails were tried and could not be sent yet."""
        return int(await self._executor.fetchval(_sql.count_waiting))


class MailTable(OrganisationTable):
    """The mails of an organisation."""

    __slots__ = ()

    async def put(
        self,
        mail_id: UUID,
        kind: str,
        recipient: str,
        user_id: UUID | None,
        facts: Mapping[str, str],
        now: int,
        expires_at: int,
    ) -> None:
        """Insert a mail to send at once; instants in µs since 1970."""
        await self._executor.execute(
            _sql.put, self._org_id, mail_id, kind, recipient, user_id, dict(facts), now, expires_at
        )

    async def put_content(self, mail_id: UUID, content: bytes) -> None:
        """Store what a mail says, encrypted."""
        await self._executor.execute(_sql.put_content, self._org_id, mail_id, content)

    async def put_failure(self, mail_id: UUID, failure: str, due_at: int) -> None:
        """Record why a mail could not be sent, and when it is due again (µs since 1970)."""
        await self._executor.execute(_sql.put_failure, self._org_id, mail_id, failure, due_at)

    async def put_delivered(self, mail_id: UUID, now: int) -> None:
        """Record that the development outbox has a mail."""
        await self._executor.execute(_sql.put_delivered, self._org_id, mail_id, now)

    async def delete(self, mail_id: UUID) -> None:
        """Delete a mail."""
        await self._executor.execute(_sql.delete, self._org_id, mail_id)

    async def list_delivered(self, limit: int) -> list[DeliveredRow]:
        """The newest mails in the development outbox."""
        return structs_of(DeliveredRow, await self._executor.fetch(_sql.list_delivered, self._org_id, limit))
