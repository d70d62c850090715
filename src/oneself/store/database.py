"""Connections. Knows PostgreSQL, nothing of the domain.

Every connection reads and writes
* `timestamptz` as an int of microseconds since 1970 UTC,
* `jsonb` and `json` as decoded objects (dict, list, str, int, float, bool, None),
* names without schema in the schema `oneself`.

Serialization failures and connection errors are raised as `errors.Contended` and `errors.Unavailable`. Other
database errors pass unchanged, constraint violations among them (`store.errors.constraint_of` names them).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from oneself.errors import Unavailable, UnsupportedDatabase
from oneself.store.errors import classify, translate_errors

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

SCHEMA = "oneself"
# PostgreSQL counts microseconds from 2000-01-01 UTC.
POSTGRES_EPOCH_US = 946_684_800_000_000
# The first byte of binary jsonb, which COPY needs.
JSONB_VERSION = b"\x01"
CONNECT_TIMEOUT_S = 10
REACH_POLL_S = 0.2

#: What every connection is started with.
SERVER_SETTINGS = {
    "search_path": SCHEMA,
    "application_name": "oneself",
    "timezone": "UTC",
    # Short statements in great number: compiling them costs more than it saves.
    "jit": "off",
    # A client that vanished in the middle of a transaction must not hold its locks for long.
    "idle_in_transaction_session_timeout": "60s",
}
#: How the server plans a request: every statement finds its rows by a key. Without statistics (a fresh
#: database, scratch tables), the planner would scan a small table, keep that plan, and still scan when the
#: table has grown.
POINT_LOOKUPS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
#: How it plans work on whole datasets, where scans, sorts and hash joins are right: by its defaults.
DATASET_SCANS: dict[str, str] = {}


class Database:
    """A pool of connections to one database."""

    def __init__(self, url: str, pool: Pool) -> None:
        self.url = url
        self.pool = pool
        #: Dataset → the instant, by the monotonic clock in s, at which it had no wide lock (see `wide_lock`).
        self.free_since_s: dict[int, float] = {}

    @classmethod
    async def open(cls, url: str, *, min_size: int = 1, max_size: int = 10) -> Database:
        """Connect.

        Raises Unavailable when the server does not answer within CONNECT_TIMEOUT_S, UnsupportedDatabase when
        it refuses the connection.
        """
        with translate_errors(), _refusals():
            pool = await asyncpg.create_pool(
                url,
                min_size=min_size,
                max_size=max_size,
                init=_prepare,
                reset=_no_reset,
                timeout=CONNECT_TIMEOUT_S,
                server_settings=SERVER_SETTINGS | POINT_LOOKUPS,
            )
        return cls(url, pool)

    async def close(self) -> None:
        await self.pool.close()

    async def __aenter__(self) -> Database:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection, each statement its own transaction."""
        with translate_errors():
            async with self.pool.acquire() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self, first: str | None = None) -> AsyncIterator[Connection]:
        """One READ COMMITTED transaction: commits at the end, rolls back when anything is raised.

        `first`: a statement without parameters that is sent together with BEGIN.
        """
        with translate_errors():
            async with self.pool.acquire() as connection:
                begun = connection.transaction() if first is None else begun_with(connection, first)
                async with begun:
                    yield connection

    @asynccontextmanager
    async def scan(self) -> AsyncIterator[Connection]:
        """A connection of its own for work on whole datasets, planned as DATASET_SCANS says."""
        connection = await connect(self.url, DATASET_SCANS)
        try:
            with translate_errors():
                yield connection
        finally:
            await connection.close()

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        async with self.connection() as connection:
            return await connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> str:
        async with self.connection() as connection:
            return await connection.execute(sql, *args)

    async def executemany(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        async with self.connection() as connection:
            await connection.executemany(sql, rows)


class ConnectionDatabase(Database):
    """One connection, as services use a database: one thing at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.free_since_s = {}

    async def close(self) -> None:
        """Nothing: whoever opened the connection closes it."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        with translate_errors():
            yield self._connection

    @asynccontextmanager
    async def transaction(self, first: str | None = None) -> AsyncIterator[Connection]:
        with translate_errors():
            connection = self._connection
            async with connection.transaction() if first is None else begun_with(connection, first):
                yield connection

    @asynccontextmanager
    async def scan(self) -> AsyncIterator[Connection]:
        with translate_errors():
            yield self._connection


@asynccontextmanager
async def begun_with(connection: Connection, first: str) -> AsyncIterator[None]:
    """A transaction like that of the driver, which sends BEGIN alone. It cannot be nested."""
    try:
        await connection.execute(f"BEGIN; {first}")
        yield
    except BaseException:
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")
        raise
    await connection.execute("COMMIT")


async def connect(url: str, planner: dict[str, str] = POINT_LOOKUPS) -> asyncpg.Connection[asyncpg.Record]:
    """One connection outside any pool, with the same codecs; the caller closes it.

    Raises as `Database.open`.
    """
    with translate_errors(), _refusals():
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            url, timeout=CONNECT_TIMEOUT_S, server_settings=SERVER_SETTINGS | planner
        )
        await _prepare(connection)
    return connection


async def wait_until_ready(url: str, timeout_s: float = 0.0) -> None:
    """Wait until the database answers, at most `timeout_s`.

    Raises Unavailable if it does not answer, UnsupportedDatabase if it refuses the connection.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return await (await connect(url)).close()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(REACH_POLL_S)


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in a sentence why a connection is refused. Errors that a retry can mend pass unchanged."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        if classify(error) == "unavailable":
            raise
        if isinstance(error, asyncpg.PostgresError):
            raise UnsupportedDatabase(f"The database refused the connection: {error}.") from error
        sentence = f"ONESELF_DATABASE_URL is not a valid connection string: {error}."
        raise UnsupportedDatabase(sentence) from error


async def _no_reset(_: Any) -> None:
    """Send no reset when a connection returns to the pool: no session keeps state, and a round trip after
    every statement would double the cost of a read. asyncpg still ends an open transaction."""


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        format="tuple",
        encoder=lambda instant: (instant - POSTGRES_EPOCH_US,),
        decoder=lambda parts: parts[0] + POSTGRES_EPOCH_US,
    )
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: JSONB_VERSION + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
    )
    await connection.set_type_codec(
        "json",
        schema="pg_catalog",
        format="text",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )
