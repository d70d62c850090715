"""Attempts, counted per account, device, address, client and recipient: failed sign-ins, mails and codes.

Invariants: counts are stored in the database, so all processes share them. A sign-in is counted before its
password is compared, so that attempts that arrive together are counted too, and given back if it succeeds.
The next success clears the count of an account, unless others have its username. The limit of an
account is low because passwords are guessed one account at a time; the limit of an address is higher because
an office shares one. A browser that has signed in to an account before has a count of its own, so that
strangers who guess lock nobody out (`web.known_browser`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import msgspec

from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.store.directory import Directory
from oneself.store.tables.attempt_count import AttemptRow

Kind = Literal[
    "account", "device", "address", "client", "registration", "recipient", "mail_sender", "organisation",
    "code_number", "code_account", "code_network", "code_organisation",
]  # fmt: skip
Subject = tuple[Kind, str]


class AttemptLimit(msgspec.Struct, frozen=True):
    """How many attempts there may be in a window of time."""

    attempts_max: int
    window_s: int


class ThrottleLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limit of each kind of subject."""

    #: Failed sign-ins to an account, of browsers that have not signed in to it before.
    account: AttemptLimit = AttemptLimit(10, 900)
    #: Failed sign-ins of a browser that has signed in to the account before.
    device: AttemptLimit = AttemptLimit(10, 900)
    #: Failed sign-ins from an address.
    address: AttemptLimit = AttemptLimit(100, 900)
    #: Wrong secrets of an application at one address, so guesses elsewhere do not delay it.
    client: AttemptLimit = AttemptLimit(20, 600)
    #: Accounts that a network creates.
    registration: AttemptLimit = AttemptLimit(100, 3_600)
    #: Mails for one purpose to an address.
    recipient: AttemptLimit = AttemptLimit(6, 3_600)
    #: Mails that a network asks for.
    mail_sender: AttemptLimit = AttemptLimit(30, 3_600)
    #: Mails of an organisation that anybody asks for.
    organisation: AttemptLimit = AttemptLimit(10_000, 3_600)

    #: Codes to a mobile number, apart for accounts that have proved their address, as the next two.
    code_number: AttemptLimit = AttemptLimit(6, 3_600)
    #: Codes that a network asks for.
    code_network: AttemptLimit = AttemptLimit(30, 3_600)
    #: Codes of an organisation.
    code_organisation: AttemptLimit = AttemptLimit(1_000, 3_600)
    #: Codes that an account asks for: fewer than a number gets, so one account uses up no number.
    code_account: AttemptLimit = AttemptLimit(4, 3_600)

    def of(self, kind: Kind) -> AttemptLimit:
        """The limit of one kind."""
        limit: AttemptLimit = getattr(self, kind)
        return limit


class Throttle:
    """Tells when the next attempt is allowed, and counts attempts."""

    def __init__(
        self, directory: Directory, secret_box: SecretBox, limits: ThrottleLimits | None = None
    ) -> None:
        self._directory = directory
        self._secret_box = secret_box
        self._limits = limits or ThrottleLimits()

    async def retry_after_s(self, dataset_ref: DatasetRef, *subjects: Subject) -> int:
        """Seconds until the next attempt on all of these is allowed; 0 for now."""
        now = time.time_ns() // 1000
        limits = {self._key(subject): self._limits.of(subject[0]).attempts_max for subject in subjects}
        rows = await self._directory.of(dataset_ref.org_id).attempt_counts.list(list(limits), now)
        waits = [row.expires_at - now for row in rows if row.attempts >= limits[row.subject]]
        return -(-max(waits) // 1_000_000) if waits else 0

    async def acquire(self, dataset_ref: DatasetRef, *subjects: Subject) -> int:
        """Count one more attempt of each of these. Returns 0 if it is allowed, else the seconds to wait."""
        now = time.time_ns() // 1000
        limits = {self._key(subject): self._limits.of(subject[0]).attempts_max for subject in subjects}
        rows = await self._count(dataset_ref, subjects, now)
        waits = [row.expires_at - now for row in rows if row.attempts > limits[row.subject]]
        return max(1, -(-max(waits) // 1_000_000)) if waits else 0

    async def acquire_together(self, dataset_ref: DatasetRef, *subjects: Subject) -> int:
        """As `acquire`; an attempt that is not allowed uses up nothing of what others may do."""
        wait_s = await self.acquire(dataset_ref, *subjects)
        if wait_s:
            await self.give_back(dataset_ref, *subjects)
        return wait_s

    async def give_back(self, dataset_ref: DatasetRef, *subjects: Subject) -> None:
        """Count one attempt less of each of these: it succeeded."""
        keys = [self._key(subject) for subject in subjects]
        await self._directory.of(dataset_ref.org_id).attempt_counts.take_back(keys)

    async def record(self, dataset_ref: DatasetRef, *subjects: Subject) -> None:
        """Count one more attempt of each of these."""
        await self._count(dataset_ref, subjects, time.time_ns() // 1000)

    async def clear(self, dataset_ref: DatasetRef, subject: Subject) -> None:
        """Clear the count of an account or device; that of the address stays."""
        await self._directory.of(dataset_ref.org_id).attempt_counts.delete(self._key(subject))

    async def _count(
        self, dataset_ref: DatasetRef, subjects: Sequence[Subject], now: int
    ) -> list[AttemptRow]:
        counts = self._directory.of(dataset_ref.org_id).attempt_counts
        windows = {self._key(subject): self._limits.of(subject[0]).window_s for subject in subjects}
        rows: list[AttemptRow] = []
        for window_s in sorted(set(windows.values())):
            keys = [key for key, its_window_s in windows.items() if its_window_s == window_s]
            rows += await counts.put(keys, now, now + window_s * 1_000_000)
        return rows

    def _key(self, subject: Subject) -> bytes:
        return self._secret_box.keyed_digest("attempt", *subject)
