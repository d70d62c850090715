"""The activity of an observation, and the short way of observations that say nothing else of their profile.

Invariants: pure but for the working set. The short way comes to the same as `apply`.

Source: docs/wire/interactions.md §9.3, docs/concepts/log-and-fold.md.
"""

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.profiles.profile import Profile
from oneself.core.profiles.visits import NO_ACTIVITY, is_same_visit, record_activity
from oneself.core.resolution.kinds import KindPolicy
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan
from oneself.core.resolution.working_set import WorkingSet


def activity_of(observation: Observation, policy: KindPolicy, seq: int) -> int:
    """When an observation made the person active, in µs since 1970, else NO_ACTIVITY.

    Maintenance writes are not activity, nor are observations that are not interactive
    (docs/wire/interactions.md §9.3).
    """
    is_activity = observation.is_interactive and policy.makes_active
    return observation.effective_at(seq) if is_activity else NO_ACTIVITY


def act(
    state: WorkingSet, plan: Plan, observation: Observation, policy: KindPolicy, config: Config, seq: int
) -> bool:
    """Apply an observation that only makes its profile active; False: it says more, or may.

    `plan`: it only attaches the observation to the profile. This is a short cut for most events.
    """
    if not _says_nothing(observation, policy, config):
        return False
    profile = state.profiles[plan.survivor_id]
    is_renamed = config.dataset.resolves_since and LEGACY_ID in profile.identities
    if is_renamed or profile.is_absorbed:
        return False
    active_at = activity_of(observation, policy, seq)
    if active_at != NO_ACTIVITY:
        state.note_activity(profile.profile_id, active_at)
    state.put(_active(profile, active_at, config.dataset.visit_timeout_us, seq))
    return True


def _says_nothing(observation: Observation, policy: KindPolicy, config: Config) -> bool:
    if observation.values or observation.choices or observation.consents is not None:
        return False
    if observation.objects or observation.profile_id is not None or policy.reads_stored_values:
        return False
    return not config.bindings or all(item.is_device for item in observation.identifiers)


def _active(profile: Profile, active_at: int, pause_max: int, seq: int) -> Profile:
    """The profile after activity, or none. `pause_max`: as of `record_activity`."""
    if active_at == NO_ACTIVITY:
        return msgspec.structs.replace(profile, seq=seq)
    if is_same_visit(profile, active_at, pause_max):
        return msgspec.structs.replace(profile, active_at=max(profile.active_at, active_at), seq=seq)
    return msgspec.structs.replace(record_activity(profile, active_at, pause_max), seq=seq)
