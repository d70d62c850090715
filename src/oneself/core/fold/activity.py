"""The activity of an observation, and the short ways of observations that say nothing else of their profile.

Invariants: pure but for the working set. `act` comes to the same as `apply`, and the others as `fold`.

Source: docs/wire/interactions.md §9.3, docs/concepts/log-and-fold.md.
"""

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.creation import created_profile
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Profile
from oneself.core.profiles.visits import NO_ACTIVITY, is_same_visit, record_activity
from oneself.core.resolution.candidates import is_followed
from oneself.core.resolution.kinds import KindPolicy, policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan
from oneself.core.resolution.token_evidence import TokenEvidence
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
    if profile.is_absorbed or is_renamed(profile, config):
        return False
    _make_active(state, profile, observation, policy, config, seq)
    return True


def fold_activity(
    state: WorkingSet,
    observation: Observation,
    device: Identifier,
    token_evidence: TokenEvidence | None,
    config: Config,
    seq: int,
) -> Profile | None:
    """Fold an event that only acts, on a browser that leads to one profile; returns that as it is then.

    None: something is to be decided, so that `fold` has to; nothing has changed.
    `device`: from `device_that_only_acts`; nothing that the event names was dropped. `token_evidence`: from
    `read_token`. This is a short cut for most events.
    """
    claims = state.claims.get(device, ())
    if len(claims) != 1 or observation.objects:
        return None
    profile = state.survivor(claims[0].profile_id)
    if profile is None or profile.consents:
        return None
    if not config.is_current(claims[0]) or is_renamed(profile, config):
        return None
    if observation.token is not None:
        leads = token_evidence is not None and token_evidence.holder is profile
    else:
        begins_browser = device.namespace == TRACKER and observation.new_anonymous_id is not None
        leads = not begins_browser and is_followed(profile, observation, config)
    return _make_active(state, profile, observation, policy_of(observation), config, seq) if leads else None


def fold_new_visitor(
    state: WorkingSet, observation: Observation, device: Identifier, seq: int
) -> Plan | None:
    """Fold the first event of a browser, if it only acts; returns its plan. None as of `fold_activity`."""
    if device.namespace != ANONYMOUS_ID or state.claims.get(device):
        return None
    if observation.objects or observation.token is not None:
        return None
    profile_id = observation.new_profile_id
    plan = Plan(profile_id=profile_id, survivor_id=profile_id, creates=True, devices=(device,))
    state.put(created_profile(observation, plan, seq))
    active_at = activity_of(observation, policy_of(observation), seq)
    if active_at != NO_ACTIVITY:
        state.note_activity(profile_id, active_at)
    state.claim(Claim(device, profile_id, seq, observation.trust, observation.effective_at(seq), seq))
    return plan


def is_renamed(profile: Profile, config: Config) -> bool:
    """Whether an observation gives the profile another primary id (docs/wire/interactions.md §11)."""
    return bool(config.dataset.resolves_since) and LEGACY_ID in profile.identities


def _make_active(
    state: WorkingSet,
    profile: Profile,
    observation: Observation,
    policy: KindPolicy,
    config: Config,
    seq: int,
) -> Profile:
    active_at, pause_max = activity_of(observation, policy, seq), config.dataset.visit_timeout_us
    if active_at == NO_ACTIVITY:
        active = msgspec.structs.replace(profile, seq=seq)
        state.put_active(active)
        return active
    state.note_activity(profile.profile_id, active_at)
    if is_same_visit(profile, active_at, pause_max):
        active = msgspec.structs.replace(profile, active_at=max(profile.active_at, active_at), seq=seq)
        state.put_active(active)
    else:
        active = msgspec.structs.replace(record_activity(profile, active_at, pause_max), seq=seq)
        state.put(active)
    return active


def _says_nothing(observation: Observation, policy: KindPolicy, config: Config) -> bool:
    if observation.values or observation.choices or observation.consents is not None:
        return False
    if observation.objects or observation.profile_id is not None or policy.reads_stored_values:
        return False
    return not config.bindings or all(item.is_device for item in observation.identifiers)
