"""Failed attempts to prove who one is, counted per account and per address (DESIGN §10).

Law of this module: only failures count, so a person who types well is never held up; a count lives in the
database, so that many processes share it; an account's count is cleared by the next success. The limit on
accounts is low because passwords are guessed one account at a time; the one on addresses is higher because
an office or a school shares one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from oneself.service.organisations import Tenant
from oneself.service.secrets import Vault
from oneself.store.directory import Directory

WINDOW_S = 900
FAILURES_PER_ACCOUNT_MAX = 10
FAILURES_PER_ADDRESS_MAX = 100
LIMITS: Mapping[str, int] = {"account": FAILURES_PER_ACCOUNT_MAX, "address": FAILURES_PER_ADDRESS_MAX}


class Attempt(msgspec.Struct, frozen=True):
    """Who is being tried, and from where. `name` is normalised by the caller."""

    name: str
    address: str


class Attempts:
    """Asks whether another attempt may be made, and counts those that failed."""

    def __init__(self, directory: Directory, vault: Vault) -> None:
        self._directory = directory
        self._vault = vault

    async def wait_s(self, tenant: Tenant, attempt: Attempt) -> int:
        """Seconds until the attempt may be made, 0 for at once."""
        now = time.time_ns() // 1000
        limits = {self._subject(kind, attempt): limit for kind, limit in LIMITS.items()}
        rows = await self._directory.list_failures(tenant.org_id, list(limits), now)
        waits = [row["expires_at"] - now for row in rows if row["failures"] >= limits[row["subject"]]]
        return -(-max(waits) // 1_000_000) if waits else 0

    async def failed(self, tenant: Tenant, attempt: Attempt) -> None:
        """Count a failure against the account and against the address."""
        now = time.time_ns() // 1000
        subjects = [self._subject(kind, attempt) for kind in LIMITS]
        await self._directory.put_failures(tenant.org_id, subjects, now, now + WINDOW_S * 1_000_000)

    async def succeeded(self, tenant: Tenant, attempt: Attempt) -> None:
        """Forget the account's failures; the address keeps its own."""
        await self._directory.delete_failures(tenant.org_id, self._subject("account", attempt))

    def _subject(self, kind: str, attempt: Attempt) -> bytes:
        value = attempt.name if kind == "account" else attempt.address
        return self._vault.keyed_digest("attempt", kind, value)
