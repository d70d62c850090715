"""The entries of the table `log` that name something which the configuration of their time dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from oneself.core.fold.log_entry import EntryKey, LogEntry
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.log_row import read_entry
from oneself.store.tables.table import Table

_sql = Queries("dropped_value")


class DroppedValueTable(Table):
    """What the log of a dataset names and nobody has read."""

    __slots__ = ()

    async def list_after(self, after: EntryKey, limit: int) -> list[tuple[LogEntry, UUID | None]]:
        """The next entries, in order, each with its fragment."""
        found = await self._executor.fetch(_sql.list_after, self._dataset_id, *after, limit)
        return [(read_entry(row), row["fragment_id"]) for row in found]

    async def find(self, entries: Iterable[EntryKey]) -> list[LogEntry]:
        """Those among some entries, in order."""
        columns = rows.columns(2, sorted(entries))
        return [read_entry(row) for row in await self._executor.fetch(_sql.find, self._dataset_id, *columns)]

    async def has_unread(self, profile_ids: Iterable[UUID]) -> bool:
        """Whether profiles of the view `all` may be without what a later configuration admits."""
        return bool(await self._executor.fetchval(_sql.has_unread, self._dataset_id, sorted(profile_ids)))

    async def admit(self, entries: Iterable[EntryKey], version: int) -> None:
        """Read entries by a later version of the configuration as well, and apply their plans as recorded."""
        columns = rows.columns(2, sorted(entries))
        await self._executor.execute(_sql.admit, self._dataset_id, *columns, version)

    async def readdress(self, addressed: Mapping[EntryKey, UUID]) -> None:
        """Let entries address other fragments. `addressed`: entry → fragment."""
        columns = rows.columns(3, ((*key, fragment_id) for key, fragment_id in sorted(addressed.items())))
        await self._executor.execute(_sql.readdress, self._dataset_id, *columns)
