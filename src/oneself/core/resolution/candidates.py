"""Candidates: the profiles that one observation may be about, and their order as survivors.

Here: where a candidate comes from and how it ranks. Not here: which candidates must not be merged
(`guards`) and what follows (`resolve`).

Invariants: pure; it reads the working set and changes nothing.

Source: docs/concepts/resolution.md (candidates, survivor).
"""

from collections.abc import Iterator
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import TRACKER, USER_ID, USER_ID_PRIORITY, Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.token_evidence import TokenEvidence
from oneself.core.resolution.working_set import WorkingSet
from oneself.core.units import SEQ_MAX
from oneself.core.values.record import EMPTY

#: The priority of a candidate that no identifier led to: before every rule.
ADDRESSED_PRIORITY = USER_ID_PRIORITY - 1


class Candidate(msgspec.Struct, frozen=True):
    """A profile that may be the person."""

    #: As it was when the observation happened.
    profile: Profile
    #: The identifier that led to it, the one with the lowest priority; None: no identifier led to it.
    via: Identifier | None = None
    #: The lower goes first.
    priority: int = ADDRESSED_PRIORITY
    #: The age of the claim, as a seq, if a rule led to it, else 0.
    since: int = 0
    #: Whether it is accepted without a check by the guards.
    required: bool = False
    #: Whether only asserted identifiers led to it: one that the profile holds by assertion, or a claim that
    #: nobody has verified.
    is_asserted: bool = False
    #: Whether it is the user who signed in on the browser that speaks: what the browser says is theirs.
    is_speaker: bool = False


def rank(profile: Profile) -> tuple[int, int, int, UUID]:
    """The sort key of survivors, best first (docs/concepts/resolution.md, rule 4).

    Identified, named, anonymous; then the most recently active; then the older; then the smaller id.
    """
    known = 0 if profile.is_identified else 2 if profile.is_anonymous else 1
    return known, -profile.active_at, profile.created_at, profile.profile_id


#: The priority of the user of a persisted token: that of identities.
IDENTITY_PRIORITY = 1000


def is_followed(profile: Profile, observation: Observation, config: Config) -> bool:
    """Whether a browser alone leads to a profile (docs/wire/interactions.md §9.4).

    It always leads to an anonymous profile. It leads to a known one unless `merged_anonymous` is `fresh`.
    """
    is_fresh = config.dataset.merged_anonymous == "fresh" and policy_of(observation).follows_device_setting
    return profile.is_anonymous or not is_fresh


def is_anothers(profile: Profile | None, evidence: Evidence) -> bool:
    """Whether a profile belongs to another user than the one that the observation names."""
    if profile is None or profile.user_id is None:
        return False
    return evidence.user_id not in (None, profile.user_id)


def is_protected(state: WorkingSet, profile: Profile) -> bool:
    """Whether a server or a sign-in said who a profile is: it has a user, or an identifier from a server."""
    if profile.is_identified:
        return True
    held = (Identifier(name, value) for name, values in profile.identities.items() for value in values)
    return any(
        claim.trust == "server" and holder.profile_id == profile.profile_id
        for identifier in held
        for claim, holder in state.claims_of(identifier)
    )


def current_claims(state: WorkingSet, identifier: Identifier, config: Config) -> list[tuple[Claim, Profile]]:
    """The current claims of an identifier, oldest first, each with its survivor.

    A claim is not current if the rule of its namespace changed since and the profile is not reindexed yet.
    """
    return [held for held in state.claims_of(identifier) if config.is_current(held[0])]


def holders(state: WorkingSet, identifier: Identifier, config: Config) -> list[tuple[Claim, Profile]]:
    """The current claims of an identifier, the holder's first: a proven one goes before an asserted one."""
    held = current_claims(state, identifier, config)
    if len(held) > 1 and config.dataset.guards_asserted_merges:
        held.sort(key=lambda item: item[0].is_asserted)
    return held


