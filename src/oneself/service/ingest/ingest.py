"""The one write path: every interface hands its observations to `submit`.

Invariants: a batch (see `batcher`) is one transaction. A request is answered when its batch is durable, never
before. A lost race rolls the whole batch back and repeats it, at most ATTEMPTS_MAX times. No batch is
applied in part. Source: docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import NewType
from uuid import UUID

import msgspec
import structlog

from oneself.core.config.configuration import Config
from oneself.core.fold.apply import fold
from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.identity_graph.footprint import graph_footprint
from oneself.core.identity_graph.observe import Observed
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.profiles.profile import Absorbed, Profile
from oneself.core.resolution.evidence import Evidence, extract_evidence
from oneself.core.resolution.footprint import footprint_of
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan, Rejection
from oneself.core.resolution.token_evidence import read_token, visit_identities
from oneself.core.resolution.working_set import WorkingSet
from oneself.errors import Contended, OneselfError, Unavailable
from oneself.service.configuration import Configurations
from oneself.service.ingest.batcher import Batcher, BatchLimits
from oneself.service.ingest.idempotency import KEY_LIFE_US
from oneself.store import identity_graph, working_set
from oneself.store.database import Database
from oneself.store.identity_graph import LoadedGraph
from oneself.store.tables.idempotency_record import IdempotencyRecord
from oneself.store.tables.log import NewEntry
from oneself.store.tombstones import Tombstones
from oneself.store.transaction import Transaction, begin, find_outcome
from oneself.store.working_set import StaleToken
from oneself.telemetry import NullTelemetry, Telemetry

_logger = structlog.get_logger("oneself.ingest")

#: Yield to the event loop after this many decisions (about 1 ms), so that the other batch in flight and new
#: requests make progress.
OBSERVATIONS_PER_YIELD = 40
#: After this many lost races, the requests of a batch get 503; with the delays below, that is about a second.
ATTEMPTS_MAX = 8
RETRY_DELAY_MS = 4
#: How often to ask a restarting server whether it received a commit whose connection broke.
OUTCOME_ATTEMPTS_MAX = 20
OUTCOME_DELAY_MS = 250

#: A rendered response, stored so that a repeat of the request gets it again. Only the interface that made
#: it opens it.
ReplayableResponse = NewType("ReplayableResponse", bytes)


class Resolution(msgspec.Struct, frozen=True):
    """The outcome of an observation that was accepted."""

    #: Its place in the log.
    seq: int
    #: The profile that it addressed, created or was attached to.
    profile: Profile
    #: The profile that remains of all profiles of the person.
    survivor: Profile
    #: The profiles that the survivor absorbed.
    absorbed: tuple[Absorbed, ...]
    #: The configuration by which it was decided.
    config: Config
    #: What it did; None for a repeat.
    plan: Plan | None = None
    #: The stored response of a request with an idempotency key.
    response: ReplayableResponse | None = None
    #: True if the request or event was answered before.
    repeated: bool = False
    #: The identities of an event's visit, type → key.
    identities: dict[str, str] = {}
    #: The profiles that an event merged into the survivor.
    merged: tuple[Profile, ...] = ()
    #: True if the persisted token of an event was valid.
    token_was_valid: bool = False
    #: The tracker of an event's browser, if it has one.
    tracker: str | None = None


class Submission(msgspec.Struct, frozen=True):
    """An observation to ingest, with the options of its request."""

    observation: Observation
    #: From `request_key`. A repeat with the same key and fingerprint gets the first response.
    idempotency_key: str | None = None
    fingerprint: str = ""
    #: Rejects the observation unless the `updated_at` of the unified profile is one of these.
    expected_versions: frozenset[int] | None = None
    #: Makes the response that is stored under the idempotency key.
    render: Callable[[Resolution], ReplayableResponse] | None = None
    #: The version of the configuration by which an interface decoded it. If another version is current, the
    #: interface has to decode it again.
    decoded_by: int | None = None

    @property
    def key(self) -> str | None:
        """The key under which the first response is stored."""
        if self.idempotency_key is not None:
            return self.idempotency_key
        if self.observation.event_id is not None:
            return f"event:{self.observation.event_id}"
        return None


class ObservationRejected(OneselfError):
    """An observation was not accepted and left no trace. `rejection` says why."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.description)
        self.rejection = rejection


KEY_REUSED = "This idempotency key was used for another request."


class IdempotencyKeyReused(OneselfError):
    """The idempotency key belongs to another request."""


class ConfigurationChanged(OneselfError):
    """The interface decoded the observation by a configuration that is no longer the current one."""


class _BatchOutdated(Exception):
    """The batch was prepared with a configuration that is no longer the current one."""


Outcome = Resolution | OneselfError


