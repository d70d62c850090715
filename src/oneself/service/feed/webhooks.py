"""Webhooks: which changes an organisation has sent where, and what became of them.

Invariants: a secret is stored encrypted for its webhook, and is returned once, when it is made. While secrets
are rotated, requests are signed with the new one and the former one.

Source: docs/guides/change-feed.md.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import msgspec

from oneself.adapters.change_event import EVENT_TYPES
from oneself.adapters.webhook import WebhookClient, key_of, secret_of
from oneself.core.config.difference import differences
from oneself.core.identity_graph.joins import VIEWS, View
from oneself.errors import (
    Conflict,
    DeliveryDeferred,
    DeliveryRejected,
    InvalidInput,
    NotFound,
    PreconditionFailed,
)
from oneself.service.audited import new_secret_of, put_audited
from oneself.service.context import DatasetRef
from oneself.service.crypto import TOKEN_BYTES, SecretBox
from oneself.service.directory.outgoing_urls import outgoing_problem
from oneself.store.directory import Directory
from oneself.store.tables.profile_change import END, ChangePosition
from oneself.store.tables.webhook import DeliveryRow, WebhookRow

SECOND_US = 1_000_000
#: Of an organisation. Each is served by itself.
WEBHOOKS_MAX = 20
#: For so long, requests are signed with the former secret as well.
ROTATION_US = 24 * 3600 * SECOND_US
#: For so long, a delivery is tried.
TRIED_US = 3 * 24 * 3600 * SECOND_US
#: Deliveries that are sent again at once.
SENT_AGAIN_MAX = 1_000
TEST_TYPE = "webhook.test"


class Secret(msgspec.Struct, frozen=True, array_like=True):
    """What requests are signed with. `expires_at`: in µs since 1970; None: it is the present one."""

    text: str
    expires_at: int | None = None


class Webhook(msgspec.Struct, frozen=True):
    """A webhook."""

    row: WebhookRow
    #: The present secret first.
    secrets: tuple[Secret, ...]


class NewWebhook(msgspec.Struct, frozen=True):
    """A webhook to make. `secret`: None: a random one."""

    url: str
    view: View = "proven"
    types: Sequence[str] = ()
    secret: str | None = None


class WebhookTest(msgspec.Struct, frozen=True):
    """What a receiver did with a test. `failure`: None: it accepted it."""

    failure: str | None


class Webhooks:
    """Stores and finds webhooks, and sends tests."""

    def __init__(self, directory: Directory, secret_box: SecretBox, client: WebhookClient) -> None:
        self._directory = directory
        self._secret_box = secret_box
        self._client = client

    async def find_all(self, dataset_ref: DatasetRef) -> list[Webhook]:
        """The webhooks of an organisation, the oldest first."""
        rows = await self._directory.of(dataset_ref.org_id).webhooks.find()
        return [self._webhook(dataset_ref.org_id, row) for row in rows]

    async def get(self, dataset_ref: DatasetRef, webhook_id: UUID) -> Webhook:
        """A webhook. Raises NotFound."""
        for row in await self._directory.of(dataset_ref.org_id).webhooks.find(webhook_id):
            return self._webhook(dataset_ref.org_id, row)
        raise NotFound("No webhook has this id.")

    async def create(self, dataset_ref: DatasetRef, new: NewWebhook) -> Webhook:
        """Make a webhook of a dataset, which receives changes from now on. Raises InvalidInput, Conflict."""
        await self._check(new.url, new.types, new.view)
        secret, now = _valid(new.secret), time.time_ns() // 1000
        row = WebhookRow(
            webhook_id=uuid.uuid4(),
            dataset_id=dataset_ref.dataset_id,
            dataset=dataset_ref.dataset,
            url=new.url,
            view=new.view,
            types=[*new.types],
            secrets_encrypted=b"",
            is_active=True,
            created_at=now,
            updated_at=now,
        )
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            table = tables.webhooks
            if len(await table.find()) >= WEBHOOKS_MAX:
                raise Conflict(f"An organisation has at most {WEBHOOKS_MAX} webhooks.", code="limit")
            row = self._with_secrets(dataset_ref.org_id, row, (secret,))
            await table.put(row, now)
            await put_audited(tables, "webhook", differences(_subject(row), None, _audited(row)))
        return Webhook(row, (secret,))

    async def change(
        self,
        dataset_ref: DatasetRef,
        webhook_id: UUID,
        changes: dict[str, Any],
        *,
        rotates: bool = False,
        version: int | None = None,
    ) -> tuple[Webhook, bool]:
        """Change some of `url`, `view`, `types`, `is_active` and `secret`; whether the secret is a new one.

        `rotates`: make a random secret. The former one signs for ROTATION_US. `version`: `updated_at` as the
        caller knows it. Raises InvalidInput, NotFound, PreconditionFailed if it is another by now.
        """
        changes = dict(changes)
        given: str | None = changes.pop("secret", None)
        asked = msgspec.structs.replace((await self.get(dataset_ref, webhook_id)).row, **changes)
        await self._check(asked.url, asked.types, asked.view)
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            table = tables.webhooks
            found = await table.find(webhook_id)
            if not found:
                raise NotFound("No webhook has this id.")
            known = self._webhook(dataset_ref.org_id, found[0])
            if version is not None and known.row.updated_at != version:
                raise PreconditionFailed("The webhook was changed in the meantime.")
            now, kept = time.time_ns() // 1000, known.secrets
            if rotates or given is not None:
                former = msgspec.structs.replace(known.secrets[0], expires_at=now + ROTATION_US)
                kept = (_valid(given), former)
            row = msgspec.structs.replace(known.row, **changes, updated_at=now)
            row = self._with_secrets(dataset_ref.org_id, row, kept)
            await table.put(row)
            changed = differences(_subject(row), _audited(known.row), _audited(row))
            if kept is not known.secrets:
                changed.append(new_secret_of(_subject(row)))
            await put_audited(tables, "webhook", changed)
        return msgspec.structs.replace(known, row=row, secrets=kept), kept is not known.secrets

    async def delete(self, dataset_ref: DatasetRef, webhook_id: UUID) -> bool:
        """Delete a webhook with its deliveries; False if there is none."""
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            found = await tables.webhooks.find(webhook_id)
            for row in found:
                await tables.webhooks.delete(webhook_id)
                await put_audited(tables, "webhook", differences(_subject(row), _audited(row), None))
        return bool(found)

    async def deliveries(
        self,
        dataset_ref: DatasetRef,
        webhook_id: UUID,
        state: str | None,
        before: ChangePosition = END,
        *,
        limit: int,
    ) -> Sequence[DeliveryRow]:
        """Deliveries of a webhook before a position, the last change first. Raises NotFound, InvalidInput."""
        if state not in (None, "waiting", "delivered", "dead"):
            raise InvalidInput("state", "state must be waiting, delivered or dead.")
        await self.get(dataset_ref, webhook_id)
        table = self._directory.of(dataset_ref.org_id).webhooks
        return await table.list_deliveries(webhook_id, state, before, limit)

    async def send_again(
        self, dataset_ref: DatasetRef, webhook_id: UUID, delivery_ids: Sequence[UUID] | None
    ) -> int:
        """Send finished deliveries again, or all dead ones; how many. Raises NotFound, InvalidInput."""
        if delivery_ids is not None and len(delivery_ids) > SENT_AGAIN_MAX:
            raise InvalidInput("delivery_ids", f"At most {SENT_AGAIN_MAX} deliveries are sent again at once.")
        await self.get(dataset_ref, webhook_id)
        now, table = time.time_ns() // 1000, self._directory.of(dataset_ref.org_id).webhooks
        return await table.send_again(webhook_id, delivery_ids, now, now + TRIED_US)

    async def test(self, dataset_ref: DatasetRef, webhook_id: UUID) -> WebhookTest:
        """Send a test at once, past everything that waits. Raises NotFound."""
        webhook = await self.get(dataset_ref, webhook_id)
        body = msgspec.json.encode(
            {
                "type": TEST_TYPE,
                "organisation": dataset_ref.handle,
                "dataset": webhook.row.dataset,
                "view": webhook.row.view,
            }
        )
        texts = signing(webhook.secrets, time.time_ns() // 1000)
        try:
            await self._client.post(webhook.row.url, texts, f"test-{uuid.uuid4()}", body)
        except (DeliveryDeferred, DeliveryRejected) as error:
            return WebhookTest(error.message)
        return WebhookTest(None)

    def secrets_of(self, org_id: int, webhook_id: UUID, encrypted: bytes) -> tuple[Secret, ...]:
        """The secrets of a webhook as they are stored."""
        plain = self._secret_box.decrypt(encrypted, _purpose(org_id, webhook_id))
        return msgspec.json.decode(plain, type=tuple[Secret, ...])

    async def _check(self, url: str, types: Collection[str], view: str) -> None:
        if problem := await outgoing_problem(url, self._client.policy):
            raise InvalidInput("url", f"The url {problem}.")
        if unknown := sorted(set(types) - set(EVENT_TYPES)):
            raise InvalidInput("types", f"{unknown[0]} is not a type. Types are {', '.join(EVENT_TYPES)}.")
        if view not in VIEWS:
            raise InvalidInput("view", "view must be own, proven or all.")

    def _with_secrets(self, org_id: int, row: WebhookRow, kept: tuple[Secret, ...]) -> WebhookRow:
        purpose = _purpose(org_id, row.webhook_id)
        return msgspec.structs.replace(
            row, secrets_encrypted=self._secret_box.encrypt(msgspec.json.encode(kept), purpose)
        )

    def _webhook(self, org_id: int, row: WebhookRow) -> Webhook:
        return Webhook(row, self.secrets_of(org_id, row.webhook_id, row.secrets_encrypted))


def signing(known: Collection[Secret], now: int) -> list[str]:
    """The secrets that requests are signed with now."""
    return [item.text for item in known if item.expires_at is None or item.expires_at > now]


def _valid(text: str | None) -> Secret:
    if text is None:
        return Secret(secret_of(secrets.token_bytes(TOKEN_BYTES)))
    key_of(text)
    return Secret(text)


def _subject(row: WebhookRow) -> str:
    return f"webhook {row.webhook_id}"


def _audited(row: WebhookRow) -> dict[str, Any]:
    """What the audit log has of a webhook."""
    audited = ("url", "dataset", "view", "types", "is_active")
    return {name: getattr(row, name) for name in audited}


def _purpose(org_id: int, webhook_id: UUID) -> str:
    """What secrets are encrypted for: a row copied to another webhook cannot be decrypted."""
    return f"webhook {webhook_id} of {org_id}"
