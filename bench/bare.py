"""What PostgreSQL alone does with the same rows: the comparison beside every figure.

The rows are those that a question has just written to the log, with the same indexes and the same durability.
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
    """Rows per second of one COPY of the whole log into an equal table."""
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
    """Rows per second of INSERTs into an equal table, with a number of rows per commit and of connections."""
    first = await _connect(url)
    rows = [
        tuple(r) for r in await first.fetch(f"SELECT {_COLUMNS} FROM log ORDER BY seq DESC LIMIT $1", limit)
    ]
    others = [await asyncpg.connect(url, server_settings=_BARE) for _ in range(connections)]
    bursts = [rows[start : start + per_commit] for start in range(0, len(rows), per_commit)]
    try:
        started = time.perf_counter()
        await asyncio.gather(*(_drain(connection, bursts) for connection in others))
        return len(rows) / (time.perf_counter() - started)
    finally:
        await asyncio.gather(*(connection.close() for connection in others))
        await first.execute("DROP TABLE bare_log")
        await first.close()


async def _drain(connection: Any, bursts: list[list[tuple[Any, ...]]]) -> None:
    while bursts:
        burst = bursts.pop()
        if len(burst) == 1:
            await connection.execute(INSERT_ONE, 1, *burst[0])
        else:
            await connection.execute(INSERT_MANY, 1, *(list(column) for column in zip(*burst, strict=True)))


_BARE = {"search_path": SCHEMA, "jit": "off", "timezone": "UTC"}


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(url, server_settings=_BARE)
    await connection.execute("CREATE TABLE bare_log (LIKE log INCLUDING ALL)")
    return connection
