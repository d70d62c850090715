"""Verify: fold the whole log again and compare with the live state (DESIGN §2).

Law of this module: one read-only transaction that sees one instant, scratch tables that vanish with their
connection, the same fold and the same statements as the write path. Writers go on meanwhile; nothing they
see is locked or changed.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import LogEntry
from oneself.core.fold.replay import replay, touches
from oneself.core.resolution.footprint import footprint_of
from oneself.service import configuration
from oneself.store import working_set
from oneself.store.database import connect
from oneself.store.log_reader import read_log
from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database

_sql = Queries("verify.sql")

#: The state that is derived from the log, in the order in which differences are most telling.
TABLES = ("config", "profile", "claim", "merge", "refusal")
_START = UUID(int=0)

Progress = Callable[[int, int], None]


class Difference(msgspec.Struct, frozen=True):
    """Where live and folded state differ first. `key`: of the row; `columns`: that differ, all if one side
    has no such row. Values are not told: they are personal."""

    table: str
    key: dict[str, Any]
    columns: tuple[str, ...]
    side: str

    def __str__(self) -> str:
        place = ", ".join(f"{name}={value}" for name, value in self.key.items())
        if self.side == "both":
            return f"{self.table} ({place}) differs in {', '.join(self.columns)}."
        return f"{self.table} ({place}) is only in the {self.side} state."


class VerifyReport(msgspec.Struct, frozen=True):
    """What a verification found. `entries`: of the log that were folded."""

    entries: int
    profiles: int
    difference: Difference | None


async def verify(database: "Database", progress: Progress) -> VerifyReport:
    """Fold every dataset's log in scratch tables and compare. Calls `progress(done, total)` as it goes.

    Raises replay.Diverged if an entry that was once accepted is refused now.
    """
    # A connection of its own: a statement prepared before the scratch tables stood would mean the live ones.
    connection = await connect(database.url)
    try:
        await connection.execute(_sql.begin_scratch)
        # Read only: PostgreSQL itself refuses every write but those to the scratch tables.
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _verify(connection, progress)
    finally:
        await connection.close()


async def _verify(connection: "Connection", progress: Progress) -> VerifyReport:
    sizes = await connection.fetch(_sql.find_sizes)
    total = sum(size["entries"] for size in sizes)
    done = 0
    for size in sizes:
        done = await fold_dataset(connection, size["dataset_id"], lambda n: progress(n, total), done)
    await connection.execute(_sql.begin_comparison)
    profiles = await connection.fetchval("SELECT count(*) FROM profile")
    return VerifyReport(done, profiles, await _first_difference(connection))


async def fold_dataset(
    connection: "Connection", dataset_id: int, progress: Callable[[int], None], done: int
) -> int:
    """Fold a dataset's log into the scratch tables; returns `done` plus the number of its entries."""
    config = Config()
    place: tuple[int, UUID] = (-1, _START)
    while entries := await read_log(connection, dataset_id, place):
        config = await _fold_chunk(connection, dataset_id, entries, config)
        place = entries[-1].seq, entries[-1].observation_id
        done += len(entries)
        progress(done)
    if config.version:
        await configuration.put(connection, dataset_id, config)
    return done


async def _fold_chunk(
    connection: "Connection", dataset_id: int, entries: list[LogEntry], config: Config
) -> Config:
    """Fold entries together up to each change of configuration: it decides what the next ones touch."""
    start = 0
    for end, entry in enumerate(entries, 1):
        if entry.kind == "configure" or end == len(entries):
            config = await _fold_run(connection, dataset_id, entries[start:end], config)
            start = end
    return config


async def _fold_run(
    connection: "Connection", dataset_id: int, entries: list[LogEntry], config: Config
) -> Config:
    touched = [touches(entry, config) for entry in entries]
    wanted = footprint_of(
        [
            (t.observation, t.evidence)
            for t in touched
            if t.observation is not None and t.evidence is not None
        ],
        config,
        profile_ids=frozenset[UUID]().union(*(t.profile_ids for t in touched)),
        before_seq=entries[0].seq if entries else 0,
    )
    state, _ = await working_set.gather(connection, dataset_id, wanted)
    for entry in entries:
        config = replay(state, entry, config)
    await working_set.save(connection, dataset_id, state)
    return config


async def _first_difference(connection: "Connection") -> Difference | None:
    for table in TABLES:
        if found := await _difference(connection, table):
            return found
    return None


async def _difference(connection: "Connection", table: str) -> Difference | None:
    """The first row by key that is not the same on both sides."""
    keys = [row["name"] for row in await connection.fetch(_sql.find_primary_key, table)]
    order = ", ".join(keys)
    # Names of our own tables and columns, never input.
    sql = f"""
        SELECT side, {order}, to_jsonb(found) - 'side' AS row FROM (
            (SELECT 'live' AS side, * FROM (TABLE oneself.{table} EXCEPT TABLE {table}) AS a)
            UNION ALL
            (SELECT 'folded' AS side, * FROM (TABLE {table} EXCEPT TABLE oneself.{table}) AS b)
        ) AS found ORDER BY {order}, side LIMIT 2
    """  # noqa: S608
    found = await connection.fetch(sql)
    if not found:
        return None
    rows = [row for row in found if all(row[key] == found[0][key] for key in keys)]
    key = {name: found[0][name] for name in keys}
    if len(rows) == 1:
        return Difference(table, key, (), rows[0]["side"])
    one, other = rows[0]["row"], rows[1]["row"]
    return Difference(table, key, tuple(name for name in one if one[name] != other[name]), "both")
