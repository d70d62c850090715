"""A copy of some profiles of a dataset, on which a change is tried out.

    live tables, one instant ─▶ who is concerned ─▶ scratch tables ─▶ the change ─▶ compared, dropped

Invariants: the scratch tables belong to one connection and vanish with it. The copy is a dataset with a
number of its own, so that its locks are nobody else's. Once it is complete, no statement finds a live table.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.replay import AbsorbedPart
from oneself.core.values.record import Values
from oneself.store import rows
from oneself.store.database import ConnectionDatabase, Database
from oneself.store.queries import Queries
from oneself.store.shared_values import ROWS_PER_FETCH, SharedValues
from oneself.store.transaction import Transaction

if TYPE_CHECKING:
    from oneself.store.database import Connection

_sql = Queries("scratch_dataset", folder=".")
_shadow = Queries("shadow", folder=".")
#: The tables that a copy fills. The others of `begin` are written to only.
COPIED = (
    "profile",
    "claim",
    "merge",
    "refusal",
    "config",
    "log",
    "fragment",
    "fragment_claim",
    "browser",
    "verified_claim",
    "identifier_transfer",
    "person_join",
    "separation",
    "view_profile",
    "reindex_job",
    "join_review",
    "unreconciled_fragment",
)
#: Numbers of datasets are positive.
_NUMBERS_MAX = 2**31 - 1


class CopiedNames(msgspec.Struct, frozen=True):
    """What profiles and fragments are found by."""

    identifiers: frozenset[Identifier]
    users: frozenset[str]


class FragmentHeads(msgspec.Struct, frozen=True):
    """The profiles that a fragment belongs to."""

    believed_id: UUID
    own_id: UUID
    proven_id: UUID


class HeadValues(msgspec.Struct, frozen=True):
    """What a profile has in a view."""

    values: Values
    #: The ids of the profiles that it absorbed in the views `own` and `proven`.
    absorbed: tuple[UUID, ...]


class RecordedRefusal(msgspec.Struct, frozen=True, order=True):
    """A refusal of the view `all`."""

    code: str
    profile_id: UUID
    other_id: UUID
    namespace: str


class ScratchDataset:
    """Reads one instant of a dataset, copies a part of it, and reads what became of the copy.

    `live_id`: the dataset. `dataset_id`: the copy.
    """

    def __init__(self, connection: Connection, live_id: int) -> None:
        self._connection = connection
        self.live_id = live_id
        self.dataset_id = -1 - secrets.randbelow(_NUMBERS_MAX)
        self.database: Database = ConnectionDatabase(connection)
        self.live = Transaction(connection, live_id)
        self.values = SharedValues(connection, live_id)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """One instant of the live tables. PostgreSQL refuses every write but those to the scratch tables."""
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            yield

    async def put_claimed(self, namespaces: Iterable[str]) -> None:
        """Note who ever had which identifier of some namespaces."""
        cursor = await self._connection.cursor(_sql.list_claimed, self.live_id, sorted(namespaces))
        while page := await cursor.fetch(ROWS_PER_FETCH):
            await self.values.put(
                (Identifier(row["namespace"], row["value"]), row["profile_id"]) for row in page
            )

    async def list_sharing(self) -> AsyncIterator[list[UUID]]:
        """Everybody of whom a value is noted that somebody else has too, page by page."""
        async for page in self._pages(_sql.list_sharing):
            yield [row["profile_id"] for row in page]

    async def list_tied(self) -> AsyncIterator[list[UUID]]:
        """The fragments of which somebody knows who it is and that something ties to others, page by page."""
        async for page in self._pages(_sql.list_tied, self.live_id):
            yield [row["fragment_id"] for row in page]

    async def find_sharing_with(self, ids: Iterable[UUID], limit: int) -> set[UUID]:
        """Everybody of whom a value is noted that one of these has, at most `limit`."""
        found = await self._connection.fetch(_sql.find_sharing_with, sorted(ids), limit)
        return {row["profile_id"] for row in found}

    async def copy(
        self, profile_ids: frozenset[UUID], fragment_ids: frozenset[UUID], names: CopiedNames
    ) -> None:
        """Copy profiles and fragments with all that is stored of them, and the configuration."""
        execute, live_id = self._connection.execute, self.live_id
        profiles, fragments = sorted(profile_ids), sorted(fragment_ids)
        named = rows.columns(2, ((item.namespace, item.value) for item in sorted(names.identifiers)))
        await execute(_sql.copy_profiles, live_id, profiles)
        await execute(_sql.copy_fragments, live_id, fragments)
        await execute(
            _sql.copy_log, live_id, profiles, fragments, list(map(str, fragments)), sorted(names.users)
        )
        await execute(_sql.copy_names, live_id, *named, sorted(names.users))
        await execute(_sql.copy_settings, live_id)
        await execute(_sql.free_jobs, live_id)
        for table in COPIED:
            renumber = f"UPDATE pg_temp.{table} SET dataset_id = $2 WHERE dataset_id = $1"  # noqa: S608
            await execute(renumber, live_id, self.dataset_id)

    async def hide_live_tables(self) -> None:
        """Call this outside the snapshot, when the copy is complete."""
        await self._connection.execute(_sql.hide_live_tables)

    @property
    def tables(self) -> Transaction:
        """The tables of the copy."""
        return Transaction(self._connection, self.dataset_id)

    async def count_fragments(self) -> int:
        """How many fragments were copied."""
        count: int = await self._connection.fetchval(_sql.count_fragments, self.dataset_id)
        return count

    async def list_heads(self) -> dict[UUID, FragmentHeads]:
        """Fragment → the profiles that it belongs to."""
        found = await self._connection.fetch(_sql.list_heads, self.dataset_id)
        return {
            row["fragment_id"]: FragmentHeads(row["believed_id"], row["own_id"], row["proven_id"])
            for row in found
        }

    async def list_survivors(self) -> dict[UUID, UUID]:
        """Profile of the view `all` → its survivor."""
        found = await self._connection.fetch(_sql.list_survivors, self.dataset_id)
        return {row["profile_id"]: row["survivor_id"] for row in found}

    async def list_values(self, view: View) -> dict[UUID, HeadValues]:
        """What each profile of a view has."""
        found = await self._connection.fetch(_sql.list_values, self.dataset_id, view)
        return {
            row["profile_id"]: HeadValues(
                row["record_values"], tuple(part.head for part in msgspec.convert(row["absorbed"], _PARTS))
            )
            for row in found
        }

    async def list_refusals(self) -> set[RecordedRefusal]:
        """The refusals of the view `all`."""
        found = await self._connection.fetch(_sql.list_refusals, self.dataset_id)
        return {
            RecordedRefusal(row["code"], row["profile_id"], row["other_id"], row["namespace"])
            for row in found
        }

    async def list_merges(self) -> dict[UUID, tuple[str, Identifier | None]]:
        """Profile that was absorbed in the view `all` → why, and by which identifier; the last time."""
        found = await self._connection.fetch(_sql.list_merges, self.dataset_id)
        return {
            row["absorbed_id"]: (
                row["reason"],
                None if row["namespace"] is None else Identifier(row["namespace"], row["value"]),
            )
            for row in found
        }

    async def _pages(self, statement: str, *args: Any) -> AsyncIterator[list[Any]]:
        cursor = await self._connection.cursor(statement, *args)
        while page := await cursor.fetch(ROWS_PER_FETCH):
            yield page


_PARTS = tuple[AbsorbedPart, ...]


@asynccontextmanager
async def open_scratch_dataset(database: Database, dataset_id: int) -> AsyncIterator[ScratchDataset]:
    """An empty copy of a dataset, on a connection of its own."""
    async with database.scan() as connection:
        await connection.execute(f"{_shadow.begin_scratch}; {_sql.begin}")
        yield ScratchDataset(connection, dataset_id)
