"""Scratch tables beside the live ones: the log is folded into them, then they are compared with the live
state or put in its place.

Invariants: the scratch tables belong to one connection, which meets them before the live ones in every
statement, and vanish with it. Names of tables and columns that are put into statements here come from this
module and from the catalog, never from outside.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from oneself.core.identity_graph.joins import VIEWS
from oneself.store.change_recorder import ChangeRecorder, rebuilt
from oneself.store.queries import Queries
from oneself.store.tables.pending_rebuild import PendingRebuildTable
from oneself.store.transaction import Transaction

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database

_sql = Queries("shadow", folder=".")

#: A rebuild records the changes of so many ids in a view.
CHANGES_RECORDED_MAX = 10_000
#: A view of two columns of the log that are derived, unlike all others of it.
ENTRIES = "fragment_entry"
#: Table → a column of JSON that is stored as text, because no statement of the write path looks inside.
_JSON_AS_TEXT = {"fragment": "state"}
#: The state that is derived from the log, in the order in which differences say most.
TABLES = (
    "config",
    "profile",
    "claim",
    "merge",
    "refusal",
    "fragment",
    "fragment_claim",
    ENTRIES,
    "browser",
    "verified_claim",
    "identifier_transfer",
    "person_join",
    "separation",
    "view_profile",
)


class Difference(msgspec.Struct, frozen=True):
    """The first difference between the live and the folded state. Values are not in it: they are personal."""

    table: str
    #: Key columns of the row.
    key: dict[str, Any]
    #: Columns that differ; empty if one side has no such row.
    columns: tuple[str, ...]
    #: `live`, `folded` or `both`.
    side: str

    def __str__(self) -> str:
        row = ", ".join(f"{name}={value}" for name, value in self.key.items())
        if self.side == "both":
            return f"{self.table} ({row}) differs in {', '.join(self.columns)}."
        return f"{self.table} ({row}) is only in the {self.side} state."


class Shadow:
    """A connection whose statements read and write scratch tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """One instant of all datasets. PostgreSQL refuses every write but those to the scratch tables."""
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            await self._connection.execute(_sql.plan_point_lookups)
            yield

    @asynccontextmanager
    async def replacing(self) -> AsyncIterator[None]:
        """A transaction that may change the live tables."""
        async with self._connection.transaction():
            await self._connection.execute(_sql.plan_point_lookups)
            yield

    def dataset(self, dataset_id: int) -> Transaction:
        """The scratch tables of a dataset; its log is the live one."""
        return Transaction(self._connection, dataset_id)

    @property
    def pending_rebuilds(self) -> PendingRebuildTable:
        """The datasets whose state is outdated: a live table, which no scratch table hides."""
        return PendingRebuildTable(self._connection)

    async def find_sizes(self) -> dict[int, int]:
        """Dataset → entries of its log, in the order of the datasets."""
        found = await self._connection.fetch(_sql.find_sizes)
        return {row["dataset_id"]: row["entries"] for row in found}

    async def find_datasets(self) -> list[int]:
        """Every dataset that has a log or a state, in order."""
        return [row["dataset_id"] for row in await self._connection.fetch(_sql.find_datasets)]

    async def count_entries(self, dataset_ids: list[int]) -> int:
        """The number of entries in the logs of some datasets."""
        count: int = await self._connection.fetchval(_sql.count_entries, dataset_ids)
        return count

    async def count_profiles(self) -> int:
        """The number of folded profiles, absorbed and erased ones included."""
        count: int = await self._connection.fetchval(_sql.count_profiles)
        return count

    async def begin_comparison(self) -> None:
        """Call this when the scratch tables are full, in the transaction that compares them."""
        await self._connection.execute(_sql.plan_scans)

    async def find_difference(self) -> Difference | None:
        """The first difference of any dataset; None if both states are equal."""
        for table in TABLES:
            if found := await self._find_difference(table):
                return found
        return None

    async def replace(self, table: str, dataset_id: int) -> int:
        """Make the live rows of a dataset those of the scratch table; returns how many differed."""
        if table == ENTRIES:
            return len(await self._connection.fetch(_sql.replace_entries, dataset_id))
        keys = await self._key(table)
        key, differing = ", ".join(keys), _differing(table, keys, "WHERE dataset_id = $1")
        count: int = await self._connection.fetchval(f"SELECT count(*) {differing}", dataset_id)
        if count:
            delete = f"DELETE FROM oneself.{table} WHERE ({key}) IN (SELECT {key} {differing})"  # noqa: S608
            await self._connection.execute(delete, dataset_id)
            missing = f"SELECT folded.* {differing} AND live.dataset_id IS NULL"
            await self._connection.execute(f"INSERT INTO oneself.{table} {missing}", dataset_id)
        return count

    async def record_changes(self, dataset_id: int, ids_max: int) -> None:
        """Record how the profiles of each view differ in the folded state, for those who follow.

        If more than `ids_max` ids differ, whoever follows has to begin anew.
        """
        recorder, table = ChangeRecorder({}, uuid.uuid4()), self.dataset(dataset_id).profile_changes
        for view in VIEWS:
            found = await self._connection.fetch(_sql.find_differing, dataset_id, view, ids_max + 1)
            if len(found) > ids_max:
                await table.put_floor()
                return
            recorder.compare_rebuilt(view, [rebuilt(row) for row in found])
        await recorder.put(self.dataset(dataset_id))

    async def _find_difference(self, table: str) -> Difference | None:
        """The first row by key that is not the same on both sides."""
        keys = await self._key(table)
        order = ", ".join(keys)
        # The first column of every table is the dataset, which is never null.
        sql = f"""
            SELECT {order}, CASE WHEN live.dataset_id IS NOT NULL THEN to_jsonb(live) END AS live,
                   CASE WHEN folded.dataset_id IS NOT NULL THEN to_jsonb(folded) END AS folded
            {_differing(table, keys)}
            ORDER BY {order} LIMIT 1
        """
        found = await self._connection.fetchrow(sql)
        if found is None:
            return None
        key = {name: found[name] for name in keys}
        live, folded = found["live"], found["folded"]
        if live is None or folded is None:
            return Difference(table, key, (), "live" if folded is None else "folded")
        return Difference(table, key, tuple(name for name in live if live[name] != folded[name]), "both")

    async def _key(self, table: str) -> list[str]:
        if table == ENTRIES:
            return ["dataset_id", "seq", "observation_id"]
        return [row["name"] for row in await self._connection.fetch(_sql.find_primary_key, table)]


def _differing(table: str, keys: list[str], where: str = "") -> str:
    """The rows of a live table and its scratch table that are not the same: the end of a statement."""
    differs = "ROW(live.*) IS DISTINCT FROM ROW(folded.*)"
    if column := _JSON_AS_TEXT.get(table):
        # Earlier versions wrote the same JSON with other spaces, and its fields in another order.
        live, folded = (
            f"to_jsonb({side}) || jsonb_build_object('{column}', {side}.{column}::jsonb)"
            for side in ("live", "folded")
        )
        differs += f" AND {live} IS DISTINCT FROM {folded}"
    return (
        f"FROM (SELECT * FROM oneself.{table} {where}) AS live "  # noqa: S608
        f"FULL JOIN (SELECT * FROM {table} {where}) AS folded USING ({', '.join(keys)}) WHERE {differs}"
    )


@asynccontextmanager
async def open_shadow(database: Database) -> AsyncIterator[Shadow]:
    """Scratch tables on a connection of their own: a statement that was prepared before they existed would
    mean
    the live tables."""
    async with database.scan() as connection:
        await connection.execute(f"{_sql.begin_scratch}; {_sql.begin_entries}")
        yield Shadow(connection)
