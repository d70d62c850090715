"""What a browser's persisted token, and what its owner consented to, mean for an observation.

A token says whose the browser was and by which identities. Its primary id is no key: what it adds is the
identities that the event does not name and that still are that user's.

Source: wire/interactions §7 (life of a token), §9.2 (HANDLE), §9.5 (consent).
"""

from collections.abc import Iterable

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.profiles.consent import (
    PERSONALIZATION,
    Choice,
    EventPurpose,
    is_event_category,
    is_refused,
    merge_choices,
)
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.observation import Observation, TokenClaims
from oneself.core.resolution.working_set import WorkingSet


class TokenEvidence(msgspec.Struct, frozen=True):
    """Whose the browser was, as of now, and the identities that only the token knows. `is_reused`: nothing is
    new, so the token stands as it is; else these are the ones that are still theirs. `leads`: the observation
    is about them."""

    holder: Profile
    identities: tuple[Identifier, ...]
    is_unchanged: bool
    identifies: bool


def read_token(
    state: WorkingSet, observation: Observation, persons: tuple[Identifier, ...], config: Config
) -> TokenEvidence | None:
    """What the token of an observation adds to the `persons` that it names; None if there is none, or it is
    void: past, of nobody who is still there, or of another default identity."""
    token = observation.token
    if token is None:
        return None
    named = token_identifier(observation, config)
    holder = state.find_by_primary(token.primary_id) if named is None else _holder(state, named)
    if holder is None or not _is_live(token, holder, observation, config):
        return None
    named_keys = {identifier.namespace: identifier.value for identifier in persons}
    default = config.channel_identity(observation.channel)
    if default is not None and not _agree(named_keys, token.identities, default.type_id):
        return None
    only = tuple(Identifier(*pair) for pair in token.identities.items() if pair[0] not in named_keys)
    if all(token.identities.get(i.namespace) == i.value and _holder(state, i) is holder for i in persons):
        return TokenEvidence(holder, only, is_unchanged=True, identifies=True)
    own = tuple(i for i in only if i.value in holder.identities.get(i.namespace, ()))
    return TokenEvidence(holder, own, is_unchanged=False, identifies=bool(own))


def _holder(state: WorkingSet, identifier: Identifier) -> Profile | None:
    """Who stands behind the oldest claim of an identifier."""
    return next((profile for _, profile in state.claims_of(identifier)), None)


def _agree(named_keys: dict[str, str], token_keys: dict[str, str], type_id: str) -> bool:
    """True unless both name an identity of this type, and not the same."""
    known = token_keys.get(type_id)
    return known is None or named_keys.get(type_id, known) == known


def token_identifier(observation: Observation, config: Config) -> Identifier | None:
    """Under what the token's user is found where identity resolution is off (§11); None where it is on, and
    of what brings no token."""
    token = observation.token
    if token is None or config.dataset.resolves_identities:
        return None
    return Identifier(LEGACY_ID, token.primary_id)


def visit_identities(
    state: WorkingSet,
    observation: Observation,
    persons: tuple[Identifier, ...],
    token_evidence: TokenEvidence | None,
    survivor: Profile,
) -> dict[str, str]:
    """The identities of the visit after an event was carried out, type → key, the oldest first. What a
    refusal left with somebody else is not among them, nor what the person does not want to be known by."""
    kept: dict[str, str] = {}
    if token_evidence is not None:
        kept = {
            i.namespace: i.value
            for i in token_evidence.identities
            if token_evidence.is_unchanged or i.value in survivor.identities.get(i.namespace, ())
        }
    if has_opted_out((survivor,), observation, PERSONALIZATION):
        return kept
    for identifier in persons:
        if not state.claims_of(identifier) or state.has_holder(identifier, (survivor.profile_id,)):
            kept.pop(identifier.namespace, None)
            kept[identifier.namespace] = identifier.value
    return kept


def has_opted_out(profiles: Iterable[Profile], observation: Observation, purpose: EventPurpose) -> bool:
    """Whether a purpose was refused by this observation, or before it by any of those that it is about
    (§9.5)."""
    stored = [profile.consents for profile in profiles if profile.consents]
    if not stored and not observation.choices:
        return False
    named_keys = {
        category: Choice(is_consented, at, observation.new_profile_id, 0)
        for category, (is_consented, at) in observation.choices.items()
    }
    held: dict[str, bool] = {}
    for choices in ({}, *stored):
        for category, choice in merge_choices(choices, named_keys).items():
            if is_event_category(category):
                held[category] = held.get(category, True) and choice.is_consented
    return is_refused(held, purpose)


def _is_live(token: TokenClaims, holder: Profile, observation: Observation, config: Config) -> bool:
    """A token lives as long as the visit that it was sealed in, or as long as users are remembered."""
    settings, now = config.dataset, observation.received_at or 0
    if token.issued_at < settings.resolves_since:
        return False
    if settings.tokens_outlive_visits:
        return now - token.issued_at <= settings.token_lifetime_us
    is_fresh = now - token.issued_at <= settings.visit_timeout_us
    is_same_visit = holder.visit_at <= token.issued_at and now - holder.active_at <= settings.visit_timeout_us
    return is_fresh or is_same_visit
