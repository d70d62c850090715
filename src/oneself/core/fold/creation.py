"""The profile that an observation creates, before it writes values and is merged.

Invariants: pure.

Source: docs/concepts/merging.md, docs/wire/interactions.md §3, §11.
"""

from uuid import UUID

from oneself.core.identity.identifier import ANONYMOUS_ID
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.profiles.profile import Profile, primary_id
from oneself.core.profiles.visits import NO_ACTIVITY
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan
from oneself.core.values.record import EMPTY


def created_profile(observation: Observation, plan: Plan, seq: int) -> Profile:
    """The profile that a plan creates. `seq`: when the observation is recorded, in µs since 1970."""
    at = observation.effective_at(seq) if observation.is_interactive else NO_ACTIVITY
    return Profile(
        profile_id=plan.profile_id,
        created_at=seq,
        updated_at=seq,
        active_at=at,
        visit_at=at,
        first_active_at=at,
        seq=seq,
        primary_id=_first_primary_id(observation, plan),
        record=EMPTY,
        user_id=plan.user_id,
    )


def known_primary_id(profile_id: UUID, plan: Plan) -> str:
    """The primary id of a profile of which a plan makes known who it is.

    Where identity resolution is off, it is the id sent (docs/wire/interactions.md §11).
    """
    named = next((i.value for i in plan.claims if i.namespace == LEGACY_ID), None)
    return named or primary_id(profile_id, anonymous=False)


def _first_primary_id(observation: Observation, plan: Plan) -> str:
    """The primary id of a new profile.

    In the event API, an anonymous profile has its device id (docs/wire/interactions.md §3).
    """
    if plan.claims or plan.user_id is not None:
        return known_primary_id(plan.profile_id, plan)
    device = next((i.value for i in plan.devices if i.namespace == ANONYMOUS_ID), None)
    if device is not None and policy_of(observation).primary_id_policy == "device":
        return device
    return primary_id(plan.profile_id, anonymous=True)
