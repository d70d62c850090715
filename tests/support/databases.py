"""Databases for tests: one server per run, one template with all migrations, clones of it in milliseconds.

The server is the embedded one, in a folder of this run that all xdist workers share; or, with
ONESELF_TEST_DATABASE_URL, any server whose role may create databases.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from oneself.store import migrate
from oneself.store.database import SCHEMA, Database
from oneself.store.embedded.server import Embedded

LOCK_KEY = 3_221_225_471


@contextmanager
def server(run_id: str) -> Iterator[str]:
    """The address of the server of this run, with a role that may create databases."""
    configured_url = os.environ.get("ONESELF_TEST_DATABASE_URL")
    if configured_url:
        yield configured_url
        return
    embedded = Embedded.attach(run_folder(run_id))
    try:
        yield embedded.url
    finally:
        embedded.stop()


def run_folder(run_id: str) -> Path:
    return Path(tempfile.gettempdir()) / f"oneself-test-{run_id}"


def remove_run_folder(run_id: str) -> None:
    shutil.rmtree(run_folder(run_id), ignore_errors=True)


class Databases:
    """Creates and drops databases on one server."""

    def __init__(self, server_url: str, run_id: str, owner: str) -> None:
        self._server_url = server_url
        self._template = f"oneself_template_{run_id}_{_version()}"
        self._prefix = f"oneself_test_{run_id}_{owner}_"
        self._names: list[str] = []

    async def clone(self) -> str:
        """A new database with all migrations applied and no rows. Returns its address."""
        await self._ensure_template()
        name = f"{self._prefix}{len(self._names)}"
        self._names.append(name)
        await self._execute(f"create database {name} template {self._template} strategy file_copy")
        return _with_database(self._server_url, name)

    async def empty_one(self) -> str:
        """An empty database, without migrations. Returns its address."""
        name = f"{self._prefix}{len(self._names)}"
        self._names.append(name)
        await self._execute(f"create database {name}")
        return _with_database(self._server_url, name)

    async def drop_all(self) -> None:
        for name in self._names:
            await self._execute(f"drop database if exists {name} with (force)")

    async def drop_template(self) -> None:
        await self._execute(f"drop database if exists {self._template} with (force)")

    async def _ensure_template(self) -> None:
        connection = await asyncpg.connect(self._server_url)
        try:
            await connection.execute("select pg_advisory_lock($1)", LOCK_KEY)
            find = "select 1 from pg_database where datname = $1"
            if await connection.fetchval(find, self._template):
                return
            draft = f"{self._template}_draft"
            await connection.execute(f"drop database if exists {draft} with (force)")
            await connection.execute(f"create database {draft}")
            await migrate.migrate(_with_database(self._server_url, draft))
            await connection.execute(f"alter database {draft} rename to {self._template}")
        finally:
            await connection.close()

    async def _execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self._server_url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


# Deleting from the few tables that have rows is ten times as fast as truncating all of them.
_EMPTY = f"""
do $$
declare
    entry record;
    has_rows boolean;
begin
    set local session_replication_role = replica;
    for entry in
        select tablename as name from pg_tables where schemaname = '{SCHEMA}' and tablename <> 'migration'
    loop
        execute format('select exists (select from %I)', entry.name) into has_rows;
        if has_rows then
            execute format('delete from %I', entry.name);
        end if;
    end loop;
    perform setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    from pg_sequences where schemaname = '{SCHEMA}' and last_value is not null;
end $$
"""


async def empty(database: Database) -> None:
    """Remove every row that a test may have left; sequences start again. The role must be a superuser."""
    await database.execute(_EMPTY)


async def disable_fsync(server_url: str) -> None:
    """Turn off fsync on the embedded server: test data need not survive a power cut."""
    if os.environ.get("ONESELF_TEST_DATABASE_URL"):
        return
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute("alter system set fsync = off")
        await connection.execute("select pg_reload_conf()")
    finally:
        await connection.close()


def _version() -> str:
    digests = "".join(migration.sha256 for migration in migrate.known())
    return hashlib.sha256(digests.encode()).hexdigest()[:12]


def _with_database(url: str, name: str) -> str:
    parts = urlsplit(url)
    assert re.fullmatch(r"[a-z0-9_]+", name)
    return urlunsplit(parts._replace(path=f"/{name}"))
