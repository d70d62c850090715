"""What the callers of a batch see in narrower views than `all`, and what the batch has changed of it.

Invariants: what they see is as it was before the batch; what it has changed since is only known, not read.
Source: docs/concepts/trust.md, "Views".
"""

from __future__ import annotations

from uuid import UUID

from oneself.core.identity.identifier import TRACKER
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.working_set import WorkingSet
from oneself.service.ingest.asked_view import AskedView
from oneself.service.ingest.submission import Submission
from oneself.store.loaded_graph import LoadedGraph
from oneself.store.view_reader import Viewed


class SeenViews:
    """What the callers of a batch see. `seen`: as it was before the batch."""

    def __init__(self, state: WorkingSet, graph: LoadedGraph, seen: dict[AskedView, Viewed]) -> None:
        self._state = state
        self._graph = graph
        self._seen = seen
        #: The profiles of narrower views that the batch has changed, if versions are compared; and of them
        #: the fragments and trackers alone, for those who see by tracker.
        self._changed: set[UUID] = set()
        self._written: set[UUID] = set()
        self._spoke: set[str] = set()

    def before(self, asked: AskedView) -> Viewed | None:
        """What was seen before the batch; None: nothing was read."""
        return self._seen.get(asked)

    def unchanged(self, submission: Submission, addressed: UUID) -> Viewed | None:
        """What a caller sees of the profile that it addresses; None: the batch has changed it, or nothing
        was read."""
        seen = self._seen.get(submission.asked(addressed))
        return None if seen is None or self._has_changed(submission, addressed, seen) else seen

    def note_change(self, observation: Observation, fragment_id: UUID) -> None:
        """Note that the batch has changed a fragment."""
        if not self._seen:
            return
        self._changed |= self._graph.seen_with(fragment_id)
        self._written.add(fragment_id)
        named = observation.identifiers
        self._spoke |= {identifier.value for identifier in named if identifier.namespace == TRACKER}

    def sees_addressed(self, submission: Submission) -> bool:
        """Whether the caller sees the profile that the observation addresses, if any."""
        addressed = submission.observation.profile_id
        if submission.view == "all" or addressed is None:
            return True
        if submission.by_tracker is not None and submission.asked(addressed) not in self._seen:
            return False
        return addressed in self._graph.graph.fragments

    def is_anothers(self, submission: Submission, observation: Observation, evidence: Evidence) -> bool:
        """Whether it names a user for a profile, or a fragment, that its caller sees to be another user's."""
        addressed = observation.profile_id
        if addressed is None or evidence.user_id is None:
            return False
        users = set[str | None]()
        if policy_of(observation).addresses == "profile":
            if submission.view == "all":
                return False
            seen = self._seen.get(submission.asked(addressed))
            users.add(None if seen is None else seen.survivor.user_id)
        known = self._graph.graph.fragments.get(addressed) or self._state.survivor(addressed)
        users.add(None if known is None else known.user_id)
        return not users <= {None, evidence.user_id}

    def is_stale(self, submission: Submission, believed_id: UUID | None) -> bool:
        """Whether the caller has seen another version of the profile than there is now."""
        addressed = submission.observation.profile_id
        if submission.expected_versions is None or addressed is None or believed_id is None:
            return False
        if submission.view != "all":
            seen = self._seen.get(submission.asked(addressed))
            return seen is not None and (
                seen.survivor.updated_at not in submission.expected_versions
                or self._has_changed(submission, addressed, seen)
            )
        survivor = self._state.survivor(believed_id)
        return survivor is not None and survivor.updated_at not in submission.expected_versions

    def _has_changed(self, submission: Submission, addressed: UUID, seen: Viewed) -> bool:
        """Whether the batch has changed what a caller sees."""
        if submission.by_tracker is None:
            return addressed in self._changed
        return submission.by_tracker in self._spoke or not self._written.isdisjoint(seen.visible_fragments)
