"""The unit of work: one transaction on one dataset, with a repository per table.

Invariants: a repository runs statements and decides nothing. Which tables a statement means is the business
of the connection: `store/shadow.py` puts scratch tables before the live ones.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast
from uuid import UUID

from oneself.core.identity.identifier import Identifier
from oneself.errors import Occupied
from oneself.store.clock import TransactionClock, read_clock
from oneself.store.directory import DirectoryTables
from oneself.store.queries import Queries
from oneself.store.rows import config_hash, lock_hash
from oneself.store.tables.attribute_history import AttributeHistory
from oneself.store.tables.browser import BrowserTable
from oneself.store.tables.claim import ClaimTable
from oneself.store.tables.config import ConfigTable
from oneself.store.tables.dropped_value import DroppedValueTable
from oneself.store.tables.event import EventTable
from oneself.store.tables.explanation import ExplanationTable
from oneself.store.tables.fragment import FragmentTable
from oneself.store.tables.idempotency_record import IdempotencyTable
from oneself.store.tables.issuer_claims import IssuerClaimsTable
from oneself.store.tables.join_review import JoinReviewTable
from oneself.store.tables.log import LogTable
from oneself.store.tables.merge import MergeTable
from oneself.store.tables.overview import OverviewTable
from oneself.store.tables.person_join import PersonJoinTable
from oneself.store.tables.profile import ProfileTable
from oneself.store.tables.profile_change import ProfileChangeTable
from oneself.store.tables.profile_listing import ProfileListingTable
from oneself.store.tables.refusal import RefusalTable
from oneself.store.tables.reindex_job import ReindexJobTable
from oneself.store.tables.separation import SeparationTable
from oneself.store.tables.skipped_claim import RejectedClaimTable
from oneself.store.tables.tombstone import TombstoneTable
from oneself.store.tables.unreconciled_fragment import UnreconciledFragmentTable
from oneself.store.tables.verification_queue import VerificationQueueTable
from oneself.store.tables.verified_claim import VerifiedClaimTable
from oneself.store.tables.view_profile import ViewProfileTable
from oneself.store.tables.wide_lock import WideLockTable
from oneself.store.tables.write_key import WriteKeyTable
from oneself.store.write_queue import WriteQueue

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database
    from oneself.store.tables.table import Executor

_sql = Queries("transaction", folder=".")
#: A statement for each lock is parsed faster than one for all, as long as they are few.
LOCKED_SINGLY_MAX = 4
#: How long a process relies on having seen no wide lock of a dataset (see `wide_lock`).
RELIED_ON_S = 1.0


class Tables:
    """The tables of one dataset. A repository is two references, made when it is asked for."""

    __slots__ = ("_executor", "dataset_id")

    def __init__(self, executor: Executor, dataset_id: int) -> None:
        self._executor = executor
        self.dataset_id = dataset_id

    def of(self, dataset_id: int) -> Tables:
        """The tables of another dataset, as the same transaction or connection sees them."""
        return Tables(self._executor, dataset_id)

    @property
    def directory(self) -> DirectoryTables:
        """What belongs to organisations, as the same transaction or connection sees it."""
        return DirectoryTables(self._executor)

    @property
    def attribute_history(self) -> AttributeHistory:
        return AttributeHistory(self._executor, self.dataset_id)

    @property
    def rejected_claims(self) -> RejectedClaimTable:
        return RejectedClaimTable(self._executor, self.dataset_id)

    @property
    def browsers(self) -> BrowserTable:
        return BrowserTable(self._executor, self.dataset_id)

    @property
    def claims(self) -> ClaimTable:
        return ClaimTable(self._executor, self.dataset_id)

    @property
    def config(self) -> ConfigTable:
        return ConfigTable(self._executor, self.dataset_id)

    @property
    def dropped_values(self) -> DroppedValueTable:
        return DroppedValueTable(self._executor, self.dataset_id)

    @property
    def events(self) -> EventTable:
        return EventTable(self._executor, self.dataset_id)

    @property
    def explanations(self) -> ExplanationTable:
        return ExplanationTable(self._executor, self.dataset_id)

    @property
    def fragments(self) -> FragmentTable:
        return FragmentTable(self._executor, self.dataset_id)

    @property
    def idempotency_records(self) -> IdempotencyTable:
        return IdempotencyTable(self._executor, self.dataset_id)

    @property
    def issuer_claims(self) -> IssuerClaimsTable:
        return IssuerClaimsTable(self._executor, self.dataset_id)

    @property
    def join_reviews(self) -> JoinReviewTable:
        return JoinReviewTable(self._executor, self.dataset_id)

    @property
    def log(self) -> LogTable:
        return LogTable(self._executor, self.dataset_id)

    @property
    def merges(self) -> MergeTable:
        return MergeTable(self._executor, self.dataset_id)

    @property
    def overview(self) -> OverviewTable:
        return OverviewTable(self._executor, self.dataset_id)

    @property
    def person_joins(self) -> PersonJoinTable:
        return PersonJoinTable(self._executor, self.dataset_id)

    @property
    def profile_changes(self) -> ProfileChangeTable:
        return ProfileChangeTable(self._executor, self.dataset_id)

    @property
    def profile_listing(self) -> ProfileListingTable:
        return ProfileListingTable(self._executor, self.dataset_id)

    @property
    def profiles(self) -> ProfileTable:
        return ProfileTable(self._executor, self.dataset_id)

    @property
    def refusals(self) -> RefusalTable:
        return RefusalTable(self._executor, self.dataset_id)

    @property
    def reindex_jobs(self) -> ReindexJobTable:
        return ReindexJobTable(self._executor, self.dataset_id)

    @property
    def separations(self) -> SeparationTable:
        return SeparationTable(self._executor, self.dataset_id)

    @property
    def tombstones(self) -> TombstoneTable:
        return TombstoneTable(self._executor, self.dataset_id)

    @property
    def unreconciled_fragments(self) -> UnreconciledFragmentTable:
        return UnreconciledFragmentTable(self._executor, self.dataset_id)

    @property
    def verification_queue(self) -> VerificationQueueTable:
        return VerificationQueueTable(self._executor, self.dataset_id)

    @property
    def verified_claims(self) -> VerifiedClaimTable:
        return VerifiedClaimTable(self._executor, self.dataset_id)

    @property
    def view_profiles(self) -> ViewProfileTable:
        return ViewProfileTable(self._executor, self.dataset_id)

    @property
    def wide_locks(self) -> WideLockTable:
        return WideLockTable(self._executor, self.dataset_id)

    @property
    def write_keys(self) -> WriteKeyTable:
        return WriteKeyTable(self._executor, self.dataset_id)


class Transaction(Tables):
    """A transaction on one dataset, over an open connection.

    `later`: its tables for writes that `flush` sends together, at the latest before the commit.
    """

    __slots__ = ("_queue", "connection", "has_wide_lock", "is_alone", "later")

    def __init__(self, connection: Connection, dataset_id: int) -> None:
        super().__init__(connection, dataset_id)
        self.connection = connection
        #: Whether nobody else may write to the dataset until it ends.
        self.is_alone = False
        self.has_wide_lock = False
        self._queue = WriteQueue()
        self.later = Tables(cast("Executor", self._queue), dataset_id)

    async def flush(self) -> None:
        """Send what was written to `later`."""
        await self._queue.flush(self.connection)

    async def allow_idle(self, seconds: int) -> None:
        """Let the transaction be idle for so long at a time: the process computes meanwhile."""
        await self.connection.execute(_sql.allow_idle, f"{seconds}s")

    async def lock_identifiers(self, identifiers: Iterable[Identifier], keys: Iterable[str] = ()) -> None:
        """Lock identifiers and request keys in one sorted order, and keep the configuration as it is.

        Raises Occupied.
        """
        hashes = hashes_of(self.dataset_id, identifiers, keys)
        await self.connection.execute(_sql.lock_identifiers, config_hash(self.dataset_id), hashes)
        if hashes and not self.has_wide_lock:
            await self.check_free(hashes)

    async def check_free(self, names: Collection[int]) -> bool:
        """Whether the dataset has no wide lock. Raises Occupied if one has some of these names.

        `names`: hashes. Call it when they are locked, and before anything is read that they lead to.
        """
        locked = await self.wide_locks.find_locked(names)
        if locked:
            raise Occupied(frozenset(locked))
        return locked is None

    async def lock_config(self) -> None:
        """Wait for every transaction that ingests into the dataset, and keep others out.

        Raises Occupied instead of waiting for a decision about very many profiles, because others would wait
        behind this transaction.
        """
        if await self.wide_locks.is_in_force():
            raise Occupied
        await self.connection.execute(_sql.lock_config, config_hash(self.dataset_id))
        self.is_alone = True

    async def read_clock(self) -> TransactionClock:
        """The instant of this transaction.

        Read it after all locks are held: a concurrent transaction may have read a profile of this one without
        raising its seq, and its log entry must come first.
        """
        row = await self.connection.fetchrow(_sql.read_clock, self.dataset_id)
        assert row is not None
        return read_clock(row)


@asynccontextmanager
async def begin(database: Database, dataset_id: int) -> AsyncIterator[Transaction]:
    """One READ COMMITTED transaction: commits at the end, rolls back when anything is raised.

    Raises Contended when the transaction lost a race, Unavailable when the connection is lost.
    """
    async with database.transaction() as connection:
        transaction = Transaction(connection, dataset_id)
        yield transaction
        await transaction.flush()


@asynccontextmanager
async def begin_locked(
    database: Database,
    dataset_id: int,
    identifiers: Iterable[Identifier],
    keys: Iterable[str] = (),
    *,
    profile_ids: Iterable[UUID] = (),
    plans_once: bool = False,
) -> AsyncIterator[Transaction]:
    """The same, begun with `Transaction.lock_identifiers`, in one message to the server. Raises Occupied.

    `profile_ids`: what is addressed; it is locked when it is read. `plans_once`: each statement is planned
    once for a connection, whatever its parameters are. The statements have to find their rows by a key
    without joins.
    """
    hashes = hashes_of(dataset_id, identifiers, keys)
    if len(hashes) > LOCKED_SINGLY_MAX:
        literals = str(config_hash(dataset_id)), "'{" + ",".join(map(str, hashes)) + "}'"
        lock = _sql.lock_identifiers.replace("$1", literals[0]).replace("$2", literals[1])
    else:
        singly = (_sql.lock_one.replace("$1", str(found)) for found in hashes)
        lock = "; ".join((_sql.lock_shared.replace("$1", str(config_hash(dataset_id))), *singly))
    first = f"{_sql.plan_once}; {lock}" if plans_once else lock
    async with database.transaction(first) as connection:
        transaction = Transaction(connection, dataset_id)
        asked_s = time.monotonic()
        if asked_s - database.free_since_s.get(dataset_id, -RELIED_ON_S) >= RELIED_ON_S:
            addressed = hashes_of_profiles(dataset_id, profile_ids)
            if await transaction.check_free(hashes + addressed):
                database.free_since_s[dataset_id] = asked_s
        yield transaction
        await transaction.flush()


def hashes_of(dataset_id: int, identifiers: Iterable[Identifier], keys: Iterable[str] = ()) -> list[int]:
    """The hashes of identifiers and request keys, sorted."""
    hashes = {lock_hash(dataset_id, i.namespace, i.value) for i in identifiers}
    return sorted(hashes.union(lock_hash(dataset_id, "key", key) for key in keys))


def hashes_of_profiles(dataset_id: int, profile_ids: Iterable[UUID]) -> list[int]:
    """The hashes of profiles, by which a wide lock has them."""
    return [lock_hash(dataset_id, "profile", str(item)) for item in profile_ids]


@asynccontextmanager
async def snapshot(database: Database, dataset_id: int) -> AsyncIterator[Tables]:
    """The tables of a dataset as they are at one instant, to be read only."""
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield Tables(connection, dataset_id)


async def find_outcome(
    database: Database, dataset_id: int, transaction_id: str, entry: tuple[int, UUID]
) -> bool | None:
    """Whether a transaction whose connection broke was committed, by its first log entry (seq, observation);
    None while it is running."""
    row = await database.fetchrow(_sql.find_outcome, dataset_id, transaction_id, *entry)
    assert row is not None
    return None if row["is_running"] else bool(row["is_committed"])
