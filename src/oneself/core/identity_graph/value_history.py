"""How the values of a profile changed: what stood there before and after each observation.

The observations of all fragments are taken as one stream in the order of the log, as a tracker shows them.
What a merge alone changed is not among them.

Invariants: what only the view `all` shows is in no other history.

Source: docs/decisions/0044-history-of-values.md.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Write
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.observe import Observed, changes_by, speaker_of
from oneself.core.identity_graph.replay import put
from oneself.core.resolution.kinds import policy_of
from oneself.core.values.explicit_changes import explicit_claims
from oneself.core.values.record import EMPTY, Path, Record, ValueChanges, read


class ValueChange(msgspec.Struct, frozen=True):
    """A value that an observation changed. None: there was none, or there is none any more."""

    path: Path
    before: Any
    after: Any


class ValueHistory:
    """The values of one profile in a view, observation by observation."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._profile = EMPTY
        #: Fragment → what it amounts to.
        self._fragments: dict[UUID, Record] = {}

    def take(self, fragment_id: UUID, observed: Observed) -> Iterator[ValueChange]:
        """Take in the next observation of a fragment; returns what it changed."""
        record = self._fragments.get(fragment_id, EMPTY)
        for item in writes_of(observed, record):
            record = put(record, item, observed.rules.fold.values)
            if item.is_asserted_identity and self._view != "all":
                continue
            before = read(self._profile.values, item.path)
            self._profile = put(self._profile, item, observed.rules.fold.values)
            after = read(self._profile.values, item.path)
            if before != after:
                yield ValueChange(item.path, before, after)
        self._fragments[fragment_id] = record


def writes_of(observed: Observed, record: Record) -> Iterator[Write]:
    """What an observation writes to its fragment. `record`: what that has already."""
    observation, rules = observed.observation, observed.rules.fold
    policy = policy_of(observation)
    speaker = speaker_of(observation, policy)
    level = EvidenceLevel.PROVEN if speaker == "server" else EvidenceLevel.ASSERTED
    for change in _changes_of(observed, record):
        is_identity = ".".join(change.path) in rules.identity_paths
        is_asserted = is_identity and speaker == "browser"
        yield Write(change.path, change.value, observation.source(observed.seq), is_asserted, level)


def _changes_of(observed: Observed, record: Record) -> ValueChanges:
    policy = policy_of(observed.observation)
    if policy.values_policy == "identity_provider":
        return explicit_claims(observed.config.schema, observed.observation.values)
    changes = changes_by(observed, policy)
    return changes if isinstance(changes, ValueChanges) else changes(record)
