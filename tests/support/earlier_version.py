"""The database that an earlier version wrote (tests/store/upgrade/README.md)."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from support.databases import Databases

FOLDER = Path(__file__).parents[1] / "store" / "upgrade"
SECRET_KEY = "the secret key of the upgrade test's database"
#: Its datasets.
DATASETS = 2


async def restore_database(made_databases: Databases) -> str:
    """Create a database as the earlier version wrote it, not yet migrated. Returns its address."""
    url = await made_databases.empty_one()
    connection = await asyncpg.connect(url)
    await connection.execute((FOLDER / "database.sql").read_text("utf-8"))
    await connection.close()
    return url
