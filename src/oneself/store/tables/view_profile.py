"""The table `view_profile`: what two or more fragments amount to in a view."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.identity_graph.choices import EffectiveChoice
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.replay import AbsorbedPart
from oneself.core.values.record import Record
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("view_profile")
_choices = msgspec.json.Decoder(dict[str, EffectiveChoice])
_absorbed = msgspec.json.Decoder(tuple[AbsorbedPart, ...])


class ViewRow(msgspec.Struct, frozen=True, kw_only=True):
    """A profile of two or more fragments, as one view shows it. Instants in µs since 1970."""

    view: View
    profile_id: UUID
    user_id: str | None
    created_at: int
    updated_at: int
    record: Record
    choices: dict[str, EffectiveChoice]
    #: In the order of absorption.
    absorbed: tuple[AbsorbedPart, ...]


class ViewProfileTable(Table):
    """The profiles of the views `own` and `proven` in a dataset."""

    __slots__ = ()

    async def find(self, view: View, profile_ids: Collection[UUID]) -> list[ViewRow]:
        """Profiles of a view by id; those of a single fragment are not in this table."""
        found = await self._executor.fetch(_sql.find, self._dataset_id, view, sorted(profile_ids))
        return [_read(row) for row in found]

    async def lock(self, keys: Iterable[tuple[View, UUID]]) -> list[ViewRow]:
        """Profiles by view and id, locked in this order until the end of the transaction."""
        columns = rows.columns(2, sorted(keys))
        found = await self._executor.fetch(_sql.lock, self._dataset_id, *columns) if columns[0] else []
        return [_read(row) for row in found]

    async def put(self, profiles: Sequence[ViewRow]) -> None:
        """Insert or replace profiles."""
        if profiles:
            ordered = sorted(profiles, key=lambda row: (row.view, row.profile_id))
            await self._executor.execute(_sql.put, self._dataset_id, *rows.columns(9, map(_row, ordered)))

    async def delete(self, keys: Iterable[tuple[View, UUID]]) -> None:
        """Delete profiles by view and id, if they are there."""
        columns = rows.columns(2, sorted(keys))
        if columns[0]:
            await self._executor.execute(_sql.delete, self._dataset_id, *columns)


def _row(row: ViewRow) -> tuple[object, ...]:
    return (
        row.view, row.profile_id, row.user_id, row.created_at, row.updated_at,
        rows.encode_json(row.record.values), rows.encode_json(row.record.provenance),
        rows.encode_json(row.choices), rows.encode_json(row.absorbed),
    )  # fmt: skip


def _read(row: Any) -> ViewRow:
    return ViewRow(
        view=row["view"],
        profile_id=row["profile_id"],
        user_id=row["user_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        record=rows.read_record(row),
        choices=_choices.decode(row["choices"]),
        absorbed=_absorbed.decode(row["absorbed"]),
    )
