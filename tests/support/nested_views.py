"""Checks that each view lies within the next one: own in proven, and proven in all."""

from __future__ import annotations

from uuid import UUID

from oneself.core.profiles.profile import primary_id
from oneself.store.database import Database
from oneself.store.transaction import Tables
from support.reconciled_view import find_attached
from support.stored_views import list_fragments


async def assert_views_nested(database: Database, dataset_id: int) -> None:
    """Raises AssertionError with the profiles of a view that are several in the next one.

    What pages say of whom no sign-in or report named goes, in `all`, to whom they name. Each profile has a
    primary id of its own.
    """
    tables = Tables(database, dataset_id)
    rows = {row.fragment.fragment_id: row for row in await list_fragments(tables)}
    assert len({primary_id(item, anonymous=True) for item in rows}) == len(rows), rows.keys()
    parted = _parted({(row.own_id, row.proven_id) for row in rows.values()})
    assert not parted, f"profiles of the view own that are several in proven: {parted}"
    attached = {(rows[item].proven_id, survivor_id) for item, survivor_id in await find_attached(tables)}
    known = {row.proven_id for row in rows.values() if row.fragment.user_id is not None}
    parted = _parted(attached) & known
    assert not parted, f"profiles of the view proven that are several in all: {parted}"


def _parted(pairs: set[tuple[UUID, UUID]]) -> set[UUID]:
    """What belongs to more than one, in pairs of a profile and the one that it belongs to."""
    found: dict[UUID, set[UUID]] = {}
    for inner, outer in pairs:
        found.setdefault(inner, set()).add(outer)
    return {inner for inner, outers in found.items() if len(outers) > 1}
