"""Counts the SQL statements of a block."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from oneself.store.database import Database

STATEMENTS = "statements"


class CountingConnection:
    """A connection that counts its statements; `executemany` counts once per row."""

    def __init__(self, connection: Any, counts: Counter[str]) -> None:
        self._connection, self._counts = connection, counts

    def __getattr__(self, name: str) -> Any:
        if name in ("fetch", "fetchrow", "fetchval", "execute", "copy_records_to_table"):
            self._counts[STATEMENTS] += 1
        return getattr(self._connection, name)

    async def executemany(self, sql: str, rows: Any) -> None:
        ordered = list(rows)
        self._counts[STATEMENTS] += len(ordered)
        await self._connection.executemany(sql, ordered)


@contextmanager
def counted_statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts the statements of every transaction that begins in the block."""
    counts: Counter[str] = Counter()
    transaction = Database.transaction

    @asynccontextmanager
    async def counting(self: Database, first: str | None = None) -> AsyncIterator[Any]:
        counts[STATEMENTS] += first is not None
        async with transaction(self, first) as connection:
            yield CountingConnection(connection, counts)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "transaction", counting)
        yield counts
