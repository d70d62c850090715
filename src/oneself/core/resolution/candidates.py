"""Candidates: the profiles that one observation may be about, and their order as survivors.

Here: where a candidate comes from and how it ranks. Not here: which candidates must not be merged
(`guards`) and what follows (`resolve`).

Source: docs/concepts/resolution.md (candidates, survivor).
"""

from collections.abc import Iterator
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import USER_ID, USER_ID_PRIORITY, Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.token_evidence import TokenEvidence
from oneself.core.resolution.working_set import WorkingSet
from oneself.core.values.record import EMPTY

#: Where a candidate stands in the order of reasons when no identifier led to it: before every rule.
ADDRESSED_PRIORITY = USER_ID_PRIORITY - 1


class Candidate(msgspec.Struct, frozen=True):
    """A profile that may be the person. `via`: the identifier that led to it first, by `priority`; `since`:
    how old the claim is, where a rule led to it. `required`: no refusal keeps it out."""

    profile: Profile
    via: Identifier | None = None
    priority: int = ADDRESSED_PRIORITY
    since: int = 0
    required: bool = False


def rank(profile: Profile) -> tuple[int, int, int, UUID]:
    """The order of survivors, best first (DESIGN §4.4): identified, named, anonymous; then the most recently
    active; then the older; then the smaller id."""
    known = 0 if profile.is_identified else 2 if profile.is_anonymous else 1
    return known, -profile.active_at, profile.created_at, profile.profile_id


#: Where the user of a persisted token stands: with the identities that the token knows.
IDENTITY_PRIORITY = 1000


_NEVER_OLDER = 2**62


def is_followed(profile: Profile, observation: Observation, config: Config) -> bool:
    """Whether a browser alone leads to a profile: always to an anonymous one, and to the person seen there
    last unless each visitor is to begin anew (wire/interactions §9.4)."""
    is_fresh = config.dataset.merged_anonymous == "fresh" and policy_of(observation).follows_device_setting
    return profile.is_anonymous or not is_fresh


def current_claims(state: WorkingSet, identifier: Identifier, config: Config) -> list[tuple[Claim, Profile]]:
    """The claims of an identifier that count, oldest first, each with the profile that stands behind it."""
    return [held for held in state.claims_of(identifier) if config.is_current(held[0])]


def find_candidates(
    state: WorkingSet,
    observation: Observation,
    evidence: Evidence,
    addressed: Profile | None,
    token_evidence: TokenEvidence | None,
    config: Config,
) -> dict[UUID, Candidate]:
    """Every profile that may be this person (DESIGN §4.3), each under the reason that goes first, and within
    one rule under the oldest claim."""
    found: dict[UUID, Candidate] = {}

    def add(candidate: Candidate) -> None:
        candidate = _as_of(candidate, observation, state)
        present = found.get(candidate.profile.profile_id)
        if present is None or (candidate.priority, candidate.since) < (present.priority, present.since):
            found[candidate.profile.profile_id] = candidate

    if addressed is not None:
        add(Candidate(addressed, required=True))
    if observation.creates:
        add(Candidate(as_created(observation, evidence), required=True))
    for identifier in evidence.persons:
        for claim, profile in current_claims(state, identifier, config)[:1]:
            since = claim.since if identifier.namespace in config.rule_namespaces else 0
            # The user's own profile is never refused: one user never has two.
            required = identifier.namespace == USER_ID
            add(Candidate(profile, identifier, _priority(identifier, config), since, required))
    if token_evidence is not None:
        add(Candidate(token_evidence.holder, None, IDENTITY_PRIORITY))
    for candidate in _by_device(state, observation, evidence, token_evidence, config):
        add(candidate)
    return found


def _as_of(candidate: Candidate, observation: Observation, state: WorkingSet) -> Candidate:
    """The candidate as it was when the observation happened: what it did later does not count when the
    survivor is chosen (wire/interactions §9.2)."""
    profile, happened = candidate.profile, observation.occurred_at
    if happened is None or profile.active_at <= happened:
        return candidate
    if policy_of(observation).state_as_of != "occurred_at":
        return candidate
    then = msgspec.structs.replace(profile, active_at=state.active_by(profile, happened))
    return msgspec.structs.replace(candidate, profile=then)


def _by_device(
    state: WorkingSet,
    observation: Observation,
    evidence: Evidence,
    token_evidence: TokenEvidence | None,
    config: Config,
) -> Iterator[Candidate]:
    """A browser's profile is this person if it is still anonymous, or if a trusted sign-in names a user and
    it has none (wire/cds §12: a temporary profile takes the `user_id`). Where nothing else says who it is, it
    is the one that ranks first: a browser points, it never joins two known people (DESIGN §4.2)."""
    pointed = [
        Candidate(profile, device, _priority(device, config))
        for device in evidence.devices
        for _, profile in state.claims_of(device)
    ]
    for candidate in pointed:
        profile = candidate.profile
        if profile.is_anonymous or (evidence.user_id is not None and not profile.is_identified):
            yield candidate
    is_named = bool(evidence.persons) or observation.profile_id is not None or observation.creates
    if is_named or token_evidence is not None:
        return
    followed = [item for item in pointed if is_followed(item.profile, observation, config)]
    if followed:
        yield min(followed, key=lambda candidate: rank(candidate.profile))


def as_created(observation: Observation, evidence: Evidence) -> Profile:
    """The profile that an observation makes, as it ranks: as what it is created as, never active before."""
    return Profile(
        profile_id=observation.new_profile_id,
        created_at=_NEVER_OLDER,
        updated_at=0,
        active_at=0,
        seq=0,
        primary_id="",
        record=EMPTY,
        user_id=evidence.user_id,
        identities={i.namespace: (i.value,) for i in evidence.persons if i.namespace != USER_ID},
    )


def _priority(identifier: Identifier, config: Config) -> int:
    namespace = config.namespace(identifier.namespace)
    assert namespace is not None
    return namespace.priority
