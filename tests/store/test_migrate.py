"""Migrations are applied once and in order, also by concurrent processes; an edited one is refused."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from oneself.errors import UnsupportedDatabase
from oneself.store.migrate import known, migrate, pending
from support.databases import Databases


async def test_every_migration_is_applied_once(made_databases: Databases) -> None:
    url = await made_databases.empty_one()
    names = [migration.name for migration in known()]
    assert await pending(url) == names
    assert await migrate(url) == names
    assert await migrate(url) == []
    assert await pending(url) == []


async def test_concurrent_starts_apply_each_migration_once(made_databases: Databases) -> None:
    url = await made_databases.empty_one()
    applied = await asyncio.gather(*(migrate(url) for _ in range(5)))
    assert sorted(len(names) for names in applied) == [0, 0, 0, 0, len(known())]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("update oneself.migration set sha256 = 'other' where name = $1", "other content"),
        ("update oneself.migration set name = '9999_future' where name = $1", "unknown"),
    ],
)
async def test_a_database_with_other_migrations_is_refused(
    made_databases: Databases, change: str, words: str
) -> None:
    url = await made_databases.clone()
    connection = await asyncpg.connect(url)
    await connection.execute(change, known()[0].name)
    await connection.close()
    with pytest.raises(UnsupportedDatabase, match=words):
        await migrate(url)
