"""store/schema.sql describes the database that the migrations create."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from oneself.store.database import SCHEMA, connect
from support.databases import Databases

TOOL = Path(__file__).resolve().parents[2] / "tools" / "write_schema.py"


def _load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_schema", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _load_tool()


async def test_the_file_is_up_to_date(made_databases: Databases) -> None:
    written = tool.TARGET.read_text("utf-8")
    assert written == await tool.describe_migrated(await made_databases.empty_one()), "run make reference"


async def test_a_database_from_the_file_equals_one_from_the_migrations(made_databases: Databases) -> None:
    connection = await connect(await made_databases.empty_one())
    try:
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        await connection.execute(tool.TARGET.read_text("utf-8"))
        assert await tool.describe(connection) == tool.TARGET.read_text("utf-8")
    finally:
        await connection.close()
