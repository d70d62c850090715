"""The table `attempt_count`: attempts, such as failed sign-ins, counted per subject."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, structs_of

_sql = Queries("attempt_count")


class AttemptRow(msgspec.Struct, frozen=True):
    """The attempts of a subject within its window."""

    #: A digest.
    subject: bytes
    attempts: int
    #: When the window ends, in µs since 1970.
    expires_at: int


class AttemptCountTable(OrganisationTable):
    """The attempts that an organisation counts."""

    __slots__ = ()

    async def put(self, subjects: Sequence[bytes], now: int, expires_at: int) -> list[AttemptRow]:
        """Count one more attempt of each subject, and return the counts.

        A window that begins now ends at `expires_at` (µs).
        """
        found = await self._executor.fetch(_sql.put, self._org_id, list(subjects), now, expires_at)
        return structs_of(AttemptRow, found)

    async def take_back(self, subjects: Sequence[bytes]) -> None:
        """Count one attempt less of each subject."""
        await self._executor.execute(_sql.take_back, self._org_id, list(subjects))

    async def list(self, subjects: Sequence[bytes], now: int) -> list[AttemptRow]:
        """The counts of these subjects whose window has not ended."""
        found = await self._executor.fetch(_sql.list, self._org_id, list(subjects), now)
        return structs_of(AttemptRow, found)

    async def delete(self, subject: bytes) -> None:
        """Delete the count of a subject."""
        await self._executor.execute(_sql.delete, self._org_id, subject)
