"""The table `idempotency_record`: the first response to each request or event that may be repeated.

Source: docs/concepts/log-and-fold.md, exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("idempotency_record")


class IdempotencyRecord(msgspec.Struct, frozen=True):
    """The first response to a request or event."""

    key: str
    #: Of the log entry that the request made.
    seq: int
    profile_id: UUID
    #: Distinguishes a repeat of the request from another request with the same key; empty after an erasure.
    fingerprint: str
    #: As the interface wrote it; the store does not read it. None if a repeat gets none.
    response: bytes | None = None
    #: In µs since 1970; None: never.
    expires_at: int | None = None


class IdempotencyTable(Table):
    """The idempotency records of a dataset."""

    __slots__ = ()

    async def find(self, keys: Iterable[str]) -> dict[str, IdempotencyRecord]:
        """The records of keys that have not expired, by key."""
        ordered = sorted(keys)
        found = await self._executor.fetch(_sql.find, self._dataset_id, ordered) if ordered else []
        return {row["key"]: IdempotencyRecord(*row.values()) for row in found}

    async def put(self, records: Sequence[IdempotencyRecord]) -> None:
        """Insert records, in place of those that have expired."""
        if records:
            columns = rows.columns(6, map(msgspec.structs.astuple, records))
            stored = await self._executor.fetch(_sql.put, self._dataset_id, *columns)
            assert len(stored) == len(records), "keys are locked before they are looked up"

    async def blank_of_profiles(self, profile_ids: Sequence[UUID]) -> None:
        """Keep that requests about profiles were answered, but neither the requests nor the responses."""
        await self._executor.execute(_sql.blank_of_profiles, self._dataset_id, profile_ids)
