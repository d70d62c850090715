"""Whether what an organisation needs works: the database, its keys, its mails.

Invariants: looking changes nothing, and waits at most ANSWER_S for the database.
"""

from __future__ import annotations

import asyncio
import time
from typing import Literal

import msgspec

from oneself.errors import OneselfError
from oneself.service.context import DatasetRef
from oneself.service.delivery.outbox import Outbox
from oneself.service.directory.signing_keys import SigningKeys
from oneself.service.events.token_keys import TokenKeys
from oneself.store.directory import Directory

ANSWER_S = 2.0
#: A database that takes longer to answer nothing slows every request down.
SLOW_MS = 50.0

Subject = Literal["Database", "Signing keys", "Token keys", "Mail"]


class HealthFinding(msgspec.Struct, frozen=True):
    """What was found of a subject, in a sentence, and whether that is as it should be."""

    subject: Subject
    is_good: bool
    sentence: str


class Health:
    """Looks at what an organisation needs."""

    def __init__(
        self, directory: Directory, signing_keys: SigningKeys, token_keys: TokenKeys, outbox: Outbox
    ) -> None:
        self._directory = directory
        self._signing_keys = signing_keys
        self._token_keys = token_keys
        self._outbox = outbox

    async def look(self, dataset_ref: DatasetRef) -> list[HealthFinding]:
        """What was found, a finding for each subject. If the database does not answer, that one alone."""
        began_s = time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_S):
                failing = await self._directory.of(dataset_ref.org_id).deliveries.count_failing(
                    "mail", time.time_ns() // 1000
                )
                took_ms = (time.perf_counter() - began_s) * 1000
                return [
                    HealthFinding("Database", took_ms < SLOW_MS, f"It answers in {took_ms:.1f} ms."),
                    await self._signing(dataset_ref),
                    await self._tokens(dataset_ref),
                    self._mail(failing),
                ]
        except TimeoutError:
            return [HealthFinding("Database", False, f"It did not answer within {ANSWER_S:.0f} seconds.")]

    async def _signing(self, dataset_ref: DatasetRef) -> HealthFinding:
        try:
            key_ring = await self._signing_keys.key_ring(dataset_ref)
            await self._signing_keys.signing_key(dataset_ref)
        except OneselfError as error:
            return HealthFinding("Signing keys", False, error.message)
        number = len(key_ring.public)
        return HealthFinding(
            "Signing keys",
            True,
            f"Tokens are signed. {number} key{'' if number == 1 else 's'} can verify them.",
        )

    async def _tokens(self, dataset_ref: DatasetRef) -> HealthFinding:
        if not await self._token_keys.list(dataset_ref):
            return HealthFinding("Token keys", True, "None is needed yet. The first event creates one.")
        try:
            await self._token_keys.key_ring(dataset_ref)
        except OneselfError as error:
            return HealthFinding("Token keys", False, error.message)
        return HealthFinding("Token keys", True, "Persisted tokens of browsers can be read.")

    def _mail(self, failing: int) -> HealthFinding:
        if self._outbox.is_visible:
            return HealthFinding(
                "Mail", False, "No mail server is set up, so mails stay in the development outbox. "
                "Set ONESELF_SMTP_URL.",
            )  # fmt: skip
        if failing:
            return HealthFinding(
                "Mail", False, f"{failing} mail{'' if failing == 1 else 's'} could not be sent yet."
            )
        return HealthFinding("Mail", True, "No mail waits for another attempt.")
