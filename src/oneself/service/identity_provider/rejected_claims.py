"""Reported claims that no attribute could take: counted by attribute and problem (wire/cds §12).

Law of this module: no value and no person is kept. Reports are counted in memory and written together, so
that an event never waits for it; what a killed process had counted in its last moments is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec
import structlog

from oneself.core.values.reported_claims import RejectedClaimValue
from oneself.service.context import DatasetRef
from oneself.store.database import Database
from oneself.store.queries import Queries

_sql = Queries("identity_server.sql")
_logger = structlog.get_logger("oneself.claims")

PATH_CHARS_MAX = 255
#: Different ones that are kept in mind; an identity server would have to invent claims to get here.
KINDS_MAX = 10_000


class RejectedClaim(msgspec.Struct, frozen=True):
    """An attribute that was reported `times` and not taken. Instants in µs since 1970."""

    path: str
    problem: str
    times: int
    first_at: int
    last_at: int


class RejectedClaims:
    """Counts and shows what was skipped."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: Counter[tuple[int, str, str]] = Counter()
        self._told: set[tuple[int, str, str]] = set()

    def count(self, dataset_ref: DatasetRef, skipped: Iterable[RejectedClaimValue]) -> None:
        """Remember what one report brought and nobody could take."""
        for each in skipped:
            path = each.path[:PATH_CHARS_MAX].encode("utf-8", "replace").decode().replace("\x00", "?")
            key = (dataset_ref.dataset_id, path, each.problem)
            if key not in self._told and len(self._told) < KINDS_MAX:
                # Once per process: most servers report claims with every user that nobody mapped.
                self._told.add(key)
                _logger.info("claim_skipped", organisation=dataset_ref.handle, attribute=path, problem=key[2])
            if key in self._waiting or len(self._waiting) < KINDS_MAX:
                self._waiting[key] += 1

    async def flush(self) -> None:
        """Write what was counted since the last time; raises Unavailable, and keeps it then."""
        taken, self._waiting = self._waiting, Counter()
        for dataset_id in sorted({key[0] for key in taken}):
            kinds = [key for key in taken if key[0] == dataset_id]
            times = [taken[key] for key in kinds]
            try:
                await self._database.execute(
                    _sql.put_skipped_claims, dataset_id, [k[1] for k in kinds], [k[2] for k in kinds], times
                )
            except BaseException:
                self._waiting.update(taken)
                raise
            for key in kinds:
                del taken[key]

    async def list(self, dataset_ref: DatasetRef) -> list[RejectedClaim]:
        """What was skipped, the latest first."""
        found = await self._database.fetch(_sql.find_skipped_claims, dataset_ref.dataset_id)
        return [RejectedClaim(**dict(row)) for row in found]