class Ingest:
    """Ingests observations of any dataset; one batcher per dataset commits them together."""

    def __init__(
        self,
        database: Database,
        configurations: Configurations,
        tombstones: Tombstones | None = None,
        telemetry: Telemetry | None = None,
        *,
        batch_limits: BatchLimits | None = None,
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._tombstones = tombstones or Tombstones("")
        self._telemetry = telemetry or NullTelemetry()
        self._batch_limits = batch_limits
        self._batchers: dict[int, Batcher[Submission, Resolution]] = {}

    async def submit(self, dataset_id: int, submission: Submission) -> Resolution:
        """The outcome of an observation, once it is durable.

        Raises ObservationRejected, IdempotencyKeyReused, ConfigurationChanged, Contended (try again) or
        Unavailable (no connection to the database).
        """
        batcher = self._batchers.get(dataset_id)
        if batcher is None:
            writer = _BatchWriter(
                dataset_id, self._database, self._configurations, self._tombstones, self._telemetry
            )
            batcher = self._batchers[dataset_id] = Batcher(writer.commit, _conflict_keys, self._batch_limits)
        return await batcher.submit(submission)

    async def close(self) -> None:
        """Wait until every submitted observation has its outcome."""
        await asyncio.gather(*(batcher.idle() for batcher in self._batchers.values()))


def _conflict_keys(submission: Submission) -> frozenset[Hashable]:
    """What a submission names, as sent. Batches that share a key are never in flight together."""
    observation = submission.observation
    # Observations of a reindex job keep their order, because the older claim decides who is merged.
    job = "reindex" if policy_of(observation).reads_stored_values else None
    return frozenset((*observation.identifiers, observation.profile_id, submission.key, job)) - {None}


class _BatchWriter:
    """Commits batches of one dataset."""

    def __init__(
        self,
        dataset_id: int,
        database: Database,
        configurations: Configurations,
        tombstones: Tombstones,
        telemetry: Telemetry,
    ) -> None:
        self._telemetry = telemetry
        self._tombstones = tombstones
        self._dataset_id = dataset_id
        self._database = database
        self._configurations = configurations

    async def commit(self, submissions: list[Submission]) -> list[Outcome | Exception]:
        """Bounded attempts at one batch."""
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
            except Contended as error:
                cause = type(error).__name__
            self._telemetry.batch_retried(cause)
            _logger.info("lost_race", dataset_id=self._dataset_id, attempt=attempt, cause=cause)
            await asyncio.sleep(random.uniform(0, RETRY_DELAY_MS * 2**attempt) / 1000)
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
        decision: _BatchDecision | None = None
        transaction_id, started_s = "", time.perf_counter()
        try:
            async with begin(self._database, self._dataset_id) as transaction:
                await transaction.lock_identifiers(footprint.identifiers, footprint.keys)
                state, records = await working_set.gather(transaction, footprint)
                graph = await identity_graph.gather(
                    transaction, graph_footprint(named, config, rules), rules, state.known_ids
                )
                clock = await transaction.read_clock()
                transaction_id = clock.transaction_id
                if clock.config_version != config.version:
                    await self._configurations.load(transaction)
                    raise _BatchOutdated
                erased = await self._find_erased(transaction, submissions, evidence)
                decision = _BatchDecision(state, graph, records, config, clock.now, erased)
                for number, (submission, found) in enumerate(zip(submissions, evidence, strict=True), 1):
                    decision.decide(submission, found)
                    if number % OBSERVATIONS_PER_YIELD == 0:
                        await asyncio.sleep(0)
                await decision.save(transaction)
        except Unavailable:
            if decision is None or not await self._was_committed(transaction_id, decision):
                raise
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
        return await self._tombstones.find(transaction, named)

    async def _was_committed(self, transaction_id: str, decision: _BatchDecision) -> bool:
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


class _BatchDecision:
    """A batch of decisions, one submission after another, in the order of arrival."""

    def __init__(
        self,
        state: WorkingSet,
        graph: LoadedGraph,
        records: dict[str, IdempotencyRecord],
        config: Config,
        now: int,
        erased: dict[Identifier, int],
    ) -> None:
        self.outcomes: list[Outcome | Exception] = []
        self._erased = erased
        self._state = state
        self._graph = graph
        self._records = records
        self._config = config
        self._entries: list[NewEntry] = []
        self._new_records: list[IdempotencyRecord] = []
        # A hybrid logical clock: the current instant, but later than every profile of the batch.
        seqs = [profile.seq for profile in state.profiles.values()]
        self._seq = max(now, config.seq + 1, max(seqs, default=0) + 1, graph.latest_seq + 1)

    def decide(self, submission: Submission, evidence: Evidence) -> None:
        stored = self._records.get(submission.key) if submission.key is not None else None
        if stored is not None:
            self.outcomes.append(self._replay_response(submission, stored))
        else:
            self.outcomes.append(self._decide_new(submission, evidence))

    @property
    def plans(self) -> list[Plan]:
        """The plans that were applied."""
        return [entry.plan for entry in self._entries]

    @property
    def first_entry(self) -> NewEntry | None:
        """The first log entry of the batch; None if it only replays responses or rejects."""
        return self._entries[0] if self._entries else None

    async def save(self, transaction: Transaction) -> None:
        await working_set.save(transaction, self._state, self._entries, self._new_records)
        await identity_graph.save(transaction, self._graph)

    def _replay_response(self, submission: Submission, stored: IdempotencyRecord) -> Outcome:
        survivor = self._state.survivor(stored.profile_id)
        is_same = stored.fingerprint == submission.fingerprint
        # An erasure deletes the fingerprints of the person's requests, but not its own.
        if survivor is None and (is_same or not stored.fingerprint):
            return ObservationRejected(
                Rejection("profile_not_found", f"Profile {stored.profile_id} not found")
            )
        if survivor is None or not is_same:
            return IdempotencyKeyReused(KEY_REUSED)
        response = None if stored.response is None else ReplayableResponse(stored.response)
        return self._resolution(stored.seq, stored.profile_id, survivor, response=response, repeated=True)

    def _decide_new(self, submission: Submission, evidence: Evidence) -> Outcome:
        observation = submission.observation
        if submission.decoded_by not in (None, self._config.version):
            return ConfigurationChanged("The configuration has changed.")
        if self._is_stale(submission):
            return ObservationRejected(Rejection("stale", "The profile was changed in the meantime."))
        if self._erased and self._was_erased(observation, evidence):
            return ObservationRejected(
                Rejection("erased", "The person was erased after this event occurred; it was not stored.")
            )
        seq = self._seq
        token_evidence = read_token(self._state, observation, evidence.persons, self._config)
        if observation.token is not None:
            evidence = msgspec.structs.replace(evidence, token_evidence=token_evidence)
        plan = fold(self._state, observation, self._config, seq, evidence)
        if isinstance(plan, Rejection):
            return ObservationRejected(plan)
        self._seq += 1
        if observation.token is not None and not (token_evidence is not None and token_evidence.identifies):
            # A token that identifies no profile decided nothing and may be another person's.
            observation = msgspec.structs.replace(observation, token=None)
        self._entries.append(NewEntry(seq, observation, plan, self._config.version))
        unified = self._state.unified_ids(observation.profile_id or plan.profile_id)
        observed = Observed(observation, evidence, seq, self._config, self._graph.rules)
        self._graph.observe(observed, plan.profile_id, unified)
        survivor = self._state.profiles[plan.survivor_id]
        resolution = self._resolution(seq, observation.profile_id or plan.profile_id, survivor, plan=plan)
        if policy_of(observation).answer == "visit":
            identities = visit_identities(
                self._state, observation, evidence.persons, token_evidence, survivor
            )
            resolution = msgspec.structs.replace(
                resolution,
                identities=identities,
                merged=tuple(self._state.profiles[merge.absorbed_id] for merge in plan.merges),
                token_was_valid=token_evidence is not None,
                tracker=self._tracker(observation),
            )
        return self._with_stored_response(submission, resolution)

    def _tracker(self, observation: Observation) -> str | None:
        """The tracker that was sent if a profile holds it, else the one that was made for the browser."""
        sent = (identifier for identifier in observation.identifiers if identifier.namespace == TRACKER)
        alive = next((tracker.value for tracker in sent if self._state.claims_of(tracker)), None)
        return alive or observation.new_tracker

    def _was_erased(self, observation: Observation, evidence: Evidence) -> bool:
        """True if it happened before a person that it names was erased (docs/concepts/trust.md)."""
        happened = observation.occurred_at
        return happened is not None and any(
            self._erased.get(identifier, happened) > happened for identifier in evidence.identifiers
        )

    def _is_stale(self, submission: Submission) -> bool:
        addressed = submission.observation.profile_id
        if submission.expected_versions is None or addressed is None:
            return False
        survivor = self._state.survivor(addressed)
        return survivor is not None and survivor.updated_at not in submission.expected_versions

    def _with_stored_response(self, submission: Submission, resolution: Resolution) -> Resolution:
        """Store the response, so that a repeat gets it."""
        if submission.key is None:
            return resolution
        response = submission.render(resolution) if submission.render else None
        stored = IdempotencyRecord(
            key=submission.key,
            seq=resolution.seq,
            profile_id=resolution.profile.profile_id,
            fingerprint=submission.fingerprint,
            response=response,
            # Ids of events are deduplicated for as long as the log exists.
            expires_at=None if submission.idempotency_key is None else resolution.seq + KEY_LIFE_US,
        )
        self._records[stored.key] = stored
        self._new_records.append(stored)
        return msgspec.structs.replace(resolution, response=response)

    def _resolution(
        self,
        seq: int,
        profile_id: UUID,
        survivor: Profile,
        *,
        plan: Plan | None = None,
        response: ReplayableResponse | None = None,
        repeated: bool = False,
    ) -> Resolution:
        return Resolution(
            seq=seq,
            profile=self._state.profiles[profile_id],
            survivor=survivor,
            absorbed=self._state.members.get(survivor.profile_id, ()),
            config=self._config,
            plan=plan,
            response=response,
            repeated=repeated,
        )
