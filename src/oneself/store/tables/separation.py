"""The table `separation`: fragments that people keep apart."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from oneself.core.identity_graph.by_hand import UnitedSides
from oneself.core.identity_graph.graph import Separation
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("separation")


class SeparationTable(Table):
    """The separations of a dataset."""

    __slots__ = ()

    async def find(self, fragment_ids: Iterable[UUID]) -> dict[UUID, Separation]:
        """The separations of fragments by id, the oldest first, with the sides of these fragments alone."""
        found = await self._executor.fetch(_sql.find, self._dataset_id, sorted(fragment_ids))
        return {
            row["separation_id"]: Separation(
                row["separation_id"],
                row["since"],
                dict(zip(row["fragment_ids"], row["sides"], strict=True)),
            )
            for row in found
        }

    async def find_parted_from(self, fragment_ids: Iterable[UUID]) -> set[UUID]:
        """The fragments that were parted together with these, these among them."""
        asked = sorted(fragment_ids)
        found = await self._executor.fetch(_sql.find_parted_from, self._dataset_id, asked) if asked else []
        return {row["fragment_id"] for row in found}

    async def find_of_believed(self, profile_ids: Iterable[UUID]) -> dict[UUID, dict[UUID, set[int]]]:
        """Profile of the view `all` → separation → the sides of the fragments that began in the profile."""
        found: dict[UUID, dict[UUID, set[int]]] = {}
        for row in await self._executor.fetch(_sql.find_of_believed, self._dataset_id, sorted(profile_ids)):
            found.setdefault(row["profile_id"], {}).setdefault(row["separation_id"], set()).add(row["side"])
        return found

    async def concern_members(self, heads: Iterable[UUID]) -> bool:
        """Whether any fragment of profiles in the view `proven` is kept apart from others.

        `heads`: the fragments that head them.
        """
        found: bool = await self._executor.fetchval(_sql.concerns_members, self._dataset_id, sorted(heads))
        return found

    async def put(self, separations: Iterable[Separation]) -> None:
        """Insert separations; what is known of them stays as it is."""
        found = (
            (item.separation_id, fragment_id, side, item.since)
            for item in separations
            for fragment_id, side in item.sides.items()
        )
        columns = rows.columns(4, found)
        if columns[0]:
            await self._executor.execute(_sql.put, self._dataset_id, *columns)

    async def unite(self, united: Iterable[UnitedSides]) -> None:
        """Record that people joined sides again."""
        for item in united:
            first = item.sides[0]
            await self._executor.execute(
                _sql.unite, self._dataset_id, item.separation_id, list(item.sides), first
            )

    async def delete_of_fragments(self, fragment_ids: Iterable[UUID]) -> None:
        """Delete the sides of fragments."""
        await self._executor.execute(_sql.delete_of_fragments, self._dataset_id, sorted(fragment_ids))
