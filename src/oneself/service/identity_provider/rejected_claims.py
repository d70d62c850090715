"""Reported claim values that were rejected, counted by attribute and problem.

Invariants: neither values nor persons are stored. Counts are collected in memory and written together, so
that a report never waits for it; a killed process loses the counts of its last seconds. Source:
docs/wire/cds.md §12.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import structlog

from oneself.core.values.reported_claims import RejectedClaimValue
from oneself.service.context import DatasetRef
from oneself.store.database import Database
from oneself.store.tables.skipped_claim import RejectedClaim
from oneself.store.transaction import Tables

_logger = structlog.get_logger("oneself.claims")

PATH_CHARS_MAX = 255
#: Pairs of path and problem in memory; only a server that invents claims reaches it.
KINDS_MAX = 10_000


class RejectedClaims:
    """Counts and lists rejected claim values."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: Counter[tuple[int, str, str]] = Counter()
        self._logged: set[tuple[int, str, str]] = set()

    def count(self, dataset_ref: DatasetRef, rejected: Iterable[RejectedClaimValue]) -> None:
        """Count the values that one report brought and that were rejected."""
        for value in rejected:
            path = value.path[:PATH_CHARS_MAX].encode("utf-8", "replace").decode().replace("\x00", "?")
            key = (dataset_ref.dataset_id, path, value.problem)
            if key not in self._logged and len(self._logged) < KINDS_MAX:
                # Once per process: most servers report unmapped claims with every user.
                self._logged.add(key)
                _logger.info("claim_skipped", organisation=dataset_ref.handle, attribute=path, problem=key[2])
            if key in self._waiting or len(self._waiting) < KINDS_MAX:
                self._waiting[key] += 1

    async def flush(self) -> None:
        """Write the counts since the last time.

        Raises Unavailable; the counts are kept for the next time then.
        """
        waiting, self._waiting = self._waiting, Counter()
        for dataset_id in sorted({key[0] for key in waiting}):
            counts = {key[1:]: times for key, times in waiting.items() if key[0] == dataset_id}
            try:
                await Tables(self._database, dataset_id).rejected_claims.put(counts)
            except BaseException:
                self._waiting.update(waiting)
                raise
            for path, problem in counts:
                del waiting[dataset_id, path, problem]

    async def list(self, dataset_ref: DatasetRef) -> list[RejectedClaim]:
        """Every count, the latest first."""
        return await Tables(self._database, dataset_ref.dataset_id).rejected_claims.list()
