"""Which events may repeat whom their browser is, so that nothing is to be decided.

Invariants: pure; it reads neither profiles nor fragments.

Source: docs/concepts/resolution.md, docs/concepts/log-and-fold.md.
"""

from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation


def browser_that_repeats(observation: Observation, evidence: Evidence) -> Identifier | None:
    """The browser of an event that names people and says nothing else; None: it says more."""
    policy = policy_of(observation)
    if policy.values_policy != "event" or policy.graph_effect != "word" or observation.trust != "browser":
        return None
    if not evidence.persons or evidence.dropped or len(evidence.devices) != 1:
        return None
    if observation.values or observation.choices or observation.objects or observation.profile_id:
        return None
    device = evidence.devices[0]
    is_moved = observation.fresh_tracker or (observation.new_tracker and device.namespace != TRACKER)
    return None if is_moved or evidence.user_id is not None else device
