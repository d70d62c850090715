"""The consent choices of an observation: whom they bind, and what they replace.

Invariants: pure.

Source: docs/wire/cds.md §6, docs/wire/interactions.md §9.5, docs/concepts/trust.md.
"""

import msgspec

from oneself.core.profiles.consent import Choice, is_event_category, with_choice
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.token_evidence import bound_choices


def with_consents(profile: Profile, observation: Observation, seq: int) -> Profile:
    """The profile with the consent choices of the observation.

    `consents` replace all choices in categories (docs/wire/cds.md §6). `choices` of an event are added to
    them (docs/wire/interactions.md §9.5).
    """
    if observation.consents is None and not observation.choices:
        return profile
    chosen_by = observation.addressed_id or profile.profile_id
    choices = profile.consents
    if observation.consents is not None:
        choices = {c: choice for c, choice in choices.items() if is_event_category(c)} | {
            category: Choice(consented, at, chosen_by, seq)
            for category, (consented, at) in observation.consents.items()
        }
    for category, (consented, at) in bound_choices(observation).items():
        choices = with_choice(choices, category, Choice(consented, at, profile.profile_id, seq))
    return msgspec.structs.replace(profile, consents=choices, updated_at=seq)
