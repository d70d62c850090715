"""The profiles that a reindex job has yet to look at, in the order in which their values came.

With this order, a rule that is made later merges the same profiles, and the same one holds a contested value.

Invariants: a scratch table on a connection of its own, which vanishes with it; nothing that others see is
locked. Source: docs/concepts/resolution.md, rule 7.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.core.identity.identifier_source import IdentifierSource
from oneself.core.values.record import Record
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.reindex_job import LeasedJob

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database

_sql = Queries("reindex_queue", folder=".")
_identities = msgspec.json.Decoder(dict[str, tuple[str, ...]])


class IndexedProfile(msgspec.Struct, frozen=True):
    """A profile as a reindex job sees it: with what its survivor holds."""

    #: The age of its value, else its own.
    since: int
    profile_id: UUID
    survivor_id: UUID
    #: Of the survivor, in µs since 1970.
    created_at: int
    record: Record
    identities: dict[str, tuple[str, ...]]
    #: The survivor may hold a value of the job's source.
    is_concerned: bool

    @property
    def position(self) -> tuple[int, UUID]:
        """Where the job is when it has passed this profile."""
        return self.since, self.profile_id


class ReindexQueue:
    """The profiles of one job."""

    def __init__(self, connection: Connection, dataset_id: int) -> None:
        self._connection = connection
        self._dataset_id = dataset_id

    async def list_after(
        self, after: tuple[int, UUID], source: IdentifierSource, namespace: str, limit: int
    ) -> list[IndexedProfile]:
        """The next profiles after a position, for a job that indexes what `source` reads or what is in
        `namespace`."""
        found = await self._connection.fetch(
            _sql.list_after, self._dataset_id, *after, limit, source.scope, source.keys[0], namespace
        )
        return [
            IndexedProfile(
                row["since"],
                row["profile_id"],
                row["survivor_id"],
                row["created_at"],
                rows.read_record(row),
                _identities.decode(row["identities"]),
                row["is_concerned"],
            )
            for row in found
        ]


@asynccontextmanager
async def open_queue(
    database: Database, job: LeasedJob, source: IdentifierSource
) -> AsyncIterator[ReindexQueue]:
    """The profiles that a job has not passed, ordered by the age of what `source` reads."""
    leaves = [".".join(source.path[:depth]) for depth in range(1, len(source.path) + 1)]
    async with database.scan() as connection:
        await connection.execute(_sql.begin)
        await connection.execute(_sql.fill, job.dataset_id, *job.after, leaves, job.started_at)
        await connection.execute(_sql.plan_point_lookups)
        yield ReindexQueue(connection, job.dataset_id)
