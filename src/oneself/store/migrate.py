"""The schema is what the files under `store/sql/migrations` say, applied in the order of their names.

Each file is one transaction together with its row in `oneself.migration`. One advisory lock lets many
processes start at once. A file that was applied must never change: a different content is refused.
"""

from __future__ import annotations

import hashlib
from importlib import resources

import asyncpg
import msgspec

from oneself.errors import UnsupportedDatabase
from oneself.store.database import SCHEMA, connect
from oneself.store.errors import translate_errors

# hash of "oneself.migrate", any constant of our own would do
LOCK_KEY = 7_310_032_661_448_020_333
SERVER_VERSION_MIN = 15

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
    """Bring the database up to date and name the files that were applied.

    Raises DatabaseRefused when the server is too old, or an applied file was edited or is unknown here.
    """
    connection = await connect(url)
    try:
        with translate_errors():
            _check_version(connection)
            await connection.execute("select pg_advisory_lock($1)", LOCK_KEY)
            return await _apply_pending(connection)
    finally:
        await connection.close()


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


def known() -> list[Migration]:
    """All migrations of this version, in order."""
    folder = resources.files("oneself.store").joinpath("sql", "migrations")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return [_read(entry.name, entry.read_text("utf-8")) for entry in files]


async def _apply_pending(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
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


async def _applied(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, str]:
    rows = await connection.fetch(f"select name, sha256 from {SCHEMA}.migration order by name")  # noqa: S608
    return {row["name"]: row["sha256"] for row in rows}


def _check_history(applied: dict[str, str]) -> None:
    ours = {migration.name: migration.sha256 for migration in known()}
    for name, sha256 in applied.items():
        if name not in ours:
            raise UnsupportedDatabase(f"The database has migration {name}, which this version does not know.")
        if ours[name] != sha256:
            raise UnsupportedDatabase(f"Migration {name} was applied with another content than it has now.")


def _check_version(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    major = connection.get_server_version().major
    if major < SERVER_VERSION_MIN:
        raise UnsupportedDatabase(
            f"The database server is PostgreSQL {major}; {SERVER_VERSION_MIN} or newer is needed."
        )


def _read(file_name: str, text: str) -> Migration:
    return Migration(file_name.removesuffix(".sql"), text, hashlib.sha256(text.encode()).hexdigest())
