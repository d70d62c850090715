"""Attributes that configurations had, read from the changes in the log."""

from __future__ import annotations

from collections.abc import Collection

from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("attribute_history")


class AttributeHistory(Table):
    """The attributes that the configurations of a dataset had."""

    __slots__ = ()

    async def find_ids(self, names: Collection[str]) -> dict[str, str]:
        """Name → the last id that an attribute of this name had; names that no attribute had are absent."""
        if not names:
            return {}
        found = await self._executor.fetch(_sql.list_ids, self._dataset_id, list(names))
        return {row["name"]: row["attribute_id"] for row in found}
