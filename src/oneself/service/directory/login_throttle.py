"""Failed attempts to prove who one is, counted per account and per address (DESIGN §10).

Law of this module: only failures count, so a person who types well is never held up; a count lives in the
database, so that many processes share it; an account's count is cleared by the next success. The limit on
accounts is low because passwords are guessed one account at a time; the one on addresses is higher because
an office or a school shares one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.store.directory import Directory

Kind = Literal["account", "address", "client"]
# `client`: an application at one address. Whoever has the secret is not held up by others who guess.
FAILURES_MAX: Mapping[str, int] = {"account": 10, "address": 100, "client": 20}
WINDOW_S: Mapping[Kind, int] = {"account": 900, "address": 900, "client": 600}

Subject = tuple[Kind, str]


class LoginThrottle:
    """Asks whether another attempt may be made, and counts those that failed."""

    def __init__(self, directory: Directory, vault: SecretBox) -> None:
        self._directory = directory
        self._vault = vault

    async def retry_after_s(self, dataset_ref: DatasetRef, *subjects: Subject) -> int:
        """Seconds until another attempt may be made on all of these, 0 for at once."""
        now = time.time_ns() // 1000
        limits = {self._key(subject): FAILURES_MAX[subject[0]] for subject in subjects}
        rows = await self._directory.list_failures(dataset_ref.org_id, list(limits), now)
        waits = [row["expires_at"] - now for row in rows if row["failures"] >= limits[row["subject"]]]
        return -(-max(waits) // 1_000_000) if waits else 0

    async def failed(self, dataset_ref: DatasetRef, *subjects: Subject) -> None:
        """Count a failure against each of these."""
        now = time.time_ns() // 1000
        for window_s in sorted({WINDOW_S[kind] for kind, _ in subjects}):
            keys = [self._key(subject) for subject in subjects if WINDOW_S[subject[0]] == window_s]
            await self._directory.put_failures(dataset_ref.org_id, keys, now, now + window_s * 1_000_000)

    async def succeeded(self, dataset_ref: DatasetRef, subject: Subject) -> None:
        """Forget the failures of one account; an address keeps its own."""
        await self._directory.delete_failures(dataset_ref.org_id, self._key(subject))

    def _key(self, subject: Subject) -> bytes:
        return self._vault.keyed_digest("attempt", *subject)
