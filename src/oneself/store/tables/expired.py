"""Rows of several tables that expire: sessions, codes, tokens, revocations, counts, grants,
idempotency keys, mails, mobile codes, links, sent forms of the console, and accounts that nobody proved and
nobody uses."""

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

    async def delete(self, now: int, grants_before: int, links_before: int, unused_since: int) -> int:
        """Delete it, old grants with nothing left to redeem, links that expired before `links_before`, and
        accounts without a verified address that are unused since `unused_since`.

        Instants in µs since 1970. Returns the number of rows deleted.
        """
        asked = now, grants_before, links_before, unused_since
        return int(await self._executor.fetchval(_sql.delete, *asked))
