"""A batch of decisions, one submission after another, in the order of arrival.

Invariants: `core` decides; nothing is written before the whole batch is decided.
Source: docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.activity import fold_activity, fold_new_visitor
from oneself.core.fold.apply import fold
from oneself.core.fold.repetition import fold_repetition
from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.identity_graph.observe import (
    Observed,
    device_that_only_acts,
    fragment_that_repeats,
)
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation, Reindex
from oneself.core.resolution.plan import Plan, Rejection
from oneself.core.resolution.repetition import browser_that_repeats
from oneself.core.resolution.token_evidence import TokenEvidence, read_token, visit_identities
from oneself.core.resolution.working_set import WorkingSet
from oneself.core.values.patch import apply_patch
from oneself.core.values.validation import InvalidValue
from oneself.service.ingest.asked_view import AskedView
from oneself.service.ingest.idempotency import KEY_LIFE_US
from oneself.service.ingest.seen_views import SeenViews
from oneself.service.ingest.submission import (
    KEY_REUSED,
    ConfigurationChanged,
    IdempotencyKeyReused,
    ObservationRejected,
    Outcome,
    ReplayableResponse,
    Resolution,
    Submission,
)
from oneself.store import identity_graph, working_set
from oneself.store.change_recorder import ChangeRecorder
from oneself.store.loaded_graph import LoadedGraph
from oneself.store.tables.fragment import FragmentEntry
from oneself.store.tables.idempotency_record import IdempotencyRecord
from oneself.store.tables.log import NewEntry
from oneself.store.tombstones import exactly
from oneself.store.transaction import Transaction
from oneself.store.view_reader import Viewed


class BatchDecision:
    """A batch of decisions, one submission after another, in the order of arrival."""

    def __init__(
        self,
        state: WorkingSet,
        graph: LoadedGraph,
        records: dict[str, IdempotencyRecord],
        config: Config,
        now: int,
        erased: dict[Identifier, int],
        seen: dict[AskedView, Viewed],
    ) -> None:
        self.outcomes: list[Outcome | Exception] = []
        #: Whether it lists fragments that are to be reconciled.
        self.lists_unreconciled = False
        #: Fragment → the seq of an observation of a server or provider with a merge that was refused, or of a
        #: job that merged by stored values, whoever said these.
        self._unreconciled: dict[UUID, int] = {}
        #: Number of the outcome → a submission that is answered in a narrower view.
        self._viewed: dict[int, Submission] = {}
        self._erased = erased
        self._state = state
        self._graph = graph
        self._records = records
        self._config = config
        self._entries: list[NewEntry] = []
        #: By key.
        self._new_records: dict[str, IdempotencyRecord] = {}
        self._seen = SeenViews(state, graph, seen)
        # A hybrid logical clock: the current instant, but later than every profile of the batch.
        seqs = [profile.seq for profile in state.profiles.values()]
        self._seq = max(now, config.seq + 1, max(seqs, default=0) + 1, graph.latest_seq + 1)

    def decide(self, submission: Submission, evidence: Evidence) -> None:
        stored = self._records.get(submission.key) if submission.key is not None else None
        if stored is not None:
            self.outcomes.append(self._replay_response(submission, stored))
        else:
            self.outcomes.append(self._decide_new(submission, evidence))
        is_answered_now = stored is not None and stored.key not in self._new_records
        if submission.view != "all" and isinstance(self.outcomes[-1], Resolution) and not is_answered_now:
            self._viewed[len(self.outcomes) - 1] = submission

    @property
    def plans(self) -> list[Plan]:
        """The plans that were applied."""
        return [entry.plan for entry in self._entries]

    @property
    def first_entry(self) -> NewEntry | None:
        """The first log entry of the batch; None if it only replays responses or rejects."""
        return self._entries[0] if self._entries else None

    async def save(self, transaction: Transaction) -> None:
        """Write everything. Those who are answered in a narrower view get what it shows then."""
        recorder = self._recorder()
        await working_set.save(transaction, self._state, self._entries, recorder)
        unreconciled = self._unreconciled | await identity_graph.save(transaction, self._graph, recorder)
        await transaction.unreconciled_fragments.put(unreconciled)
        self.lists_unreconciled = bool(unreconciled)
        await transaction.verification_queue.put(self._graph.graph.verifications)
        for number, submission in self._viewed.items():
            await self._complete(transaction, number, submission)
        await transaction.idempotency_records.put(list(self._new_records.values()))

    def _recorder(self) -> ChangeRecorder | None:
        """What gathers the changes of profiles; None: the batch has no observation."""
        if not self._entries:
            return None
        observations = {entry.seq: entry.observation.observation_id for entry in self._entries}
        return ChangeRecorder(observations, self._entries[-1].observation.observation_id)

    async def _complete(self, transaction: Transaction, number: int, submission: Submission) -> None:
        """Answer a submission with what its view shows now."""
        resolution = self.outcomes[number]
        assert isinstance(resolution, Resolution)
        asked = submission.asked(submission.observation.profile_id or resolution.profile.profile_id)
        # A tracker that the batch has ended meanwhile shows nothing; its caller sees what it did show.
        found = await asked.read(transaction, self._config) or self._seen.before(asked)
        if found is not None:
            resolution = msgspec.structs.replace(
                resolution, profile=found.profile, survivor=found.survivor, absorbed=found.absorbed
            )
        key = submission.key
        if key is not None and resolution.repeated:
            stored = self._new_records[key].response
            response = None if stored is None else ReplayableResponse(stored)
        elif key is not None and submission.render is not None:
            response = submission.render(resolution)
            self._new_records[key] = msgspec.structs.replace(self._new_records[key], response=response)
        else:
            response = None
        self.outcomes[number] = msgspec.structs.replace(resolution, response=response)

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
        if submission.decoded_by not in (None, self._config.version):
            return ConfigurationChanged("The configuration has changed.")
        observation = submission.observation
        if observation.profile_id is not None:
            observation = self._as_believed(observation)
            if (rejection := self._reject_addressed(submission, observation, evidence)) is not None:
                return ObservationRejected(rejection)
        if self._erased and self._was_erased(observation, evidence):
            return ObservationRejected(
                Rejection("erased", "The person was erased after this event occurred; it was not stored.")
            )
        device = device_that_only_acts(observation, evidence)
        if device is not None:
            short = self._decide_activity(submission, evidence, device)
        else:
            device = browser_that_repeats(observation, evidence)
            short = None if device is None else self._decide_repetition(submission, evidence, device)
        return short or self._decide_fully(submission, observation, evidence)

    def _decide_activity(
        self, submission: Submission, evidence: Evidence, device: Identifier
    ) -> Resolution | None:
        """Decide an event that only acts; None: more is to be decided.

        This is a short cut for most events; `_decide_fully` comes to the same.
        """
        if evidence.dropped:
            return None
        observation, seq, config = submission.observation, self._seq, self._config
        token_evidence = read_token(self._state, observation, (), config)
        observed = Observed(observation, evidence, seq, config, self._graph.rules)
        acting = self._graph.graph.acting.get(device)
        fragment: FragmentEntry | None
        if acting is not None:
            profile = fold_activity(self._state, observation, device, token_evidence, config, seq)
            if profile is None:
                return None
            plan = Plan(profile_id=profile.profile_id, survivor_id=profile.profile_id)
            fragment = self._graph.observe_acting(acting.fragment_id, observed)
        else:
            begun = fold_new_visitor(self._state, observation, device, seq)
            if begun is None:
                return None
            plan, profile = begun, self._state.profiles[begun.profile_id]
            fragment = self._graph.observe(observed, plan.profile_id, self._state.unified_ids)
        return self._record_short(submission, evidence, plan, profile, fragment, token_evidence)

    def _decide_repetition(
        self, submission: Submission, evidence: Evidence, device: Identifier
    ) -> Resolution | None:
        """Decide an event that repeats whom its browser is; None: more is to be decided.

        This is a short cut for most events that name people; `_decide_fully` comes to the same.
        """
        observation, seq, config = submission.observation, self._seq, self._config
        observed = Observed(observation, evidence, seq, config, self._graph.rules)
        fragment = fragment_that_repeats(self._graph.graph, device, observed)
        if fragment is None:
            return None
        token_evidence = read_token(self._state, observation, evidence.persons, config)
        profile = fold_repetition(self._state, observation, evidence, token_evidence, config, seq)
        if profile is None:
            return None
        plan = Plan(profile_id=profile.profile_id, survivor_id=profile.profile_id)
        entry = self._graph.observe_repetition(fragment, observed)
        return self._record_short(submission, evidence, plan, profile, entry, token_evidence)

    def _record_short(
        self,
        submission: Submission,
        evidence: Evidence,
        plan: Plan,
        profile: Profile,
        fragment: FragmentEntry | None,
        token_evidence: TokenEvidence | None,
    ) -> Resolution:
        """Record an event that was folded the short way. Its profile holds the person identifiers."""
        observation, seq = submission.observation, self._seq
        self._seq += 1
        self._entries.append(NewEntry(seq, observation, plan, self._config.version, fragment))
        if fragment is not None:
            self._note_change(observation, fragment.fragment_id, plan, seq)
        identities = visit_identities(self._state, observation, (), token_evidence, profile)
        for identifier in evidence.persons:
            identities.pop(identifier.namespace, None)
            identities[identifier.namespace] = identifier.value
        resolution = Resolution(
            seq=seq,
            profile=profile,
            survivor=profile,
            absorbed=tuple(self._state.members.get(profile.profile_id, ())),
            config=self._config,
            plan=plan,
            identities=identities,
            token_was_valid=token_evidence is not None,
            tracker=self._tracker(observation) if evidence.devices[0].namespace == TRACKER else None,
        )
        return self._with_stored_response(submission, resolution)

    def _decide_fully(self, submission: Submission, observation: Observation, evidence: Evidence) -> Outcome:
        seq, evidence = self._seq, self._graph.with_known(observation, evidence)
        token_evidence = read_token(self._state, observation, evidence.persons, self._config)
        if observation.token is not None:
            evidence = msgspec.structs.replace(evidence, token_evidence=token_evidence)
        try:
            accepted = self._accepts_values(submission)
        except InvalidValue as problem:
            return ObservationRejected(Rejection("invalid_value", str(problem)))
        plan = fold(
            self._state,
            observation,
            self._config,
            seq,
            evidence,
            accepted=accepted,
            user_accepted=submission.view != "all",
        )
        if isinstance(plan, Rejection):
            return ObservationRejected(plan)
        self._seq += 1
        if observation.token is not None and not (token_evidence is not None and token_evidence.identifies):
            # A token that identifies no profile decided nothing and may be another person's.
            observation = msgspec.structs.replace(observation, token=None)
        observed = Observed(observation, evidence, seq, self._config, self._graph.rules)
        fragment = self._graph.observe(observed, plan.profile_id, self._state.unified_ids)
        if isinstance(observation, Reindex):
            observation = self._with_indexed(observation, evidence, plan, seq)
        self._entries.append(NewEntry(seq, observation, plan, self._config.version, fragment))
        if fragment is not None:
            self._note_change(observation, fragment.fragment_id, plan, seq)
        survivor = self._state.profiles[plan.survivor_id]
        answered_id = plan.profile_id if observation.believed_id else observation.profile_id
        visit: dict[str, Any] = {}
        if policy_of(observation).answer == "visit":
            visit["identities"] = visit_identities(
                self._state, observation, evidence.persons, token_evidence, survivor
            )
            visit["merged"] = tuple(self._state.profiles[merge.absorbed_id] for merge in plan.merges)
            visit["token_was_valid"] = token_evidence is not None
            visit["tracker"] = self._tracker(observation)
        resolution = self._resolution(seq, answered_id or plan.profile_id, survivor, plan=plan, **visit)
        return self._with_stored_response(submission, resolution)

    def _with_indexed(self, observation: Reindex, evidence: Evidence, plan: Plan, seq: int) -> Reindex:
        """A job's observation with what it indexed: who is one with the profile may change later."""
        if plan.merges or plan.refusals:
            # One of them leads to all whom it merged, or did not.
            self._unreconciled |= dict.fromkeys(self._graph.reindexed[:1], seq)
        names = tuple(dict.fromkeys(item.namespace for item in evidence.persons))
        return msgspec.structs.replace(observation, fragment_ids=self._graph.indexed, namespaces=names)

    def _accepts_values(self, submission: Submission) -> bool:
        """Whether a write was checked against what its caller sees, so that nothing else can forbid it.

        Raises InvalidValue.
        """
        observation, addressed = submission.observation, submission.observation.profile_id
        if addressed is None or policy_of(observation).values_policy != "application":
            return False
        if (seen := self._seen.unchanged(submission, addressed)) is None:
            return False
        apply_patch(
            self._config.schema,
            seen.survivor.record,
            observation.values,
            creating=False,
            authority="application",
        )
        return True

    def _tracker(self, observation: Observation) -> str | None:
        """The tracker that was sent if a profile holds it, else the one that was made for the browser; the
        fresh one, if there is one.
        """
        if observation.fresh_tracker is not None:
            return observation.fresh_tracker
        sent = (identifier for identifier in observation.identifiers if identifier.namespace == TRACKER)
        alive = next((tracker.value for tracker in sent if self._state.claims_of(tracker)), None)
        return alive or observation.new_tracker

    def _was_erased(self, observation: Observation, evidence: Evidence) -> bool:
        """True if it happened before a person that it names was erased (docs/concepts/trust.md)."""
        happened = observation.occurred_at
        if happened is None:
            return False
        named = (*evidence.identifiers, exactly(evidence.persons))
        return any(self._erased.get(identifier, happened) > happened for identifier in named)

    def _reject_addressed(
        self, submission: Submission, observation: Observation, evidence: Evidence
    ) -> Rejection | None:
        """Why an observation cannot address its profile; None: it can."""
        if not self._seen.sees_addressed(submission):
            return Rejection("profile_not_found", f"Profile {observation.profile_id} not found")
        if self._seen.is_anothers(submission, observation, evidence):
            return Rejection("user_id_write_once", "user_id cannot be changed once it is set.")
        if self._seen.is_stale(submission, observation.addressed_id):
            return Rejection("stale", "The profile was changed in the meantime.")
        return None

    def _as_believed(self, observation: Observation) -> Observation:
        """The observation, with the believed profile of what it addresses if that has another id."""
        assert observation.profile_id is not None
        believed_id = self._state.believed.get(observation.profile_id)
        return msgspec.structs.replace(observation, believed_id=believed_id) if believed_id else observation

    def _note_change(self, observation: Observation, fragment_id: UUID, plan: Plan, seq: int) -> None:
        if observation.trust == "server" and plan.keeps_apart:
            self._unreconciled[fragment_id] = seq
        self._seen.note_change(observation, fragment_id)

    def _with_stored_response(self, submission: Submission, resolution: Resolution) -> Resolution:
        """Store the response, so that a repeat gets it."""
        if submission.key is None:
            return resolution
        is_rendered = submission.render is not None and submission.view == "all"
        response = submission.render(resolution) if submission.render and is_rendered else None
        if is_rendered and response is None:
            return resolution
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
        self._new_records[stored.key] = stored
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
        **visit: Any,
    ) -> Resolution:
        return Resolution(
            seq=seq,
            profile=self._state.profiles[profile_id],
            survivor=survivor,
            absorbed=tuple(self._state.members.get(survivor.profile_id, ())),
            config=self._config,
            plan=plan,
            response=response,
            repeated=repeated,
            **visit,
        )
