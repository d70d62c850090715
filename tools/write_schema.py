"""Writes src/oneself/store/schema.sql: the full schema after all migrations.

`make reference` runs it. A test fails if the file is outdated, or if a database created from the file differs
from one created by the migrations.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import asyncpg

from oneself.store.database import SCHEMA, connect
from oneself.store.embedded.server import Embedded
from oneself.store.migrate import migrate

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src" / "oneself" / "store" / "schema.sql"
HEADER = """\
-- The schema after all migrations, for reading; nothing runs this file. `make reference` generates it from
-- store/sql/migrations, which contains the comments. A test fails if the two differ.
"""
TABLES = """
SELECT class.oid, class.relname AS name, class.reloptions AS options,
       CASE WHEN class.relpersistence = 'u' THEN ' UNLOGGED' ELSE '' END AS persistence
FROM pg_class AS class
WHERE class.relnamespace = $1::regnamespace AND class.relkind = 'r' AND class.relname <> 'migration'
ORDER BY class.relname
"""
COLUMNS = """
SELECT format('%I %s%s%s%s', attribute.attname, format_type(attribute.atttypid, attribute.atttypmod),
              CASE WHEN attribute.attidentity = 'a' THEN ' GENERATED ALWAYS AS IDENTITY' ELSE '' END,
              CASE WHEN attribute.attnotnull AND attribute.attidentity = '' THEN ' NOT NULL' ELSE '' END,
              ' DEFAULT ' || pg_get_expr(value.adbin, value.adrelid)) AS definition
FROM pg_attribute AS attribute
LEFT JOIN pg_attrdef AS value ON value.adrelid = attribute.attrelid AND value.adnum = attribute.attnum
WHERE attribute.attrelid = $1 AND attribute.attnum > 0 AND NOT attribute.attisdropped
ORDER BY attribute.attnum
"""
CONSTRAINTS = """
SELECT format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS definition,
       contype = 'f' AS is_foreign
FROM pg_constraint
WHERE conrelid = $1 AND contype IN ('p', 'u', 'c', 'f')
ORDER BY contype <> 'p', contype, conname
"""
INDEXES = """
SELECT pg_get_indexdef(indexrelid) AS definition
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = $1 AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
ORDER BY relname
"""


async def describe(connection: asyncpg.Connection[asyncpg.Record]) -> str:
    """Return the SQL that creates the tables, constraints and indexes of a database."""
    parts, foreign_keys = [HEADER], list[str]()
    for table in await connection.fetch(TABLES, SCHEMA):
        constraints = await connection.fetch(CONSTRAINTS, table["oid"])
        lines = [row["definition"] for row in await connection.fetch(COLUMNS, table["oid"])]
        lines += [row["definition"] for row in constraints if not row["is_foreign"]]
        options = f" WITH ({', '.join(table['options'])})" if table["options"] else ""
        body = ",\n".join(f"    {line}" for line in lines)
        statements = [f"CREATE{table['persistence']} TABLE {table['name']} (\n{body}\n){options};"]
        statements += [f"{row['definition']};" for row in await connection.fetch(INDEXES, table["oid"])]
        parts.append("\n".join(statements) + "\n")
        foreign_keys += [
            f"ALTER TABLE {table['name']} ADD {row['definition']};"
            for row in constraints
            if row["is_foreign"]
        ]
    text = "\n".join([*parts, "\n".join(foreign_keys) + "\n"])
    return text.replace(f"{SCHEMA}.", "")


async def describe_migrated(url: str) -> str:
    """Migrate a database and return its schema as SQL."""
    await migrate(url)
    connection = await connect(url)
    try:
        return await describe(connection)
    finally:
        await connection.close()


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as folder:
        server = Embedded.attach(Path(folder))
        try:
            text = asyncio.run(describe_migrated(server.url))
        finally:
            server.stop()
    TARGET.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
