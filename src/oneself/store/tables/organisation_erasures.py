"""The erasures in the logs of every dataset of an organisation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from oneself.core.fold.log_entry import Erased
from oneself.store.queries import Queries
from oneself.store.tables.log import ErasureEntry
from oneself.store.tables.table import OrganisationTable

_sql = Queries("organisation_erasures")


class DatasetErasure(msgspec.Struct, frozen=True):
    """An erasure and the dataset in which it was made."""

    dataset: str
    entry: ErasureEntry


class OrganisationErasures(OrganisationTable):
    """The erasures of an organisation."""

    __slots__ = ()

    async def list(self, before_seq: int, limit: int, dataset: str | None) -> list[DatasetErasure]:
        """The erasures before a seq, the last one first. `dataset`: of this one; None: of every one."""
        found = await self._executor.fetch(_sql.list, self._org_id, before_seq, limit, dataset)
        return [_read(row) for row in found]

    async def find(self, receipt_id: UUID) -> DatasetErasure | None:
        """One erasure by the id of its receipt."""
        row = await self._executor.fetchrow(_sql.find, self._org_id, receipt_id)
        return None if row is None else _read(row)


def _read(row: Any) -> DatasetErasure:
    erased = msgspec.json.decode(row["content"], type=Erased)
    return DatasetErasure(row["dataset"], ErasureEntry(row["seq"], row["observation_id"], erased))
