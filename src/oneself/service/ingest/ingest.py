"""The one write path: every interface hands its observations to `submit`.

Invariants: a batch (see `batcher`) is one transaction. A request is answered when its batch is durable, never
before. A lost race rolls the whole batch back and repeats it, at most ATTEMPTS_MAX times. No batch is
applied in part. Source: docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from contextlib import suppress

import structlog

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.footprint import graph_footprint
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.evidence import Evidence, extract_evidence
from oneself.core.resolution.footprint import footprint_of
from oneself.core.resolution.kinds import policy_of
from oneself.core.values.patch import writes_once
from oneself.errors import Contended, Occupied, Unavailable
from oneself.service.configuration import Configurations
from oneself.service.ingest.asked_view import AskedView
from oneself.service.ingest.batch_decision import BatchDecision
from oneself.service.ingest.batcher import Batcher, BatchLimits
from oneself.service.ingest.submission import (
    Outcome,
    Resolution,
    Submission,
)
from oneself.service.lost_races import ATTEMPTS_MAX, pause
from oneself.store import identity_graph, working_set
from oneself.store.database import Database
from oneself.store.tombstones import Tombstones, exactly
from oneself.store.transaction import (
    Transaction,
    begin_locked,
    find_outcome,
    hashes_of,
    hashes_of_profiles,
)
from oneself.store.view_reader import Viewed
from oneself.store.wide_lock import wait_until_released
from oneself.store.working_set import StaleToken
from oneself.telemetry import NullTelemetry, Telemetry

_logger = structlog.get_logger("oneself.ingest")

#: Yield to the event loop after this many decisions (about 1 ms), so that the other batch in flight and new
#: requests make progress.
OBSERVATIONS_PER_YIELD = 40
#: How often to ask a restarting server whether it received a commit whose connection broke.
OUTCOME_ATTEMPTS_MAX = 20
OUTCOME_DELAY_MS = 250
#: How many observations wait at once for decisions about very many profiles; others get Contended.
OCCUPIED_MAX = 20_000


class _BatchOutdated(Exception):
    """The batch was prepared with a configuration that is no longer the current one."""


class Ingest:
    """Ingests observations of any dataset; one batcher per dataset commits them together.

    `on_unreconciled`: called after a batch that listed fragments which are to be reconciled.
    """

    def __init__(
        self,
        database: Database,
        configurations: Configurations,
        tombstones: Tombstones | None = None,
        telemetry: Telemetry | None = None,
        *,
        batch_limits: BatchLimits | None = None,
        on_unreconciled: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_unreconciled = on_unreconciled
        self._database = database
        self._configurations = configurations
        #: By which it recognises who was erased.
        self.tombstones = tombstones or Tombstones("")
        self._telemetry = telemetry or NullTelemetry()
        self._batch_limits = batch_limits
        self._batchers: dict[int, Batcher[Submission, Resolution]] = {}
        #: Dataset → the wait for a decision about very many profiles.
        self._released: dict[int, asyncio.Task[None]] = {}
        #: How many observations wait for such decisions.
        self._occupied = 0

    async def submit(self, dataset_id: int, submission: Submission) -> Resolution:
        """The outcome of an observation, once it is durable.

        Raises ObservationRejected, IdempotencyKeyReused, ConfigurationChanged, Contended (try again) or
        Unavailable (no connection to the database).
        """
        batcher = self._batchers.get(dataset_id)
        if batcher is None:
            writer = _BatchWriter(
                dataset_id,
                self._database,
                self._configurations,
                self.tombstones,
                self._telemetry,
                self._on_unreconciled,
            )
            batcher = self._batchers[dataset_id] = Batcher(writer.commit, _conflict_keys, self._batch_limits)
        while True:
            try:
                return await batcher.submit(submission)
            except Occupied:
                await self._wait_until_released(dataset_id)

    async def _wait_until_released(self, dataset_id: int) -> None:
        """Wait until a decision about very many profiles is made, all observations in the order of arrival.

        Raises Contended when too many wait.
        """
        waiting = self._released.get(dataset_id)
        if waiting is None:
            waiting = asyncio.create_task(wait_until_released(self._database, dataset_id))
            self._released[dataset_id] = waiting
            waiting.add_done_callback(lambda _: self._released.pop(dataset_id))
        if self._occupied >= OCCUPIED_MAX:
            raise Contended("Too many observations are waiting.")
        self._occupied += 1
        try:
            # Whoever gives up does not end the wait of the others.
            await asyncio.shield(waiting)
        finally:
            self._occupied -= 1

    async def close(self) -> None:
        """Wait until every submitted observation has its outcome."""
        await asyncio.gather(*(batcher.idle() for batcher in self._batchers.values()))


def _conflict_keys(submission: Submission) -> frozenset[Hashable]:
    """What a submission names, as sent. Batches that share a key are never in flight together."""
    observation = submission.observation
    # Observations of a reindex job keep their order, because the older claim decides who is merged.
    job = "reindex" if policy_of(observation).reads_stored_values else None
    return frozenset((*observation.identifiers, observation.profile_id, submission.key, job)) - {None}


def _only_names(submission: Submission) -> bool:
    """Whether it is an event of a page that names people or browsers and writes nothing else, as most are.

    What is stored of them is found by keys alone: none changes who is with whom in the views that are stored.
    """
    observation = submission.observation
    if policy_of(observation).values_policy != "event" or observation.trust != "browser":
        return False
    return not (observation.values or observation.choices) and submission.view == "all"


async def _find_seen(
    transaction: Transaction, submissions: list[Submission], config: Config
) -> dict[AskedView, Viewed]:
    """What callers see in narrower views: of conditional requests, of those with a tracker, and of writes
    and users that what is stored may forbid."""
    found: dict[AskedView, Viewed] = {}
    for submission in submissions:
        profile_id = submission.observation.profile_id
        if profile_id is None or submission.view == "all":
            continue
        is_compared = submission.expected_versions is not None or submission.by_tracker is not None
        names_user = any(item.namespace == USER_ID for item in submission.observation.identifiers)
        if not (is_compared or names_user or writes_once(config.schema, submission.observation.values)):
            continue
        asked = submission.asked(profile_id)
        if asked not in found and (viewed := await asked.read(transaction, config)) is not None:
            found[asked] = viewed
    return found


class _BatchWriter:
    """Commits batches of one dataset."""

    def __init__(
        self,
        dataset_id: int,
        database: Database,
        configurations: Configurations,
        tombstones: Tombstones,
        telemetry: Telemetry,
        on_unreconciled: Callable[[], None],
    ) -> None:
        self._on_unreconciled = on_unreconciled
        self._telemetry = telemetry
        self._tombstones = tombstones
        self._dataset_id = dataset_id
        self._database = database
        self._configurations = configurations

    async def commit(self, submissions: list[Submission]) -> list[Outcome | Exception]:
        """The outcomes of one batch, Occupied for observations that have to wait for a decision."""
        try:
            return await self._commit(submissions)
        except Occupied as error:
            waits = [self._names_any(item, error.names) for item in submissions]
            if not any(waits) or all(waits):
                return [error] * len(submissions)
            left = [item for item, is_waiting in zip(submissions, waits, strict=True) if not is_waiting]
            outcomes = iter(await self.commit(left))
            return [error if is_waiting else next(outcomes) for is_waiting in waits]

    def _names_any(self, submission: Submission, names: frozenset[int]) -> bool:
        """Whether an observation locks or addresses one of these, by their hashes."""
        config = self._configurations.known(self._dataset_id)
        assert config is not None
        observation = submission.observation
        named = [(observation, extract_evidence(observation, config))]
        keys = frozenset[str]() if submission.key is None else frozenset({submission.key})
        footprint = footprint_of(named, config, keys=keys, try_token_fast_path=False)
        hashes = hashes_of(self._dataset_id, footprint.identifiers, footprint.keys)
        return not names.isdisjoint(hashes + hashes_of_profiles(self._dataset_id, footprint.profile_ids))

    async def _commit(self, submissions: list[Submission]) -> list[Outcome | Exception]:
        """Bounded attempts at one batch. Raises Occupied, Contended."""
        try_token_fast_path = True
        for attempt in range(ATTEMPTS_MAX):
            try:
                return await self._attempt(submissions, try_token_fast_path=try_token_fast_path)
            except _BatchOutdated:
                self._telemetry.batch_retried("configuration_moved")
                continue
            except StaleToken:
                self._telemetry.batch_retried("tokens_past")
                try_token_fast_path = False
                continue
            except Occupied:
                self._telemetry.batch_retried("decided_about")
                raise
            except Contended as error:
                cause = type(error).__name__
            self._telemetry.batch_retried(cause)
            _logger.info("lost_race", dataset_id=self._dataset_id, attempt=attempt, cause=cause)
            await pause(attempt)
        raise Contended("Too many other requests write to the same people.")

    async def _attempt(
        self, submissions: list[Submission], *, try_token_fast_path: bool
    ) -> list[Outcome | Exception]:
        config = self._configurations.known(self._dataset_id)
        if config is None:
            config = await self._configurations.current(self._dataset_id)
        evidence = [extract_evidence(submission.observation, config) for submission in submissions]
        named = [(item.observation, found) for item, found in zip(submissions, evidence, strict=True)]
        rules = graph_rules(config)
        footprint = footprint_of(
            named,
            config,
            keys=frozenset(item.key for item in submissions if item.key is not None),
            try_token_fast_path=try_token_fast_path,
        )
        decision: BatchDecision | None = None
        transaction_id, started_s = "", time.perf_counter()
        try:
            locked = footprint.identifiers, footprint.keys
            plans_once = all(map(_only_names, submissions))
            async with begin_locked(
                self._database,
                self._dataset_id,
                *locked,
                profile_ids=footprint.profile_ids,
                plans_once=plans_once,
            ) as transaction:
                state, records = await working_set.gather(transaction, footprint)
                is_viewed = any(item.view != "all" for item in submissions)
                touched = graph_footprint(named, config, rules, is_viewed=is_viewed)
                reindexed = state.known_ids if touched.reindexes else ()
                graph = await identity_graph.gather(transaction, touched, rules, reindexed)
                clock = graph.clock or await transaction.read_clock()
                transaction_id = clock.transaction_id
                if clock.config_version != config.version:
                    await self._configurations.load(transaction)
                    raise _BatchOutdated
                if clock.has_separations:
                    await working_set.add_separations(transaction, state)
                erased = await self._find_erased(transaction, submissions, evidence)
                seen = await _find_seen(transaction, submissions, config)
                decision = BatchDecision(state, graph, records, config, clock.now, erased, seen)
                for number, (submission, found) in enumerate(zip(submissions, evidence, strict=True), 1):
                    decision.decide(submission, found)
                    if number % OBSERVATIONS_PER_YIELD == 0:
                        await asyncio.sleep(0)
                await decision.save(transaction)
        except Unavailable:
            if decision is None or not await self._was_committed(transaction_id, decision):
                raise
        if decision.lists_unreconciled:
            self._on_unreconciled()
        self._telemetry.batch_committed(len(submissions), time.perf_counter() - started_s)
        self._telemetry.plans_applied(decision.plans)
        return decision.outcomes

    async def _find_erased(
        self, transaction: Transaction, submissions: list[Submission], evidence: list[Evidence]
    ) -> dict[Identifier, int]:
        """The identifiers of late observations that belonged to people who were erased since."""
        both = zip(submissions, evidence, strict=True)
        late = [found for item, found in both if item.observation.occurred_at is not None]
        named = {identifier for found in late for identifier in found.identifiers}
        named.update(exactly(found.persons) for found in late if found.persons)
        return await self._tombstones.find(transaction, named)

    async def _was_committed(self, transaction_id: str, decision: BatchDecision) -> bool:
        """Whether a commit whose response was lost had happened; raises Unavailable if that stays unknown."""
        if decision.first_entry is None:
            return True
        entry = decision.first_entry.seq, decision.first_entry.observation.observation_id
        for _ in range(OUTCOME_ATTEMPTS_MAX):
            with suppress(Unavailable):
                outcome = await find_outcome(self._database, self._dataset_id, transaction_id, entry)
                if outcome is not None:
                    return outcome
            await asyncio.sleep(OUTCOME_DELAY_MS / 1000)
        raise Unavailable("The connection to the database broke during a commit.")