def find_candidates(
    state: WorkingSet,
    observation: Observation,
    evidence: Evidence,
    addressed: Profile | None,
    token_evidence: TokenEvidence | None,
    config: Config,
) -> dict[UUID, Candidate]:
    """All candidates by profile id (docs/concepts/resolution.md, rule 3).

    A profile that is found several ways is listed once: with the lowest priority, then the oldest claim.
    `addressed`: the profile that the observation addresses.
    """
    found: dict[UUID, Candidate] = {}

    def add(candidate: Candidate) -> None:
        candidate = _as_of(candidate, observation, state)
        present = found.get(candidate.profile.profile_id)
        if present is None:
            found[candidate.profile.profile_id] = candidate
            return
        first = min(present, candidate, key=lambda item: (item.priority, item.since))
        is_asserted = present.is_asserted and candidate.is_asserted
        required = present.required or candidate.required
        found[candidate.profile.profile_id] = msgspec.structs.replace(
            first, is_asserted=is_asserted, required=required
        )

    if addressed is not None and not _is_only_asserted(state, addressed, evidence, config):
        add(Candidate(addressed, required=not is_anothers(addressed, evidence)))
    if (speaker := _speaker(state, observation, evidence)) is not None:
        add(Candidate(speaker, required=True, is_speaker=True))
    if observation.creates:
        add(Candidate(as_created(observation, evidence), required=True))
    for identifier in evidence.persons:
        if (meant := _meant(state, observation, evidence, identifier, config)) is None:
            continue
        claim, profile, is_own = meant
        is_asserted = claim.is_asserted or identifier in evidence.unverified
        since = claim.since if identifier.namespace in config.rule_namespaces else 0
        # The user's own profile is never refused: one user never has two.
        required = is_own or identifier.namespace == USER_ID
        priority = _priority(identifier, config)
        add(Candidate(profile, identifier, priority, since, required, is_asserted=is_asserted))
    if token_evidence is not None:
        add(Candidate(token_evidence.holder, None, IDENTITY_PRIORITY))
    for candidate in _by_device(state, observation, evidence, token_evidence, config):
        add(candidate)
    return found


def _meant(
    state: WorkingSet, observation: Observation, evidence: Evidence, identifier: Identifier, config: Config
) -> tuple[Claim, Profile, bool] | None:
    """Whom an identifier means: its holder's claim, and whether the browser that speaks said it before.

    Of two holders whom a person has parted, a browser means the one that it points at.
    """
    held = holders(state, identifier, config)
    if not held:
        return None
    claim, first = held[0]
    if len(held) > 1 and state.sides and observation.trust == "browser" and evidence.user_id is None:
        spoken = {profile.profile_id for device in evidence.devices for _, profile in state.claims_of(device)}
        for own_claim, profile in held:
            own = profile.profile_id
            if own in spoken and state.are_separated(own, first.profile_id):
                return own_claim, profile, True
    return claim, first, False


def _speaker(state: WorkingSet, observation: Observation, evidence: Evidence) -> Profile | None:
    """The profile of the user who signed in on the browser that speaks, if what it says is only asserted.

    Source: docs/concepts/trust.md, "Fragments".
    """
    if evidence.speaker is None or observation.trust != "browser" or observation.profile_id is not None:
        return None
    trackers = (device for device in evidence.devices if device.namespace == TRACKER)
    holders = (holder for tracker in trackers for _, holder in state.claims_of(tracker))
    return next((holder for holder in holders if holder.user_id == evidence.speaker), None)


def _as_of(candidate: Candidate, observation: Observation, state: WorkingSet) -> Candidate:
    """The candidate as it was when the observation happened (docs/wire/interactions.md §9.2).

    Later activity does not affect the choice of the survivor.
    """
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
    """The candidates that devices point at.

    A browser's profile is a candidate if it is anonymous, or if the observation names a user and the profile
    has none (docs/wire/cds.md §12: a temporary profile takes the `user_id`), unless only an assertion joined
    the browser with somebody whom a server knows. If nothing else identifies the person, the best-ranked
    profile is a candidate. A browser never merges two known profiles (docs/concepts/resolution.md, rule 2).
    """
    pointed = [
        Candidate(profile, device, _priority(device, config))
        for device in evidence.devices
        for _, profile in state.claims_of(device)
    ]
    for candidate in pointed:
        profile = candidate.profile
        takes_user = evidence.user_id is not None and not profile.is_identified
        if profile.is_anonymous or (takes_user and not _is_only_asserted(state, profile, evidence, config)):
            yield candidate
    is_named = bool(evidence.persons) or observation.profile_id is not None or observation.creates
    if is_named or token_evidence is not None:
        return
    followed = [item for item in pointed if is_followed(item.profile, observation, config)]
    if followed:
        yield min(followed, key=lambda candidate: rank(candidate.profile))


def _is_only_asserted(state: WorkingSet, profile: Profile, evidence: Evidence, config: Config) -> bool:
    """Whether a user is named for what only an assertion joined with a profile whom a server knows."""
    if evidence.user_id is None or evidence.is_known or not config.dataset.guards_asserted_merges:
        return False
    return is_protected(state, profile)


def as_created(observation: Observation, evidence: Evidence) -> Profile:
    """The profile that an observation creates, as it ranks: with its identities, and never active before."""
    return Profile(
        profile_id=observation.new_profile_id,
        created_at=SEQ_MAX,
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
