"""The schema is what the files under `store/sql/migrations` say, applied in the order of their names.

Each file is one transaction together with its row in `oneself.migration`. One advisory lock lets many
processes start at once. A file that was applied must never change: a different content is refused.

A migration that changes what the log folds to lists the datasets in `pending_rebuild`;
`service/setup/upgrade.py` rebuilds them under the same lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import resources
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from oneself.errors import UnsupportedDatabase
from oneself.store.database import SCHEMA, connect
from oneself.store.errors import translate_errors
from oneself.store.tables.pending_rebuild import PendingRebuildTable

if TYPE_CHECKING:
    from oneself.store.database import Connection

# hash of "oneself.migrate", any constant of our own would do
LOCK_KEY = 7_310_032_661_448_020_333
SERVER_VERSION_MIN = 15
# Most commands hold the lock for milliseconds; longer than this, it is an upgrade.
WAIT_UNREPORTED_S = 1.0

_BASE = f"""
create schema if not exists {SCHEMA};
create table if not exists {SCHEMA}.migration (
    name text constraint migration_key primary key,
    sha256 text not null,
    applied_at timestamptz not null default now()
);
"""


class Migration(msgspec.Struct, frozen=True):
    """One file: `name` such as `0001_directory`, its SQL and the digest of its text."""

    name: str
    sql: str
    sha256: str


async def migrate(url: str) -> list[str]:
    """Bring the schema up to date and name the files that were applied. Rebuilds no state.

    Raises as `migration_lock` and `apply_pending`.
    """
    async with migration_lock(url) as connection:
        return await apply_pending(connection)


@asynccontextmanager
async def migration_lock(url: str, on_wait: Callable[[], None] = lambda: None) -> AsyncIterator[Connection]:
    """A connection that holds the lock of migrations: one process at a time has it.

    Calls `on_wait` if another process holds it for more than WAIT_UNREPORTED_S.
    Raises UnsupportedDatabase when the server is too old.
    """
    connection = await connect(url)
    try:
        with translate_errors():
            _check_version(connection)
            await _lock(connection, on_wait)
            yield connection
    finally:
        await connection.close()


async def apply_pending(connection: Connection) -> list[str]:
    """Apply the pending files, in order, and name them. The connection holds the lock.

    Raises UnsupportedDatabase when an applied file was edited or is unknown here.
    """
    await connection.execute(_BASE)
    applied = await _applied(connection)
    _check_history(applied)
    todo = [migration for migration in known() if migration.name not in applied]
    for migration in todo:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                f"insert into {SCHEMA}.migration (name, sha256) values ($1, $2)",  # noqa: S608 constant
                migration.name,
                migration.sha256,
            )
    return [migration.name for migration in todo]


async def pending(url: str) -> list[str]:
    """The names of the files that `migrate` would apply."""
    connection = await connect(url)
    try:
        with translate_errors():
            if await connection.fetchval("select to_regclass($1)", f"{SCHEMA}.migration") is None:
                return [migration.name for migration in known()]
            applied = await _applied(connection)
            return [migration.name for migration in known() if migration.name not in applied]
    finally:
        await connection.close()


async def outdated_datasets(url: str) -> list[int]:
    """The datasets of an up-to-date schema that an upgrade would rebuild."""
    connection = await connect(url)
    try:
        with translate_errors():
            return await PendingRebuildTable(connection).list()
    finally:
        await connection.close()


def known() -> list[Migration]:
    """All migrations of this version, in order."""
    folder = resources.files("oneself.store").joinpath("sql", "migrations")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return [_read(entry.name, entry.read_text("utf-8")) for entry in files]


async def _lock(connection: Connection, on_wait: Callable[[], None]) -> None:
    lock = "select pg_advisory_lock($1)"
    try:
        await connection.execute(lock, LOCK_KEY, timeout=WAIT_UNREPORTED_S)
    except TimeoutError:
        on_wait()
        await connection.execute(lock, LOCK_KEY)


async def _applied(connection: Connection) -> dict[str, str]:
    rows = await connection.fetch(f"select name, sha256 from {SCHEMA}.migration order by name")  # noqa: S608
    return {row["name"]: row["sha256"] for row in rows}


def _check_history(applied: dict[str, str]) -> None:
    ours = {migration.name: migration.sha256 for migration in known()}
    for name, sha256 in applied.items():
        if name not in ours:
            raise UnsupportedDatabase(
                f"The database has the migration {name}, which is unknown. Use a newer version."
            )
        if ours[name] != sha256:
            raise UnsupportedDatabase(
                f"The migration {name} was applied with other content. Use the version that applied it."
            )


def _check_version(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    major = connection.get_server_version().major
    if major < SERVER_VERSION_MIN:
        raise UnsupportedDatabase(
            f"The database server is PostgreSQL {major}; {SERVER_VERSION_MIN} or newer is required."
        )


def _read(file_name: str, text: str) -> Migration:
    return Migration(file_name.removesuffix(".sql"), text, hashlib.sha256(text.encode()).hexdigest())
