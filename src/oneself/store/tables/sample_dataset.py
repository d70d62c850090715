"""The table `sample_dataset`: datasets with sample data, and the removal of everything in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, struct_of, structs_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("sample_dataset")

SampleState = Literal["adding", "complete", "removing", "removed"]
LOG = "log"
#: The tables with rows of datasets, but those that `detach` empties. The log is first: it says how far a
#: removal is.
TABLES = (
    LOG,
    "broker_position",
    "browser",
    "claim",
    "fragment",
    "fragment_claim",
    "idempotency_record",
    "identifier_transfer",
    "issuer_claims",
    "join_review",
    "merge",
    "person_join",
    "profile",
    "profile_change",
    "profile_change_floor",
    "refusal",
    "reindex_job",
    "separation",
    "skipped_claim",
    "tombstone",
    "unreconciled_fragment",
    "verification_queue",
    "verified_claim",
    "view_profile",
    "wide_lock",
)
#: What `detach` empties, and this table.
DETACHED = ("pending_rebuild", "config", "write_key", "webhook", "dataset", "sample_dataset")


class SampleDatasetRow(msgspec.Struct, frozen=True):
    """A dataset with sample data. A removal has deleted `deleted` of `total` entries of its log."""

    dataset_id: int
    name: str
    state: SampleState
    total: int
    deleted: int


class DueRemoval(msgspec.Struct, frozen=True):
    """A dataset of which rows are to be deleted."""

    dataset_id: int
    state: SampleState


class SampleDatasetTable(OrganisationTable):
    """The sample datasets of an organisation."""

    __slots__ = ()

    async def find(self) -> list[SampleDatasetRow]:
        """Every one, the newest first."""
        return structs_of(SampleDatasetRow, await self._executor.fetch(_sql.find, self._org_id))

    async def put(self, dataset_id: int, name: str) -> bool:
        """Begin to add sample data; False if the organisation has some already."""
        return await self._executor.fetchval(_sql.put, self._org_id, dataset_id, name) is not None

    async def complete(self, dataset_id: int) -> None:
        """Record that everything was added."""
        await self._executor.execute(_sql.complete, dataset_id)

    async def start_removal(self, dataset_id: int) -> bool:
        """Let it be removed, and delete the dataset itself; False if it is no sample dataset."""
        if await self._executor.fetchval(_sql.start_removal, self._org_id, dataset_id) is None:
            return False
        await self._executor.execute(_sql.detach, dataset_id)
        return True


class SampleRemovals:
    """The removals of every organisation, in a transaction."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def lock_due(self, written_s: float) -> DueRemoval | None:
        """A removal that no other process works on until the transaction ends.

        `written_s`: for so long after a removal, a process may still have written to the dataset.
        """
        return struct_of(DueRemoval, await self._executor.fetchrow(_sql.lock_due, written_s))

    async def delete_rows(self, dataset_id: int, limit: int) -> int:
        """Delete some rows of a dataset, at most `limit`. Returns how many; 0: it has none left."""
        for table in TABLES:
            statement = _sql.delete_rows.replace("/* table */", table)
            deleted = int((await self._executor.execute(statement, dataset_id, limit)).split()[-1])
            if deleted:
                if table == LOG:
                    await self._executor.execute(_sql.put_progress, dataset_id, deleted)
                return deleted
        return 0

    async def finish(self, removal: DueRemoval) -> None:
        """Record that a dataset has no rows left, or forget it if that was known."""
        statement = _sql.forget if removal.state == "removed" else _sql.finish_removal
        await self._executor.execute(statement, removal.dataset_id)
