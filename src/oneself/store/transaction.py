"""The unit of work: one transaction on one dataset, with a repository per table.

Invariants: a repository runs statements and decides nothing; which tables a statement means is the
connection's business (`store/shadow.py` puts scratch tables before the live ones).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from oneself.store.tables.attribute_history import AttributeHistory
from oneself.store.tables.profile import ProfileTable
from oneself.store.tables.skipped_claim import RejectedClaimTable

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database
    from oneself.store.tables.table import Executor


class Tables:
    """The tables of one dataset. A repository is two references, made when it is asked for."""

    __slots__ = ("_executor", "dataset_id")

    def __init__(self, executor: Executor, dataset_id: int) -> None:
        self._executor = executor
        self.dataset_id = dataset_id

    @property
    def attribute_history(self) -> AttributeHistory:
        return AttributeHistory(self._executor, self.dataset_id)

    @property
    def rejected_claims(self) -> RejectedClaimTable:
        return RejectedClaimTable(self._executor, self.dataset_id)

    @property
    def profiles(self) -> ProfileTable:
        return ProfileTable(self._executor, self.dataset_id)


class Transaction(Tables):
    """A transaction on one dataset, over an open connection."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection, dataset_id: int) -> None:
        super().__init__(connection, dataset_id)
        self.connection = connection


@asynccontextmanager
async def begin(database: Database, dataset_id: int) -> AsyncIterator[Transaction]:
    """One READ COMMITTED transaction: commits at the end, rolls back when anything is raised.

    Raises Contended when the transaction lost a race, Unavailable when the connection is lost.
    """
    async with database.transaction() as connection:
        yield Transaction(connection, dataset_id)
