"""Deletes what has expired, in every organisation: sessions, codes, tokens, idempotency keys, mails, links,
mobile codes.

An account whose address nobody has verified and to which nobody signs in expires as well. Its profile stays.

Invariants: nothing reads an expired row, so it does not matter when it is deleted, nor by which process.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from oneself.errors import OneselfError
from oneself.store.directory import Directory

_logger = structlog.get_logger("oneself.expired_rows")

SWEEP_S = 600.0
#: Longer than the life of any code or access token of a grant.
GRANT_LIFE_MIN_US = 24 * 3600 * 1_000_000
#: For so long, the page of a link can say that it expired.
LINKS_KEPT_US = 30 * 24 * 3600 * 1_000_000
#: An unproven account is unused if nobody has signed in to it for so long.
UNUSED_US = 180 * 24 * 3600 * 1_000_000


class ExpiredRowSweeper:
    """Deletes expired rows from time to time."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.sweep()
            except OneselfError as error:
                _logger.warning("sweep_interrupted", cause=type(error).__name__)
            await asyncio.sleep(SWEEP_S)

    async def sweep(self) -> int:
        """Delete what has expired. Returns the number of rows deleted."""
        now = time.time_ns() // 1000
        instants = now - GRANT_LIFE_MIN_US, now - LINKS_KEPT_US, now - UNUSED_US
        return await self._directory.expired.delete(now, *instants)
