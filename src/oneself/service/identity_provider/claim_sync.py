"""Claim synchronisation: the identity attributes mirror the identity server's claims.

    event ─▶ request (a row) ─▶ a free process fetches everything ─▶ reconcile ─▶ one change, or none

Invariants: a request stays until it is done, by this process or another. One process at a time reads an
organisation's claims. A fetch that fails changes nothing and is retried. Claims are read at an interval too,
because the identity server never repeats an event. Source: docs/wire/cds.md §13.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from oneself.adapters.identity_server.client import ClaimSet
from oneself.adapters.identity_server.connection import Connection
from oneself.core.config.changes import ConfigChange
from oneself.core.config.configuration import Config
from oneself.core.config.mirrored_attributes import (
    MirroredAttributes,
    RequiredAttribute,
    is_name,
    missing_names,
    reconcile,
    required_attributes,
)
from oneself.core.values.reported_claims import RejectedClaimValue
from oneself.errors import Contended, IdentityServerFailed, OneselfError
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.directory.organisations import Organisations
from oneself.service.identity_provider.rejected_claims import RejectedClaims
from oneself.service.identity_provider.settings import IdentityServers
from oneself.service.schema.identity_bindings import with_bound
from oneself.store.database import Database
from oneself.store.directory import Directory
from oneself.store.tables.claim_sync import ClaimSyncProgress, ClaimSyncTable
from oneself.store.transaction import Tables

_logger = structlog.get_logger("oneself.claims")

INTERFACE = "claims"
#: Lease duration. Another process takes over from one that has not renewed its lease.
LEASE_S = 10.0
HEARTBEAT_S = 3.0
#: How often a process looks for requests of other processes.
POLL_S = 2.0
#: How often organisations with a new identity server are scheduled.
SCHEDULE_S = 10.0
#: How long a command waits for another process that reads the same claims.
LEASE_TIMEOUT_S = 90.0
FAILURE_CHARS_MAX = 500
DIFFERS_IN_CASE = "its name differs only in case from another attribute"


class ClaimSource(Protocol):
    """Reads all claims of an organisation, or raises IdentityServerFailed."""

    async def read_claims(self, connection: Connection, org: str) -> ClaimSet: ...


class ClaimSync:
    """Mirrors the claims of identity servers."""

    def __init__(
        self,
        database: Database,
        configurations: Configurations,
        organisations: Organisations,
        servers: IdentityServers,
        source: ClaimSource,
        rejected: RejectedClaims,
        *,
        interval_s: float,
        poll_s: float = POLL_S,
        schedule_s: float = SCHEDULE_S,
    ) -> None:
        self._database = database
        self._directory = Directory(database)
        self._configurations = configurations
        self._organisations = organisations
        self._servers = servers
        self._source = source
        self._rejected = rejected
        self._interval_s = interval_s
        self._poll_s = poll_s
        self._schedule_s = schedule_s
        self._requested = asyncio.Event()
        self._scheduled_at = float("-inf")

    async def request(self, dataset_ref: DatasetRef) -> None:
        """Request that the claims are read again, soon; durable when it returns."""
        await self._of(dataset_ref).request()
        self._requested.set()

    async def fetch(self, dataset_ref: DatasetRef) -> tuple[RequiredAttribute, ...] | None:
        """The attributes that the claims of the identity server require; None without such a server.

        Raises IdentityServerFailed.
        """
        connection = await self._servers.find(dataset_ref)
        if connection is None:
            return None
        claims = await self._source.read_claims(connection, dataset_ref.handle)
        if not claims.local or not claims.dialects:
            # Every server has claims; mirroring an empty answer would remove every attribute.
            raise IdentityServerFailed("The identity server returned no claims.")
        return required_attributes(claims.local, claims.dialects)

    async def apply(
        self, dataset_ref: DatasetRef, required: Sequence[RequiredAttribute]
    ) -> MirroredAttributes:
        """Make the identity attributes the required ones and those that are bound, in one change or none."""
        new_id = await self.attribute_ids(dataset_ref, required)
        outcome: list[MirroredAttributes] = []

        def decide(config: Config) -> ConfigChange | None:
            change, mirrored = reconcile(config.schema, with_bound(config, required), new_id)
            outcome[:] = [mirrored]
            return change

        await self._configurations.change(dataset_ref.dataset_id, decide, interface=INTERFACE)
        skipped = [RejectedClaimValue(name, DIFFERS_IN_CASE) for name in outcome[0].skipped]
        self._rejected.count(dataset_ref, skipped)
        return outcome[0]

    async def attribute_ids(
        self, dataset_ref: DatasetRef, required: Sequence[RequiredAttribute]
    ) -> Callable[[str], str]:
        """Name → id for attributes that the schema lacks: the last id of the name, else a new one."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        # A name from a path may contain NUL, which PostgreSQL rejects.
        names = [name for name in missing_names(config.schema, required) if is_name(name)]
        ids = await Tables(self._database, dataset_ref.dataset_id).attribute_history.find_ids(names)
        return lambda name: ids.setdefault(name, str(uuid.uuid4()))

    async def run_now(self, dataset_ref: DatasetRef) -> MirroredAttributes:
        """Read and mirror the claims of one organisation at once.

        Raises IdentityServerFailed; Contended if another process still reads them after LEASE_TIMEOUT_S.
        """
        deadline = time.monotonic() + LEASE_TIMEOUT_S
        while (requested := await self._of(dataset_ref).lease(LEASE_S)) is None:
            if time.monotonic() > deadline:
                raise Contended("Another process is reading these claims.")
            await asyncio.sleep(self._poll_s / 4)
        return await self._mirror_and_record(dataset_ref, requested)

    async def progress(self, dataset_ref: DatasetRef) -> ClaimSyncProgress | None:
        """How far an organisation's claims are mirrored; None if that was never requested."""
        return await self._of(dataset_ref).find()

    async def run(self) -> None:
        """Work until cancelled. Another process takes over what is interrupted."""
        while True:
            try:
                await self._schedule()
                while await self.step():
                    pass
                await self._rejected.flush()
            except OneselfError as error:
                _logger.warning("claim_sync_interrupted", cause=type(error).__name__)
            self._requested.clear()
            try:
                await asyncio.wait_for(self._requested.wait(), self._poll_s)
            except TimeoutError:
                continue

    async def step(self) -> bool:
        """Read the claims of one organisation that is due; False if none is."""
        lease = await self._directory.claim_sync_queue.lease_next(LEASE_S)
        if lease is None:
            return False
        dataset_ref = await self._organisations.get(lease.handle)
        try:
            _log_changes(dataset_ref, await self._mirror_and_record(dataset_ref, lease.requested))
        except IdentityServerFailed as error:
            _logger.warning("claims_not_read", organisation=dataset_ref.handle, cause=error.message)
        return True

    async def _schedule(self) -> None:
        if self._scheduled_at + self._schedule_s > time.monotonic():
            return
        await self._directory.claim_sync_queue.schedule(self._servers.default is not None)
        self._scheduled_at = time.monotonic()

    def _of(self, dataset_ref: DatasetRef) -> ClaimSyncTable:
        return self._directory.of(dataset_ref.org_id).claim_sync

    async def _mirror_and_record(self, dataset_ref: DatasetRef, requested: int) -> MirroredAttributes:
        """Mirror the claims and record the outcome; this process has the lease."""
        async with self._lease_renewed(dataset_ref):
            try:
                enabled, mirrored = await self._mirror(dataset_ref)
            except IdentityServerFailed as error:
                await self._of(dataset_ref).put_failure(error.message[:FAILURE_CHARS_MAX], self._interval_s)
                raise
            # An organisation that is not enabled may be in the middle of its setup.
            pause_s = self._interval_s if enabled else min(self._interval_s, self._schedule_s)
            await self._of(dataset_ref).put_success(requested, pause_s)
        return mirrored

    async def _mirror(self, dataset_ref: DatasetRef) -> tuple[bool, MirroredAttributes]:
        """Whether the service is enabled, and the changes."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        if not config.settings.cds_enabled:
            # Nothing is read: enabling the service reads everything.
            return False, MirroredAttributes()
        required = await self.fetch(dataset_ref)
        mirrored = MirroredAttributes() if required is None else await self.apply(dataset_ref, required)
        return True, mirrored

    @asynccontextmanager
    async def _lease_renewed(self, dataset_ref: DatasetRef) -> AsyncIterator[None]:
        """Renew the lease during the work; give it back if the work is interrupted."""
        renewal = asyncio.create_task(self._renew(dataset_ref))
        try:
            yield
        except IdentityServerFailed:
            raise
        except BaseException:
            await asyncio.shield(self._of(dataset_ref).release())
            raise
        finally:
            renewal.cancel()

    async def _renew(self, dataset_ref: DatasetRef) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            try:
                await self._of(dataset_ref).renew(LEASE_S)
            except OneselfError:
                continue


def _log_changes(dataset_ref: DatasetRef, mirrored: MirroredAttributes) -> None:
    if mirrored != MirroredAttributes():
        counts = {name: len(getattr(mirrored, name)) for name in MirroredAttributes.__struct_fields__}
        _logger.info("claims_mirrored", organisation=dataset_ref.handle, **counts)
