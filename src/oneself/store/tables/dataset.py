"""The table `dataset`: the datasets of an organisation."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, structs_of

_sql = Queries("dataset")


class ConfiguredDataset(msgspec.Struct, frozen=True):
    """A dataset with its configuration."""

    name: str
    #: In µs since 1970.
    created_at: int
    #: The configuration as JSON; None if it was never changed.
    document: str | None


class DatasetTable(OrganisationTable):
    """The datasets of an organisation."""

    __slots__ = ()

    async def list_ids(self) -> list[int]:
        """The keys of the datasets, in order."""
        return [row["dataset_id"] for row in await self._executor.fetch(_sql.list_ids, self._org_id)]

    async def list_configured(self) -> list[ConfiguredDataset]:
        """Every dataset with its configuration."""
        found = await self._executor.fetch(_sql.list_configured, self._org_id)
        return structs_of(ConfiguredDataset, found)

    async def put(self, name: str, now: int) -> int | None:
        """Insert a dataset and return its key; None if the organisation has one of this name."""
        dataset_id: int | None = await self._executor.fetchval(_sql.put, self._org_id, name, now)
        return dataset_id

    async def is_used(self, dataset_id: int) -> bool:
        """Whether anything but configuration ever happened in a dataset."""
        return bool(await self._executor.fetchval(_sql.is_used, dataset_id))

    async def delete(self, dataset_id: int) -> bool:
        """Delete an unused dataset with its configuration, history and write keys; False if there is none."""
        return await self._executor.fetchval(_sql.delete, dataset_id) is not None

    async def holds_identity(self, dataset_ids: Sequence[int], namespace: str) -> bool:
        """Whether any profile of these datasets holds an identifier of a namespace."""
        return bool(await self._executor.fetchval(_sql.holds_identity, list(dataset_ids), namespace))
