"""Rows of several tables that expire: sessions, codes, tokens, revocations, failures, grants,
idempotency keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("expired")


class ExpiredRows:
    """What has expired, in every organisation."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def delete(self, now: int, grants_before: int) -> int:
        """Delete it, and old grants with nothing left to redeem. Returns the number of rows deleted."""
        return int(await self._executor.fetchval(_sql.delete, now, grants_before))
