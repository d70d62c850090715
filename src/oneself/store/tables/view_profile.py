"""The table `view_profile`: what two or more fragments amount to in a view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.identity_graph.choices import EffectiveChoice
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.replay import AbsorbedPart
from oneself.core.values.record import Record, Values
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.fragment import FragmentRow, read_fragment
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
    #: The fragment that ranks first. The survivor of the narrower view gives the id.
    head_id: UUID


class ViewedFragment(msgspec.Struct, frozen=True):
    """A fragment with the profile that it belongs to in a view."""

    fragment_id: UUID
    #: The fragment that heads the profile.
    head: FragmentRow
    #: What the profile amounts to, if it has two or more fragments.
    unified: ViewRow | None


class ViewProfileTable(Table):
    """The profiles of the views `own` and `proven` in a dataset."""

    __slots__ = ()

    async def find_of_fragment(self, view: View, fragment_id: UUID) -> ViewedFragment | None:
        """The profile that a fragment belongs to in a view, at one instant."""
        row = await self._executor.fetchrow(_sql.find_of_fragment, self._dataset_id, view, fragment_id)
        return None if row is None else _read_viewed(row)

    async def find_alone_of_fragment(self, view: View, fragment_id: UUID) -> ViewedFragment | None:
        """As `find_of_fragment`, without what the profile absorbed."""
        sql = _sql.find_alone_of_fragment
        row = await self._executor.fetchrow(sql, self._dataset_id, view, fragment_id)
        return None if row is None else _read_viewed(row)

    async def find_of_user(self, view: View, user_id: str) -> ViewedFragment | None:
        """The profile that the own fragment of a user belongs to in a view, at one instant."""
        row = await self._executor.fetchrow(_sql.find_of_user, self._dataset_id, view, user_id)
        return None if row is None else _read_viewed(row)

    async def list_proven_values(self, after: UUID, limit: int) -> list[tuple[UUID, Values]]:
        """The values of the profiles of the view `proven` after an id, in the order of their ids."""
        found = await self._executor.fetch(_sql.list_proven_values, self._dataset_id, after, limit)
        return [(row["profile_id"], msgspec.json.decode(row["record_values"])) for row in found]

    async def find_merged_for(self, reason: str) -> list[UUID]:
        """The profiles of the view `proven` that absorbed another one for a reason, in order."""
        found = await self._executor.fetch(_sql.find_merged_for, self._dataset_id, reason)
        return [row["profile_id"] for row in found]

    async def lock(self, keys: Iterable[tuple[View, UUID]]) -> list[ViewRow]:
        """Profiles by view and id, locked in this order until the end of the transaction."""
        columns = rows.columns(2, sorted(keys))
        found = await self._executor.fetch(_sql.lock, self._dataset_id, *columns) if columns[0] else []
        return [_read(row) for row in found]

    async def lock_alone(self, keys: Iterable[tuple[View, UUID]]) -> list[ViewRow]:
        """As `lock`, without what the profiles absorbed."""
        columns = rows.columns(2, sorted(keys))
        sql = _sql.lock_alone
        found = await self._executor.fetch(sql, self._dataset_id, *columns) if columns[0] else []
        return [_read(row) for row in found]

    async def advance(self, profiles: Sequence[ViewRow]) -> None:
        """Replace profiles that `lock_alone` read. `absorbed`: what they absorbed since."""
        if profiles:
            ordered = sorted(profiles, key=lambda row: (row.view, row.profile_id))
            columns = rows.columns(10, map(_row, ordered))
            await self._executor.execute(_sql.advance, self._dataset_id, *columns)

    async def put(self, profiles: Sequence[ViewRow]) -> None:
        """Insert or replace profiles."""
        if profiles:
            ordered = sorted(profiles, key=lambda row: (row.view, row.profile_id))
            await self._executor.execute(_sql.put, self._dataset_id, *rows.columns(10, map(_row, ordered)))

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
        row.head_id,
    )  # fmt: skip


def _read(row: Any) -> ViewRow:
    return ViewRow(
        view=row["unified_view"],
        profile_id=row["unified_id"],
        user_id=row["unified_user_id"],
        created_at=row["unified_created_at"],
        updated_at=row["unified_updated_at"],
        record=rows.decode_record(row["unified_values"], row["unified_provenance"]),
        choices=_choices.decode(row["unified_choices"]),
        absorbed=_absorbed.decode(row["unified_absorbed"]),
        head_id=row["unified_head_id"],
    )


def _read_viewed(row: Any) -> ViewedFragment:
    unified = None if row["unified_id"] is None else _read(row)
    return ViewedFragment(row["asked_id"], read_fragment(row), unified)
