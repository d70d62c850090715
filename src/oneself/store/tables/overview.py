"""Numbers about a dataset as a whole, for the overview.

Invariants: statements of this table read indexes and tables from end to end, so they belong on a connection
for scans, in a transaction that ends them when they take too long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import msgspec

from oneself.core.units import MINUTE_US
from oneself.errors import Unavailable
from oneself.store.queries import Queries
from oneself.store.tables.table import Table, structs_of

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database

_sql = Queries("overview")


class MinuteCount(msgspec.Struct, frozen=True):
    """How many observations an interface brought in a minute. `minute`: minutes since 1970."""

    interface: str
    minute: int
    number: int


class LargeProfile(msgspec.Struct, frozen=True):
    """A profile that consists of many."""

    profile_id: UUID
    parts: int


class WidelySharedIdentifier(msgspec.Struct, frozen=True):
    """An identifier that many parts have, without its value; `fragment_id` is one of these parts."""

    namespace: str
    parts: int
    fragment_id: UUID


class FrequentRefusal(msgspec.Struct, frozen=True):
    """A code of refusals that occurred often, and the profile that it concerned last."""

    code: str
    number: int
    profile_id: UUID


class OverviewTable(Table):
    """Counts what a dataset has."""

    __slots__ = ()

    async def count_by_minute(self, since: int, limit: int) -> tuple[list[MinuteCount], int]:
        """The observations of each interface by the minute, of the newest `limit` entries since a seq.

        And the seq since which every entry is counted: `since` unless there are more entries.
        """
        found = await self._executor.fetch(_sql.count_by_minute, self._dataset_id, since, limit)
        earliest = await self._executor.fetchval(_sql.find_earliest, self._dataset_id, since, limit)
        complete = since if earliest is None else (earliest // MINUTE_US + 1) * MINUTE_US
        return structs_of(MinuteCount, found), complete

    async def count_profiles(self) -> dict[str, int]:
        """Kind of the profile, `identified`, `named` or `anonymous` → how many the view `all` has."""
        row = await self._executor.fetchrow(_sql.count_profiles, self._dataset_id)
        assert row is not None, "an aggregate has a row"
        return dict(row)

    async def count_sizes(self, large_min: int, limit: int) -> tuple[dict[int, int], list[LargeProfile]]:
        """Parts → how many profiles of the view `all` consist of so many.

        And the largest of those that consist of at least `large_min`, the largest first.
        """
        found = await self._executor.fetch(_sql.count_sizes, self._dataset_id, large_min, limit)
        large = [LargeProfile(item, row["parts"]) for row in found for item in row["large"] or ()]
        return {row["parts"]: row["number"] for row in found}, large[:limit]

    async def count_parts(self) -> tuple[int, int]:
        """How many parts there are, and how many profiles the view `proven` makes of them."""
        row = await self._executor.fetchrow(_sql.count_parts, self._dataset_id)
        assert row is not None, "an aggregate has a row"
        return row["parts"], row["proven"]

    async def count_merges(self) -> dict[str, int]:
        """Reason → how many profiles it merged into others."""
        found = await self._executor.fetch(_sql.count_merges, self._dataset_id)
        return {row["reason"]: row["number"] for row in found}

    async def find_shared(self, parts_min: int, limit: int) -> list[WidelySharedIdentifier]:
        """The identifiers that the most parts have."""
        found = await self._executor.fetch(_sql.find_shared, self._dataset_id, parts_min, limit)
        return structs_of(WidelySharedIdentifier, found)

    async def find_refused(self, times_min: int) -> list[FrequentRefusal]:
        """The codes of refusals that occurred so often."""
        found = await self._executor.fetch(_sql.find_refused, self._dataset_id, times_min)
        return structs_of(FrequentRefusal, found)


@asynccontextmanager
async def begin_counting(database: Database, statement_ms: int) -> AsyncIterator[Connection]:
    """A connection for scans, in a read-only transaction that sees one state.

    Raises Unavailable when a statement takes longer than `statement_ms`.
    """
    async with (
        database.scan() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(_sql.set_limits, str(statement_ms))
        try:
            yield connection
        except asyncpg.QueryCanceledError as error:
            raise Unavailable("Counting takes too long.") from error
