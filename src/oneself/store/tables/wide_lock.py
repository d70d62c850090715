"""The tables `wide_lock` and `wide_lock_name`: names that one transaction has locked together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from oneself.store.queries import Queries
from oneself.store.rows import config_hash, lock_hash
from oneself.store.tables.table import Table

_sql = Queries("wide_lock")


class WideLockTable(Table):
    """The wide lock of a dataset. Names are their hashes, as `rows.lock_hash` makes them."""

    __slots__ = ()

    async def lock_key(self) -> None:
        """Let nobody else take a wide lock until the transaction ends. As long, the lock is in force."""
        await self._executor.execute(_sql.lock_key, self._key)

    async def put(self, lock_id: UUID, names: Iterable[int]) -> None:
        """Record a wide lock in place of the former one."""
        await self._executor.execute(_sql.put_names, lock_id, sorted(names))
        await self._executor.execute(_sql.put, self._dataset_id, lock_id)

    async def find_locked(self, names: Collection[int]) -> set[int] | None:
        """Which of some names are locked, maybe by a process that was killed; None: no wide lock exists."""
        row = await self._executor.fetchrow(_sql.find_locked, self._dataset_id, sorted(names))
        return None if row is None else set(row["locked"])

    async def is_in_force(self) -> bool:
        """Whether a running transaction has a wide lock."""
        found = await self._executor.fetchval(_sql.find_living, self._dataset_id, self._key)
        return found is not None

    async def delete(self, lock_id: UUID) -> None:
        """Delete a wide lock, if it is still this one."""
        await self._executor.execute(_sql.delete, self._dataset_id, lock_id)

    async def delete_dead(self) -> None:
        """Delete the wide lock of a process that was killed, if there is one."""
        await self._executor.execute(_sql.delete_dead, self._dataset_id, self._key)

    async def wait_for_writers(self) -> None:
        """Wait until every transaction has ended that writes to the dataset now."""
        await self._executor.execute(_sql.wait_for_writers, config_hash(self._dataset_id))

    @property
    def _key(self) -> int:
        return lock_hash(self._dataset_id, "wide")
