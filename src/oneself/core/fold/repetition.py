"""The short way of events that repeat whom their browser is, as most identified events do.

Invariants: pure but for the working set. `fold_repetition` comes to the same as `fold`.

Source: docs/wire/interactions.md §9.2, docs/concepts/log-and-fold.md.
"""

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.activity import activity_of, is_renamed
from oneself.core.fold.event_values import may_replace_identity
from oneself.core.identity.normalise import display_value
from oneself.core.profiles.profile import Profile
from oneself.core.profiles.visits import NO_ACTIVITY, record_activity
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.token_evidence import TokenEvidence
from oneself.core.resolution.working_set import WorkingSet
from oneself.core.values.record import Record, repeat


def fold_repetition(
    state: WorkingSet,
    observation: Observation,
    evidence: Evidence,
    token_evidence: TokenEvidence | None,
    config: Config,
    seq: int,
) -> Profile | None:
    """Fold an event whose browser and person identifiers one profile holds, with their values.

    Returns that profile as it is then. None: something is to be decided, so that `fold` has to; nothing has
    changed.
    `observation`: one that `browser_that_repeats` has a browser for. `token_evidence`: from `read_token`.
    """
    profile = _only_holder(state, evidence, config)
    if profile is None or profile.consents or is_renamed(profile, config):
        return None
    if observation.token is not None and not _leads_to(token_evidence, profile):
        return None
    record = _with_sources(profile, observation, config, seq)
    if record is None:
        return None
    active_at = activity_of(observation, policy_of(observation), seq)
    if active_at != NO_ACTIVITY:
        state.note_activity(profile.profile_id, active_at)
        profile = record_activity(profile, active_at, config.dataset.visit_timeout_us)
    repeated = msgspec.structs.replace(profile, record=record, seq=seq)
    state.put(repeated)
    return repeated


def _only_holder(state: WorkingSet, evidence: Evidence, config: Config) -> Profile | None:
    """The one profile that holds all that an event names, by one current claim each."""
    holder: Profile | None = None
    for identifier in evidence.identifiers:
        claims = state.claims.get(identifier, ())
        if len(claims) != 1 or not config.is_current(claims[0]):
            return None
        found = state.survivor(claims[0].profile_id)
        if found is None or (holder is not None and found is not holder):
            return None
        holder = found
    return holder


def _leads_to(token_evidence: TokenEvidence | None, profile: Profile) -> bool:
    return token_evidence is not None and token_evidence.identifies and token_evidence.holder is profile


def _with_sources(profile: Profile, observation: Observation, config: Config, seq: int) -> Record | None:
    """The values of a profile, with the event as the source of those that it repeats; None: it has others."""
    record = profile.record
    if not config.bindings:
        return record
    source = observation.source(seq)
    for raw in observation.identifiers:
        match = config.bindings.get(raw.namespace)
        if match is None:
            continue
        repeated = repeat(record, match.path, display_value(raw.value), source)
        if repeated is None:
            return None
        if may_replace_identity(profile, match, source, config):
            record = repeated
    return record
