"""The table `reindex_job`: the work of a configuration change on the profiles that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import Table

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("reindex_job")
_START = UUID(int=0)

JobState = Literal["running", "done", "cancelled"]


class ReindexProgress(msgspec.Struct, frozen=True):
    """How far a reindex job has come. Instants in µs since 1970."""

    job_id: str
    state: JobState
    #: Profiles that the job has passed, of about `total`.
    seen: int
    #: Profiles that held a value which was not indexed.
    indexed: int
    #: Profiles that were absorbed.
    merged: int
    total: int
    started_at: int
    updated_at: int


class LeasedJob(msgspec.Struct, frozen=True):
    """A job that this worker alone may continue until `lease_until`. Instants in µs since 1970."""

    dataset_id: int
    job_id: str
    #: Profiles up to this age, and of this age up to this id, are done.
    after: tuple[int, UUID]
    started_at: int
    lease_until: int


class ReindexJobTable(Table):
    """The reindex jobs of a dataset."""

    __slots__ = ()

    async def start(self, job_id: str) -> None:
        """Start a job, or start it again from the first profile."""
        await self._executor.execute(_sql.start, self._dataset_id, job_id)

    async def cancel(self, job_id: str) -> None:
        """Cancel a job if it is running."""
        await self._executor.execute(_sql.cancel, self._dataset_id, job_id)

    async def put_progress(
        self, job: LeasedJob, lease_s: int, *, seen: int = 0, indexed: int = 0, merged: int = 0
    ) -> LeasedJob | None:
        """Record that the job is done up to `after` and renew the lease; None if the lease is lost."""
        counts = seen, indexed, merged
        lease_until = await self._executor.fetchval(
            _sql.put_progress, self._dataset_id, job.job_id, *job.after, *counts, lease_s, job.lease_until
        )
        return None if lease_until is None else msgspec.structs.replace(job, lease_until=lease_until)

    async def finish(self, job: LeasedJob) -> None:
        """Finish a job if its lease is not lost."""
        await self._executor.execute(_sql.finish, self._dataset_id, job.job_id, job.lease_until)

    async def is_running(self) -> bool:
        """Whether a job is not finished."""
        return bool(await self._executor.fetchval(_sql.is_running, self._dataset_id))

    async def find_progress(self) -> list[ReindexProgress]:
        """The progress of every job, in the order of their starts."""
        found = await self._executor.fetch(_sql.find_progress, self._dataset_id)
        return [_progress(row) for row in found]


async def lease_job(executor: Executor, lease_s: int) -> LeasedJob | None:
    """Lease the oldest running job of any dataset that no worker has a lease on."""
    row = await executor.fetchrow(_sql.lease, lease_s)
    if row is None:
        return None
    after = row["after_since"] or 0, row["after_id"] or _START
    return LeasedJob(row["dataset_id"], row["job_id"], after, row["started_at"], row["lease_until"])


def _progress(row: Any) -> ReindexProgress:
    return ReindexProgress(**{**dict(row), "total": max(row["total"], row["seen"])})
