"""Failed authentications, counted per account, address and client.

Invariants: only failures count, so a user with the right password never waits. Counts are stored in the
database, so all processes share them. The next success clears an account's count. The limit of an account is
low because passwords are guessed one account at a time; the limit of an address is higher because an office
shares one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.store.directory import Directory

Kind = Literal["account", "address", "client"]
#: Failures in a window. `client`: an application at one address, so guesses elsewhere do not delay it.
FAILURES_MAX: Mapping[str, int] = {"account": 10, "address": 100, "client": 20}
WINDOW_S: Mapping[Kind, int] = {"account": 900, "address": 900, "client": 600}

Subject = tuple[Kind, str]


class LoginThrottle:
    """Tells when the next attempt is allowed, and counts failures."""

    def __init__(self, directory: Directory, secret_box: SecretBox) -> None:
        self._directory = directory
        self._secret_box = secret_box

    async def retry_after_s(self, dataset_ref: DatasetRef, *subjects: Subject) -> int:
        """Seconds until the next attempt on all of these is allowed; 0 for now."""
        now = time.time_ns() // 1000
        limits = {self._key(subject): FAILURES_MAX[subject[0]] for subject in subjects}
        rows = await self._directory.of(dataset_ref.org_id).login_failures.list(list(limits), now)
        waits = [row.expires_at - now for row in rows if row.failures >= limits[row.subject]]
        return -(-max(waits) // 1_000_000) if waits else 0

    async def record_failure(self, dataset_ref: DatasetRef, *subjects: Subject) -> None:
        """Count one more failure of each of these."""
        failures = self._directory.of(dataset_ref.org_id).login_failures
        now = time.time_ns() // 1000
        for window_s in sorted({WINDOW_S[kind] for kind, _ in subjects}):
            keys = [self._key(subject) for subject in subjects if WINDOW_S[subject[0]] == window_s]
            await failures.put(keys, now, now + window_s * 1_000_000)

    async def record_success(self, dataset_ref: DatasetRef, subject: Subject) -> None:
        """Clear the count of an account; that of the address stays."""
        await self._directory.of(dataset_ref.org_id).login_failures.delete(self._key(subject))

    def _key(self, subject: Subject) -> bytes:
        return self._secret_box.keyed_digest("attempt", *subject)
