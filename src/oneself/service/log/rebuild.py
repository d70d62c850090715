"""Rebuild: put what the log folds to in the place of the live state (DESIGN §2).

Law of this module: one transaction for each dataset, which nobody writes to meanwhile; readers see the old
state until the new one is committed. Only rows that differ are touched. The log itself is never changed.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from oneself.service.log.verify import TABLES, Progress, fold_dataset
from oneself.store import rows
from oneself.store.database import connect
from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database

_sql = Queries("rebuild.sql")
_verify = Queries("verify.sql")
_config = Queries("config.sql")


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild did. `entries`: of the log that were folded; `corrected`: rows of the state, by table,
    that were not what the log folds to and are now."""

    entries: int
    profiles: int
    corrected: dict[str, int]


async def rebuild(database: "Database", progress: Progress) -> Rebuilt:
    """Fold every dataset's log and replace its state by the outcome. Calls `progress(done, total)`.

    Raises replay.Diverged if an entry that was once accepted is refused now; that dataset keeps its state.
    """
    # A connection of its own: the scratch tables stand before the live ones for every statement of it.
    connection = await connect(database.url)
    try:
        await connection.execute(_verify.begin_scratch)
        return await _rebuild(connection, progress)
    finally:
        await connection.close()


async def _rebuild(connection: "Connection", progress: Progress) -> Rebuilt:
    total = await connection.fetchval(_sql.find_entry_count)
    corrected = dict.fromkeys(TABLES, 0)
    done = 0
    for row in await connection.fetch(_sql.find_datasets):
        async with connection.transaction():
            done = await _rebuild_dataset(
                connection, row["dataset_id"], lambda n: progress(n, max(n, total)), done, corrected
            )
    profiles = await connection.fetchval("SELECT count(*) FROM oneself.profile")
    return Rebuilt(done, profiles, corrected)


async def _rebuild_dataset(
    connection: "Connection",
    dataset_id: int,
    progress: Callable[[int], None],
    done: int,
    corrected: dict[str, int],
) -> int:
    # Every batch and every erasure holds this lock shared: whoever writes waits until we have committed.
    await connection.execute(_config.lock_config, rows.config_hash(dataset_id))
    done = await fold_dataset(connection, dataset_id, progress, done)
    await connection.execute(_verify.begin_comparison)
    for table in TABLES:
        corrected[table] += await _replace(connection, table, dataset_id)
    return done


async def _replace(connection: "Connection", table: str, dataset_id: int) -> int:
    """Make the live rows of a dataset those of the scratch table; how many were not."""
    keys = [row["name"] for row in await connection.fetch(_verify.find_primary_key, table)]
    key = ", ".join(keys)
    # Names of our own tables and columns, never input.
    live = f"SELECT * FROM oneself.{table} WHERE dataset_id = $1"  # noqa: S608
    folded = f"SELECT * FROM {table} WHERE dataset_id = $1"  # noqa: S608
    wrong, right = f"({live} EXCEPT {folded})", f"({folded} EXCEPT {live})"
    sides = f"SELECT {key} FROM {wrong} AS a UNION SELECT {key} FROM {right} AS b"  # noqa: S608
    differing: int = await connection.fetchval(f"SELECT count(*) FROM ({sides}) AS rows", dataset_id)  # noqa: S608
    if differing:
        wrong_keys = f"SELECT {key} FROM {wrong} AS a"  # noqa: S608
        await connection.execute(f"DELETE FROM oneself.{table} WHERE ({key}) IN ({wrong_keys})", dataset_id)  # noqa: S608
        await connection.execute(f"INSERT INTO oneself.{table} {right}", dataset_id)
    return differing
