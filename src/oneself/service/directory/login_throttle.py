"""Failed authentications, counted per account, address and client.

Invariants: only failures count, so a user with the right password never waits. Counts are stored in the
database, so all processes share them. The next success clears an account's count. The limit of an account is
low because passwords are guessed one account at a time; the limit of an address is higher because an office
shares one.
"""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.store.directory import Directory

Kind = Literal["account", "address", "client"]
Subject = tuple[Kind, str]


class FailureLimit(msgspec.Struct, frozen=True):
    """How many failures there may be in a window of time."""

    failures_max: int
    window_s: int


class LoginLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limit of each kind of subject."""

    account: FailureLimit = FailureLimit(10, 900)
    address: FailureLimit = FailureLimit(100, 900)
    #: An application at one address, so guesses elsewhere do not delay it.
    client: FailureLimit = FailureLimit(20, 600)

    def of(self, kind: Kind) -> FailureLimit:
        """The limit of one kind."""
        return {"account": self.account, "address": self.address, "client": self.client}[kind]


class LoginThrottle:
    """Tells when the next attempt is allowed, and counts failures."""

    def __init__(
        self, directory: Directory, secret_box: SecretBox, limits: LoginLimits | None = None
    ) -> None:
        self._directory = directory
        self._secret_box = secret_box
        self._limits = limits or LoginLimits()

    async def retry_after_s(self, dataset_ref: DatasetRef, *subjects: Subject) -> int:
        """Seconds until the next attempt on all of these is allowed; 0 for now."""
        now = time.time_ns() // 1000
        limits = {self._key(subject): self._limits.of(subject[0]).failures_max for subject in subjects}
        rows = await self._directory.of(dataset_ref.org_id).login_failures.list(list(limits), now)
        waits = [row.expires_at - now for row in rows if row.failures >= limits[row.subject]]
        return -(-max(waits) // 1_000_000) if waits else 0

    async def record_failure(self, dataset_ref: DatasetRef, *subjects: Subject) -> None:
        """Count one more failure of each of these."""
        failures = self._directory.of(dataset_ref.org_id).login_failures
        now = time.time_ns() // 1000
        windows = {self._key(subject): self._limits.of(subject[0]).window_s for subject in subjects}
        for window_s in sorted(set(windows.values())):
            keys = [key for key, its_window_s in windows.items() if its_window_s == window_s]
            await failures.put(keys, now, now + window_s * 1_000_000)

    async def record_success(self, dataset_ref: DatasetRef, subject: Subject) -> None:
        """Clear the count of an account; that of the address stays."""
        await self._directory.of(dataset_ref.org_id).login_failures.delete(self._key(subject))

    def _key(self, subject: Subject) -> bytes:
        return self._secret_box.keyed_digest("attempt", *subject)
