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
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


class IdempotencyTable(Table):
    """The idempotency records of a dataset."""

    __slots__ = ()

    async def find(self, keys: Iterable[str]) -> dict[str, IdempotencyRecord]:
        """The records of keys, by key."""
        ordered = sorted(keys)
        found = await self._executor.fetch(_sql.find, self._dataset_id, ordered) if ordered else []
        return {
            row["key"]: IdempotencyRecord(
                key=row["key"],
                seq=row["seq"],
                profile_id=row["profile_id"],
                fingerprint=row["fingerprint"],
                status=row["status"],
                headers=tuple((name, value) for name, value in row["headers"] or ()),
                body=row["body"],
            )
            for row in found
        }

    async def put(self, records: Sequence[IdempotencyRecord]) -> None:
        """Insert records."""
        if records:
            values = (
                (r.key, r.seq, r.profile_id, r.fingerprint, r.status, rows.encode_json(r.headers), r.body)
                for r in records
            )
            await self._executor.execute(_sql.put, self._dataset_id, *rows.columns(7, values))

    async def blank_of_profiles(self, profile_ids: Sequence[UUID]) -> None:
        """Keep that requests about profiles were answered, but neither the requests nor the responses."""
        await self._executor.execute(_sql.blank_of_profiles, self._dataset_id, profile_ids)
