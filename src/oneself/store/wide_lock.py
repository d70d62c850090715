"""Lock very many names of a dataset without filling the lock table of PostgreSQL.

A decision about a person of very many parts keeps out whoever names one of them. One advisory lock for each
name would be more than the server has room for, so that the names are rows of a table.

    the decision                                  everyone else
    lock the key of the dataset                   lock the configuration (shared) and the names
    commit the names as rows                      are the names among the rows? roll back, and wait
    wait RELIED_ON_S                              (not asked again within RELIED_ON_S)
    lock the configuration alone, and release it  read, decide, commit
    read again, decide, commit
    delete the rows

Invariants: a transaction that locked its names before the decision had the configuration alone has ended by
then; one that locked them later finds the rows before it reads anything. The rows are in force while the
transaction of the decision runs, which holds the key: those of a killed process are deleted by whoever waits.

Source: docs/decisions/0063-decisions-about-a-hundred-thousand-parts.md.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from uuid import UUID

from oneself.core.identity.identifier import Identifier
from oneself.errors import Contended
from oneself.store.database import POINT_LOOKUPS, Database, connect
from oneself.store.errors import translate_errors
from oneself.store.transaction import (
    RELIED_ON_S,
    Tables,
    Transaction,
    hashes_of,
    hashes_of_profiles,
)

#: More names are locked by a wide lock. A batch has no more keys either: PostgreSQL has room for 6 400 locks
#: by default.
NAMES_LOCKED_SINGLY_MAX = 4_000
#: How much longer than a process relies on what it has read: their clocks may differ a little.
CLOCKS_DIFFER_S = 0.5
#: For how long writers wait at most behind a decision that waits for those before them.
LOCK_WAIT_S = 1
#: How long a decision waits, with pauses, for transactions that write to the dataset.
WRITERS_END_S = 60.0
#: How often whoever waits for a wide lock asks whether it is in force.
POLL_S = 0.2
#: How long they wait.
WAIT_MAX_S = 900.0


class WideLock:
    """A wide lock that transactions take one after the other, until one commits; released on exit."""

    def __init__(
        self, database: Database, dataset_id: int, *, singly_max: int = NAMES_LOCKED_SINGLY_MAX
    ) -> None:
        self._database = database
        self._dataset_id = dataset_id
        self._singly_max = singly_max
        self._lock_id: UUID | None = None

    async def __aenter__(self) -> WideLock:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._lock_id is not None:
            async with self._beside() as tables:
                await tables.wide_locks.delete(self._lock_id)

    async def lock(
        self, transaction: Transaction, identifiers: Iterable[Identifier], profile_ids: Iterable[UUID]
    ) -> None:
        """Keep out whoever names these identifiers or profiles, until the transaction ends.

        Few are locked one by one. Raises Contended.
        """
        named = set(identifiers)
        if len(named) <= self._singly_max:
            return await transaction.lock_identifiers(named)
        if transaction.is_alone:
            return None
        await transaction.wide_locks.lock_key()
        transaction.has_wide_lock = True
        names = hashes_of(self._dataset_id, named) + hashes_of_profiles(self._dataset_id, profile_ids)
        async with self._beside() as tables:
            self._lock_id = uuid.uuid4()
            await tables.wide_locks.put(self._lock_id, set(names))
            await asyncio.sleep(RELIED_ON_S + CLOCKS_DIFFER_S)
            await _wait_for_writers(tables)
        return await transaction.lock_identifiers(())

    @asynccontextmanager
    async def _beside(self) -> AsyncIterator[Tables]:
        """The tables in a connection beside the transaction, not of the pool, which may be exhausted."""
        settings = POINT_LOOKUPS | {"lock_timeout": f"{LOCK_WAIT_S}s"}
        connection = await connect(self._database.url, settings)
        try:
            with translate_errors():
                yield Tables(connection, self._dataset_id)
        finally:
            await connection.close()


async def _wait_for_writers(tables: Tables) -> None:
    deadline = time.monotonic() + WRITERS_END_S
    while True:
        try:
            with translate_errors():
                return await tables.wide_locks.wait_for_writers()
        except Contended:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(POLL_S)


async def wait_until_released(database: Database, dataset_id: int, wait_max_s: float = WAIT_MAX_S) -> None:
    """Wait until no transaction has a wide lock of a dataset. Raises Contended if that takes longer."""
    tables, deadline = Tables(database, dataset_id), time.monotonic() + wait_max_s
    while await tables.wide_locks.is_in_force():
        if time.monotonic() > deadline:
            raise Contended("A decision about very many profiles is still being made.")
        await asyncio.sleep(POLL_S)
    await tables.wide_locks.delete_dead()
