"""What a browser's persisted token and the stored consents mean for an observation.

A token names the user of the browser and the identities of the visit. It adds the identities that the event
does not name and that the user still holds. Its primary id is not an identifier: if the event names an
identity that the token does not have, only identities lead to the user.

Invariants: pure; it reads the working set and changes nothing.

Source: docs/wire/interactions.md §7 (token lifetime), §9.2 (handle an event), §9.5 (consent), §13 (split).
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
    choice_of_browser,
    choices_for,
    choices_made_by,
    is_refused,
    merge_choices,
)
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.observation import Observation, TokenClaims
from oneself.core.resolution.working_set import WorkingSet


class TokenEvidence(msgspec.Struct, frozen=True):
    """The profile that a token names, and the identities that it adds."""

    #: The survivor of the profile that the token names.
    holder: Profile
    #: The identities that the token has and the observation does not. If `is_unchanged` is false, only those
    #: that the holder still has.
    identities: tuple[Identifier, ...]
    #: Whether the observation names nothing that is not in the token, so that the token stays as it is.
    is_unchanged: bool
    #: Whether the token makes its holder a candidate.
    identifies: bool


def read_token(
    state: WorkingSet, observation: Observation, persons: tuple[Identifier, ...], config: Config
) -> TokenEvidence | None:
    """Read the token of an observation.

    Returns None if there is no token or it is not valid: it is expired, its profile does not exist, its
    default identity differs from the one that the observation names, or a person has parted its profile from
    that of the browser.
    `persons`: the person identifiers of the observation.
    """
    token = observation.token
    if token is None:
        return None
    named = token_identifier(observation, config)
    holder = state.find_by_primary(token.primary_id) if named is None else _holder(state, named)
    if holder is None or not _is_live(token, holder, observation, config):
        return None
    if _is_parted(state, observation, holder):
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
    """The survivor of the oldest claim of an identifier."""
    return next((profile for _, profile in state.claims_of(identifier)), None)


def _is_parted(state: WorkingSet, observation: Observation, holder: Profile) -> bool:
    """Whether a person has parted the profile of the browser from the one that its token names."""
    if not state.sides:
        return False
    devices = (item for item in observation.identifiers if item.is_device)
    pointed = (profile.profile_id for device in devices for _, profile in state.claims_of(device))
    return any(state.are_separated(item, holder.profile_id) for item in pointed)


def _agree(named_keys: dict[str, str], token_keys: dict[str, str], type_id: str) -> bool:
    """False if both have an identity of this type and the keys differ."""
    known = token_keys.get(type_id)
    return known is None or named_keys.get(type_id, known) == known


def token_identifier(observation: Observation, config: Config) -> Identifier | None:
    """The identifier of the token's user where identity resolution is off (docs/wire/interactions.md §11).

    None if there is no token or identity resolution is on.
    """
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
    """The identities of the visit after an event was applied: type → key, the oldest first.

    Identities that another profile holds after a refusal are left out. If the person opted out of
    personalization, those of the event are left out too.
    """
    kept: dict[str, str] = {}
    if token_evidence is not None:
        kept = {
            i.namespace: i.value
            for i in token_evidence.identities
            if token_evidence.is_unchanged or i.value in survivor.identities.get(i.namespace, ())
        }
    if not persons:
        return kept
    pointed = (profile for item in observation.identifiers for _, profile in state.claims_of(item))
    if has_opted_out((survivor,), pointed, observation, PERSONALIZATION):
        return kept
    for identifier in persons:
        if not state.claims_of(identifier) or state.has_holder(identifier, (survivor.profile_id,)):
            kept.pop(identifier.namespace, None)
            kept[identifier.namespace] = identifier.value
    return kept


def bound_choices(observation: Observation) -> dict[str, tuple[bool, int]]:
    """The choices of an event by whom they bind; what names a person but no browser binds nobody."""
    if observation.trust == "server" or not observation.choices:
        return observation.choices
    browser = observation.browser
    if browser is None:
        return {}
    return {choice_of_browser(category, browser): choice for category, choice in observation.choices.items()}


def names_no_browser(observation: Observation, persons: tuple[Identifier, ...]) -> bool:
    """Whether a page's choices name a person but no browser. Anybody can name a person, so they bind nobody.

    `persons`: the person identifiers of the observation.
    """
    is_named = observation.new_tracker is not None or any(item.is_device for item in observation.identifiers)
    return bool(observation.choices and persons) and observation.trust == "browser" and not is_named


def refuses(observation: Observation, purpose: EventPurpose) -> bool:
    """Whether the observation itself opts out of a purpose."""
    own = {category: is_consented for category, (is_consented, _) in observation.choices.items()}
    return is_refused(own, purpose)


def has_opted_out(
    profiles: Iterable[Profile],
    of_browser: Iterable[Profile],
    observation: Observation,
    purpose: EventPurpose,
) -> bool:
    """Whether the person or the browser opted out of a purpose, by this observation or before.

    `profiles`: those that the observation is about. `of_browser`: those that the browser points at, of which
    only counts what the browser itself said.
    Source: docs/wire/interactions.md §9.5.
    """
    theirs = [profile.consents for profile in profiles if profile.consents]
    of_others = [profile.consents for profile in of_browser if profile.consents]
    if not (theirs or of_others or observation.choices):
        return False
    browser = observation.browser
    stored = [choices_for(choices, browser) for choices in theirs]
    stored += [choices_made_by(choices, browser) for choices in of_others]
    # Without a browser, a choice binds nothing but the event that says it.
    chosen = {
        category: Choice(is_consented, at, observation.new_profile_id, 0)
        for category, (is_consented, at) in (bound_choices(observation) or observation.choices).items()
    }
    held: dict[str, bool] = {}
    for choices in ({}, *stored):
        for category, choice in merge_choices(choices, chosen).items():
            held[category] = held.get(category, True) and choice.is_consented
    return is_refused(held, purpose)


def _is_live(token: TokenClaims, holder: Profile, observation: Observation, config: Config) -> bool:
    """Whether a token is still valid: until its visit ends, or until the token lifetime of the dataset ends.

    A token from before identity resolution was turned on is not valid.
    """
    settings, now = config.dataset, observation.received_at or 0
    if token.issued_at < settings.resolves_since:
        return False
    if settings.tokens_outlive_visits:
        return now - token.issued_at <= settings.token_lifetime_us
    is_fresh = now - token.issued_at <= settings.visit_timeout_us
    is_same_visit = holder.visit_at <= token.issued_at and now - holder.active_at <= settings.visit_timeout_us
    return is_fresh or is_same_visit
