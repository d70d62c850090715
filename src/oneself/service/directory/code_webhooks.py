"""The webhook of an organisation: its own service, which sends codes to mobile numbers.

Invariants: a secret is stored encrypted for its organisation, and is returned once, when it is made. Without
a webhook, codes go to the development outbox. Source: docs/guides/mobile-numbers.md.
"""

from __future__ import annotations

import secrets
import time

import msgspec

from oneself.adapters.outgoing import OutgoingPolicy
from oneself.adapters.webhook import OutgoingCode, WebhookClient, key_of, secret_of
from oneself.core.config.difference import differences
from oneself.errors import InvalidInput
from oneself.service.audited import new_secret_of, put_audited
from oneself.service.context import DatasetRef
from oneself.service.crypto import TOKEN_BYTES, SecretBox
from oneself.service.delivery.outbox import CodeMessage, Content
from oneself.service.directory.outgoing_urls import outgoing_problem
from oneself.store.directory import Directory
from oneself.store.tables.code_webhook import CodeWebhookRow
from oneself.store.tables.delivery import DueDelivery

#: The time to the second attempt: people wait for a code.
RETRY_FIRST_S = 2.0
#: What the audit log calls it.
_SUBJECT = "webhook for codes"


class CodeWebhook(msgspec.Struct, frozen=True):
    """Where codes are sent to."""

    url: str
    secret: str
    #: In µs since 1970.
    updated_at: int


class CodeWebhooks:
    """Stores and finds the webhooks of organisations."""

    def __init__(
        self, directory: Directory, secret_box: SecretBox, policy: OutgoingPolicy | None = None
    ) -> None:
        """`policy`: where webhooks may be."""
        self._policy = policy or OutgoingPolicy()
        self._directory = directory
        self._secret_box = secret_box

    async def find(self, org_id: int) -> CodeWebhook | None:
        """The webhook of an organisation; None if it has none."""
        row = await self._directory.of(org_id).code_webhook.find()
        return None if row is None else self._webhook(org_id, row)

    async def exists(self, dataset_ref: DatasetRef) -> bool:
        """Whether an organisation has a webhook."""
        return await self._directory.of(dataset_ref.org_id).code_webhook.find() is not None

    async def put(
        self, dataset_ref: DatasetRef, url: str, secret: str | None = None
    ) -> tuple[CodeWebhook, bool]:
        """Set the webhook of an organisation, and whether its secret is a new one.

        `secret`: None: the secret that the webhook has, else a new one. Raises InvalidInput.
        """
        if problem := await outgoing_problem(url, self._policy):
            raise InvalidInput("url", f"The url {problem}.")
        if secret is not None:
            key_of(secret)
        org_id = dataset_ref.org_id
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(org_id)
            row = await tables.code_webhook.find()
            before = self._webhook(org_id, row) if row else None
            known = secret or (before.secret if before else None)
            webhook = CodeWebhook(url, known or new_secret(), time.time_ns() // 1000)
            encrypted = self._secret_box.encrypt(webhook.secret.encode(), purpose(org_id))
            await tables.code_webhook.put(CodeWebhookRow(url, encrypted, webhook.updated_at))
            changed = differences(_SUBJECT, {"url": before.url} if before else None, {"url": url})
            if before and before.secret != webhook.secret:
                changed.append(new_secret_of(_SUBJECT))
            await put_audited(tables, "code_webhook", changed)
        return webhook, known is None

    async def delete(self, dataset_ref: DatasetRef) -> bool:
        """Delete the webhook of an organisation; False if it had none."""
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            row = await tables.code_webhook.find()
            if row is not None:
                await tables.code_webhook.delete()
                await put_audited(tables, "code_webhook", differences(_SUBJECT, {"url": row.url}, None))
        return row is not None

    def _webhook(self, org_id: int, row: CodeWebhookRow) -> CodeWebhook:
        plain = self._secret_box.decrypt(row.secret_encrypted, purpose(org_id))
        return CodeWebhook(row.url, plain.decode(), row.updated_at)


class CodeCarrier:
    """Sends codes to the webhooks of their organisations."""

    def __init__(
        self, webhooks: CodeWebhooks, client: WebhookClient, *, retry_first_s: float = RETRY_FIRST_S
    ) -> None:
        self._webhooks = webhooks
        self._client = client
        self.retry_first_s = retry_first_s

    async def carry(self, delivery: DueDelivery, content: Content) -> bool:
        """As `Carrier.carry`."""
        assert isinstance(content, CodeMessage)
        webhook = await self._webhooks.find(delivery.org_id)
        if webhook is None:
            return False
        outgoing = OutgoingCode(
            delivery_id=str(delivery.delivery_id),
            organisation=delivery.handle,
            organisation_name=delivery.name,
            purpose=content.purpose,
            mobile=content.mobile,
            code=content.code,
            expires_at=delivery.expires_at,
            locale=content.locale,
        )
        await self._client.send(webhook.url, webhook.secret, outgoing)
        return True


def new_secret() -> str:
    """A secret for a webhook."""
    return secret_of(secrets.token_bytes(TOKEN_BYTES))


def purpose(org_id: int) -> str:
    """What the secret is encrypted for: a row copied to another organisation cannot be decrypted."""
    return f"code webhook of {org_id}"
