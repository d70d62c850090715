"""Staying in sync: the identity attributes mirror the identity server's claims (wire/cds §13).

    event ─▶ request (a row) ─▶ whoever is free: fetch everything ─▶ reconcile ─▶ one change, or none

Law of this module: a request is kept until it has been answered, by this process or another; one process at
a time reads an organisation's claims; a fetch that fails anywhere changes nothing and is tried again. Without
any event the claims are read every so often, because the identity server never repeats one.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec
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
from oneself.errors import Contended, IdentityServerFailed, OneselfError
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.directory.organisations import Organisations
from oneself.service.identity_provider.rejected_claims import RejectedClaims
from oneself.service.identity_provider.settings import IdentityServers
from oneself.service.schema.bound_attributes import with_bound
from oneself.store.database import Database
from oneself.store.queries import Queries

_sql = Queries("identity_server.sql")
_logger = structlog.get_logger("oneself.claims")

FACE = "claims"
#: A process that says nothing for so long is taken for dead, and another one takes over.
LEASE_S = 10.0
HEARTBEAT_S = 3.0
#: How often a process looks for work that another one's request made.
POLL_S = 2.0
#: How often organisations that came to have an identity server are looked for.
SCHEDULE_S = 10.0
#: How long a person at a command line waits for the process that is at it.
PATIENCE_S = 90.0
FAILURE_CHARS_MAX = 500


class ClaimSource(Protocol):
    """Reads all claims of an organisation, or raises IdentityServerFailed."""

    async def read_claims(self, connection: Connection, org: str) -> ClaimSet: ...


class Progress(msgspec.Struct, frozen=True):
    """How far an organisation's claims are mirrored. Instants in µs since 1970; `failures` since the last
    success; `requested` events of which `done` are answered."""

    requested: int = 0
    done: int = 0
    failures: int = 0
    next_at: int | None = None
    succeeded_at: int | None = None
    failed_at: int | None = None
    failure: str | None = None


class ClaimSync:
    """Mirrors the claims of identity servers."""

    def __init__(
        self,
        database: Database,
        configurations: Configurations,
        organisations: Organisations,
        servers: IdentityServers,
        source: ClaimSource,
        skipped: RejectedClaims,
        *,
        interval_s: float,
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._organisations = organisations
        self._servers = servers
        self._source = source
        self._skipped = skipped
        self._interval_s = interval_s
        self._asked = asyncio.Event()
        self._scheduled_at = float("-inf")

    async def request(self, dataset_ref: DatasetRef) -> None:
        """Have the claims read again, soon; durable when it returns."""
        await self._database.execute(_sql.request_claim_sync, dataset_ref.org_id)
        self._asked.set()

    async def fetch(self, dataset_ref: DatasetRef) -> tuple[RequiredAttribute, ...] | None:
        """The attributes that the claims of the identity server ask for; None without such a server.

        Raises IdentityServerFailed.
        """
        connection = await self._servers.find(dataset_ref)
        if connection is None:
            return None
        claims = await self._source.read_claims(connection, dataset_ref.handle)
        if not claims.local or not claims.dialects:
            # Every server has them; one that shows none would take everybody's attributes away.
            raise IdentityServerFailed("The identity server shows no claims.")
        return required_attributes(claims.local, claims.dialects)

    async def apply(self, dataset_ref: DatasetRef, wanted: Sequence[RequiredAttribute]) -> MirroredAttributes:
        """Make the identity attributes the wanted ones and those that are bound, in one change or none."""
        new_id = await self.attribute_ids(dataset_ref, wanted)
        outcome: list[MirroredAttributes] = []

        def decide(config: Config) -> ConfigChange | None:
            change, mirrored = reconcile(config.schema, with_bound(config, wanted), new_id)
            outcome[:] = [mirrored]
            return change

        await self._configurations.change(dataset_ref.dataset_id, decide, face=FACE)
        return outcome[0]

    async def attribute_ids(
        self, dataset_ref: DatasetRef, wanted: Sequence[RequiredAttribute]
    ) -> Callable[[str], str]:
        """Name → id for attributes that the schema lacks: the one that the name last had, else a new one."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        # PostgreSQL takes no NUL, and a name from a path may have one.
        names = [name for name in missing_names(config.schema, wanted) if is_name(name)]
        found = (
            await self._database.fetch(_sql.find_attribute_ids, dataset_ref.dataset_id, names)
            if names
            else []
        )
        ids = {row["name"]: row["attribute_id"] for row in found}
        return lambda name: ids.setdefault(name, str(uuid.uuid4()))

    async def run_now(self, dataset_ref: DatasetRef) -> MirroredAttributes:
        """Read and mirror the claims of one organisation at once.

        Raises IdentityServerFailed, or Contended when another process does not come to an end with them.
        """
        deadline = time.monotonic() + PATIENCE_S
        while (requested := await self._lease(dataset_ref)) is None:
            if time.monotonic() > deadline:
                raise Contended("Another process is reading these claims.")
            await asyncio.sleep(POLL_S / 4)
        return await self._answer(dataset_ref, requested)

    async def progress(self, dataset_ref: DatasetRef) -> Progress | None:
        """How far an organisation's claims are mirrored; None if nobody ever asked."""
        row = await self._database.fetchrow(_sql.find_claim_sync, dataset_ref.org_id)
        return None if row is None else Progress(**dict(row))

    async def run(self) -> None:
        """Look for work, for ever; cancel to stop. What was begun is taken up by whoever comes next."""
        while True:
            try:
                await self._schedule()
                while await self.step():
                    pass
                await self._skipped.flush()
            except OneselfError as error:
                _logger.warning("claim_sync_interrupted", cause=type(error).__name__)
            self._asked.clear()
            try:
                await asyncio.wait_for(self._asked.wait(), POLL_S)
            except TimeoutError:
                continue

    async def step(self) -> bool:
        """Read the claims of one organisation that is due; False if none is."""
        row = await self._database.fetchrow(_sql.lease_claim_sync, LEASE_S)
        if row is None:
            return False
        dataset_ref = await self._organisations.get(row["handle"])
        try:
            _tell(dataset_ref, await self._answer(dataset_ref, row["requested"]))
        except IdentityServerFailed as error:
            _logger.warning("claims_not_read", organisation=dataset_ref.handle, cause=error.message)
        return True

    async def _schedule(self) -> None:
        if self._scheduled_at + SCHEDULE_S > time.monotonic():
            return
        await self._database.execute(_sql.schedule_claim_sync, self._servers.default is not None)
        self._scheduled_at = time.monotonic()

    async def _lease(self, dataset_ref: DatasetRef) -> int | None:
        requested: int | None = await self._database.fetchval(
            _sql.lease_claim_sync_of, dataset_ref.org_id, LEASE_S
        )
        return requested

    async def _answer(self, dataset_ref: DatasetRef, requested: int) -> MirroredAttributes:
        """Mirror, and record what came of it; the lease is ours."""
        async with self._kept(dataset_ref):
            try:
                enabled, mirrored = await self._mirror(dataset_ref)
            except IdentityServerFailed as error:
                failure = error.message[:FAILURE_CHARS_MAX]
                await self._database.execute(
                    _sql.fail_claim_sync, dataset_ref.org_id, failure, self._interval_s
                )
                raise
            # One that is not enabled may be just being founded.
            rest_s = self._interval_s if enabled else min(self._interval_s, SCHEDULE_S)
            await self._database.execute(_sql.end_claim_sync, dataset_ref.org_id, requested, rest_s)
        return mirrored

    async def _mirror(self, dataset_ref: DatasetRef) -> tuple[bool, MirroredAttributes]:
        """Whether the service is enabled, and what was changed."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        if not config.settings.cds_enabled:
            # Nothing is read: enabling it reads everything (wire/cds §11).
            return False, MirroredAttributes()
        wanted = await self.fetch(dataset_ref)
        mirrored = MirroredAttributes() if wanted is None else await self.apply(dataset_ref, wanted)
        return True, mirrored

    @asynccontextmanager
    async def _kept(self, dataset_ref: DatasetRef) -> AsyncIterator[None]:
        """Keep the lease while somebody works on it; give it back if that is broken off."""
        keeper = asyncio.create_task(self._keep(dataset_ref))
        try:
            yield
        except IdentityServerFailed:
            raise
        except BaseException:
            await asyncio.shield(self._database.execute(_sql.release_claim_sync, dataset_ref.org_id))
            raise
        finally:
            keeper.cancel()

    async def _keep(self, dataset_ref: DatasetRef) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            try:
                await self._database.execute(_sql.keep_claim_sync, dataset_ref.org_id, LEASE_S)
            except OneselfError:
                continue


def _tell(dataset_ref: DatasetRef, mirrored: MirroredAttributes) -> None:
    if mirrored != MirroredAttributes():
        counts = {name: len(getattr(mirrored, name)) for name in MirroredAttributes.__struct_fields__}
        _logger.info("claims_mirrored", organisation=dataset_ref.handle, **counts)
