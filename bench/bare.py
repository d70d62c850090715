"""Measures PostgreSQL alone with the same rows, for comparison with every figure.

The rows are those that a question has just written to the log, with the same indexes and durability.
"""

import asyncio
import io
import time
from typing import Any

import asyncpg

from oneself.store.database import SCHEMA

_COLUMNS = "seq, observation_id, profile_id, kind, name, config_version, content::text, plan::text"
INSERT_MANY = """
INSERT INTO bare_log (dataset_id, seq, observation_id, profile_id, kind, name, config_version, content, plan)
SELECT $1, row.seq, row.observation_id, row.profile_id, row.kind, row.name, row.config_version,
       row.content::jsonb, row.plan::jsonb
FROM unnest($2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::text[],
            $9::text[])
     AS row (seq, observation_id, profile_id, kind, name, config_version, content, plan)
"""
INSERT_ONE = """
INSERT INTO bare_log (dataset_id, seq, observation_id, profile_id, kind, name, config_version, content, plan)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9::jsonb)
"""


async def copy_log(url: str) -> float:
    """Return the rows per second of one COPY of the full log into an identical table."""
    connection = await _connect(url)
    try:
        text = io.BytesIO()
        await connection.copy_from_table("log", schema_name=SCHEMA, output=text)
        count = await connection.fetchval("SELECT count(*) FROM log")
        text.seek(0)
        started = time.perf_counter()
        await connection.copy_to_table("bare_log", schema_name=SCHEMA, source=text)
        return float(count / (time.perf_counter() - started))
    finally:
        await connection.execute("DROP TABLE bare_log")
        await connection.close()


async def insert_log(url: str, limit: int, per_commit: int, connections: int) -> float:
    """Return the rows per second of INSERTs into an identical table. `limit`: number of rows."""
    first = await _connect(url)
    records = await first.fetch(f"SELECT {_COLUMNS} FROM log ORDER BY seq DESC LIMIT $1", limit)
    rows = [tuple(record) for record in records]
    writers = [await asyncpg.connect(url, server_settings=_BARE) for _ in range(connections)]
    batches = [rows[start : start + per_commit] for start in range(0, len(rows), per_commit)]
    try:
        started = time.perf_counter()
        await asyncio.gather(*(_insert_batches(connection, batches) for connection in writers))
        return len(rows) / (time.perf_counter() - started)
    finally:
        await asyncio.gather(*(connection.close() for connection in writers))
        await first.execute("DROP TABLE bare_log")
        await first.close()


async def _insert_batches(connection: Any, batches: list[list[tuple[Any, ...]]]) -> None:
    while batches:
        batch = batches.pop()
        if len(batch) == 1:
            await connection.execute(INSERT_ONE, 1, *batch[0])
        else:
            await connection.execute(INSERT_MANY, 1, *(list(column) for column in zip(*batch, strict=True)))


_BARE = {"search_path": SCHEMA, "jit": "off", "timezone": "UTC"}


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(url, server_settings=_BARE)
    await connection.execute("CREATE TABLE bare_log (LIKE log INCLUDING ALL)")
    return connection
