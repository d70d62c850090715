"""The table `claim_sync`: how far the claims of identity servers are mirrored, and which process does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, struct_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("claim_sync")


class ClaimSyncProgress(msgspec.Struct, frozen=True):
    """How far an organisation's claims are mirrored. Instants in µs since 1970."""

    #: How often reading them was requested.
    requested: int = 0
    #: How many of the requests are done.
    done: int = 0
    #: Since the last success.
    failures: int = 0
    next_at: int | None = None
    succeeded_at: int | None = None
    failed_at: int | None = None
    #: Why it failed last.
    failure: str | None = None


class ClaimSyncLease(msgspec.Struct, frozen=True):
    """An organisation that this process reads the claims of."""

    handle: str
    #: The requests that reading them answers.
    requested: int


class ClaimSyncQueue:
    """The organisations whose claims are due."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def schedule(self, all_organisations: bool) -> None:
        """Schedule every organisation that has an identity server and is not scheduled yet.

        `all_organisations`: the deployment has an identity server for all of them.
        """
        await self._executor.execute(_sql.schedule, all_organisations)

    async def lease_next(self, lease_s: float) -> ClaimSyncLease | None:
        """Lease the organisation that is due for longest; None if none is."""
        return struct_of(ClaimSyncLease, await self._executor.fetchrow(_sql.lease_next, lease_s))


class ClaimSyncTable(OrganisationTable):
    """How far the claims of one organisation are mirrored."""

    __slots__ = ()

    async def request(self) -> None:
        """Request that the claims are read again, now."""
        await self._executor.execute(_sql.request, self._org_id)

    async def lease(self, lease_s: float) -> int | None:
        """Lease the organisation and return its requests; None if another process has it."""
        requested: int | None = await self._executor.fetchval(_sql.lease, self._org_id, lease_s)
        return requested

    async def renew(self, lease_s: float) -> None:
        """Renew the lease."""
        await self._executor.execute(_sql.renew, self._org_id, lease_s)

    async def release(self) -> None:
        """Give the lease back without a result."""
        await self._executor.execute(_sql.release, self._org_id)

    async def put_success(self, requested: int, interval_s: float) -> None:
        """Record that the claims were read for these requests; the next time is after about `interval_s`."""
        await self._executor.execute(_sql.put_success, self._org_id, requested, interval_s)

    async def put_failure(self, failure: str, interval_max_s: float) -> None:
        """Record that the claims could not be read."""
        await self._executor.execute(_sql.put_failure, self._org_id, failure, interval_max_s)

    async def find(self) -> ClaimSyncProgress | None:
        """How far the claims are mirrored; None if that was never requested."""
        return struct_of(ClaimSyncProgress, await self._executor.fetchrow(_sql.find, self._org_id))
