"""Resolve one observation against the working set: decide who it is about and what it does.

The order is fixed: evidence, candidates, user, refusals, survivor, plan.

Invariants: pure and total; it reads the working set and changes nothing.

Source: docs/concepts/resolution.md.
"""

from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.consent import PERSONALIZATION, TRACKING
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.candidates import (
    Candidate,
    as_created,
    current_claims,
    find_candidates,
    is_anothers,
    is_followed,
    is_protected,
)
from oneself.core.resolution.evidence import Evidence, extract_evidence, identities_of
from oneself.core.resolution.guards import Screening, screen_candidates
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Merge, Plan, Refusal, Rejection
from oneself.core.resolution.token_evidence import TokenEvidence, has_opted_out, read_token
from oneself.core.resolution.working_set import WorkingSet


def resolve(
    state: WorkingSet,
    observation: Observation,
    config: Config,
    evidence: Evidence | None = None,
    *,
    user_accepted: bool = False,
) -> Plan | Rejection:
    """Decide what the observation does to the working set, or why it is rejected.

    `evidence`: the evidence of the observation, if it was extracted already. `user_accepted`: the user that
    it names for a profile was compared with the one whom its caller sees.
    """
    if evidence is None:
        evidence = extract_evidence(observation, config)
    policy = policy_of(observation)
    if policy.ends != "nothing":
        end = _sign_out if policy.ends == "sign_in" else _end_tracker
        return end(state, evidence, config)
    if policy.replaces_ended_tracker:
        evidence = _with_live_tracker(state, observation, evidence)
    token_evidence = _token_evidence(state, observation, evidence, config)
    evidence = _with_named_browser(observation, evidence, token_evidence)
    if (holder := _only_holder(state, observation, evidence, token_evidence, config)) is not None:
        return Plan(profile_id=holder.profile_id, survivor_id=holder.profile_id)
    addressed = _addressed(state, observation)
    if isinstance(addressed, Rejection):
        return addressed
    if policy.addresses == "profile" and not user_accepted and is_anothers(addressed, evidence):
        return Rejection("user_id_write_once", "user_id cannot be changed once it is set.")
    addressed, evidence = _joined_now(observation, addressed, evidence, config)
    if policy.reads_stored_values and addressed is not None:
        evidence = _still_stored(evidence, addressed, config)
    candidates = find_candidates(state, observation, evidence, addressed, token_evidence, config)
    protected = _protected(state, observation, candidates, config)
    screening = screen_candidates(
        candidates,
        evidence,
        token_evidence,
        config,
        protected,
        is_proof=observation.trust == "server",
        are_separated=state.are_separated,
    )
    if policy.opt_out == "respected":
        profiles = [candidate.profile for candidate in screening.accepted]
        used = _pointed_at(state, evidence)
        if has_opted_out(profiles, used, observation, TRACKING):
            return Rejection("opted_out", "The person does not want to be tracked.")
        if evidence.persons and has_opted_out(profiles, used, observation, PERSONALIZATION):
            return _unnamed(state, observation, evidence, config)
    if policy.opt_out == "choice_only":
        return _choice_only(state, observation, evidence, screening, config)
    return _plan(state, observation, evidence, screening, config)


def _protected(
    state: WorkingSet, observation: Observation, candidates: dict[UUID, Candidate], config: Config
) -> frozenset[UUID]:
    """The candidates of whom a server or a sign-in said who they are, if anything is only asserted."""
    if observation.trust == "browser":
        may_be_refused = len(candidates) > 1
    else:
        is_guarded = config.dataset.guards_asserted_merges
        may_be_refused = is_guarded and any(item.is_asserted for item in candidates.values())
    if not may_be_refused:
        return frozenset()
    return frozenset(key for key, item in candidates.items() if is_protected(state, item.profile))


def _token_evidence(
    state: WorkingSet, observation: Observation, evidence: Evidence, config: Config
) -> TokenEvidence | None:
    """The evidence of the token; None if there is no token or it identifies no profile."""
    token_evidence = evidence.token_evidence
    if isinstance(token_evidence, UnsetType):
        token_evidence = read_token(state, observation, evidence.persons, config)
    return token_evidence if token_evidence is not None and token_evidence.identifies else None


def _unnamed(
    state: WorkingSet, observation: Observation, evidence: Evidence, config: Config
) -> Plan | Rejection:
    """Resolve the event without its person identifiers, because the person opted out of personalization.

    Source: docs/wire/interactions.md §9.5.
    """
    unnamed = msgspec.structs.replace(evidence, persons=(), token_evidence=UNSET)
    plan = resolve(state, observation, config, unnamed)
    return plan if isinstance(plan, Rejection) else msgspec.structs.replace(plan, replays_as_recorded=True)


def _choice_only(
    state: WorkingSet, observation: Observation, evidence: Evidence, screening: Screening, config: Config
) -> Plan:
    """Store only the consent: merge nothing, claim nothing.

    It is stored on the best-ranked candidate or a new profile: a browser's choice on the browser's, and what
    a server says of a person, on theirs, which holds what names them. The visitor may have opted out of
    tracking (docs/wire/interactions.md §9.5).
    """
    accepted = screening.accepted
    if observation.trust == "server" and evidence.persons:
        accepted = tuple(item for item in accepted if item.via is None or not item.via.is_device)
        evidence = msgspec.structs.replace(evidence, devices=())
    profiles = [candidate.profile for candidate in accepted]
    if observation.trust == "browser":
        profiles = _pointed_at(state, evidence)
    screening = Screening((), screening.refused)
    if profiles:
        profile_id = profiles[0].profile_id
        return Plan(profile_id=profile_id, survivor_id=profile_id, replays_as_recorded=True)
    if observation.trust == "browser":
        evidence = msgspec.structs.replace(evidence, persons=())
    return _plan(state, observation, evidence, screening, config)


def _pointed_at(state: WorkingSet, evidence: Evidence) -> list[Profile]:
    """The profiles that the browser's tracker and anonymous id point at."""
    return [profile for device in evidence.devices for _, profile in state.claims_of(device)]


def _with_live_tracker(state: WorkingSet, observation: Observation, evidence: Evidence) -> Evidence:
    """The evidence with trackers that point at a profile, and a fresh one; without any, with the new one."""
    devices = tuple(
        item
        for item in evidence.devices
        if item.namespace != TRACKER or item.value == observation.fresh_tracker or state.claims_of(item)
    )
    if observation.new_tracker is not None and all(item.namespace != TRACKER for item in devices):
        devices = (*devices, Identifier(TRACKER, observation.new_tracker))
    return evidence if devices == evidence.devices else msgspec.structs.replace(evidence, devices=devices)


def _with_named_browser(
    observation: Observation, evidence: Evidence, token_evidence: TokenEvidence | None
) -> Evidence:
    """The evidence with the new anonymous id, if nothing else identifies the visitor.

    The browser is then recognised by it (docs/wire/interactions.md §9.2).
    """
    has_name = any(device.namespace == ANONYMOUS_ID for device in evidence.devices)
    is_known = bool(evidence.persons) or has_name or token_evidence is not None
    if observation.new_anonymous_id is None or is_known:
        return evidence
    browser = Identifier(ANONYMOUS_ID, observation.new_anonymous_id)
    return msgspec.structs.replace(evidence, devices=(browser, *evidence.devices))


def _still_stored(evidence: Evidence, profile: Profile, config: Config) -> Evidence:
    """The evidence of a reindex job without the values that the profile no longer holds.

    New values of the profile need no reindexing: the write that brought them indexed them.
    """
    now = identities_of(profile.record, config, {i.namespace for i in evidence.persons})
    persons = tuple(i for i in evidence.persons if i.value in now.get(i.namespace, ()))
    return msgspec.structs.replace(evidence, persons=persons)


def _only_holder(
    state: WorkingSet,
    observation: Observation,
    evidence: Evidence,
    token_evidence: TokenEvidence | None,
    config: Config,
) -> Profile | None:
    """The only holder of every identifier that the observation names, if there is nothing to decide.

    Most observations are of this kind. Full resolution gives the same plan; this takes a third of the time.
    """
    if observation.creates or observation.profile_id is not None or evidence.dropped:
        return None
    holder = None if token_evidence is None else token_evidence.holder
    for identifier in evidence.identifiers:
        held = state.claims_of(identifier)
        if len(held) != 1 or (holder is not None and held[0][1] is not holder):
            return None
        claim, holder = held[0]
        if not config.is_current(claim) or _is_proof(observation, identifier, claim, evidence, config):
            return None
    if holder is None or holder.consents or observation.choices:
        return None
    is_person_named = bool(evidence.persons) or token_evidence is not None
    return holder if is_person_named or is_followed(holder, observation, config) else None


def _is_proof(
    observation: Observation, identifier: Identifier, claim: Claim, evidence: Evidence, config: Config
) -> bool:
    """Whether an observation proves what a claim only asserts."""
    if identifier.is_device or not (claim.is_asserted and config.dataset.guards_asserted_merges):
        return False
    return observation.trust == "server" and identifier not in evidence.unverified


def _sign_out(state: WorkingSet, evidence: Evidence, config: Config) -> Plan | Rejection:
    """End a sign-in. The browser still points at its user unless `detach_on_sign_out` is set.

    Source: docs/concepts/resolution.md, rule 8.
    """
    for device in _ending(evidence):
        for _, profile in state.claims_of(device):
            if profile.user_id is not None and profile.user_id == evidence.user_id:
                releases = evidence.devices if config.settings.detach_on_sign_out else ()
                return Plan(profile_id=profile.profile_id, survivor_id=profile.profile_id, releases=releases)
    return Rejection("not_signed_in", "This browser does not belong to the user.")


def _end_tracker(state: WorkingSet, evidence: Evidence, config: Config) -> Plan | Rejection:
    """End a tracker: it points at no profile any more, nor do the anonymous ids that came with it."""
    for device in _ending(evidence):
        for _, profile in state.claims_of(device):
            holder = profile.profile_id
            return Plan(profile_id=holder, survivor_id=holder, releases=evidence.devices)
    return Rejection("tracker_not_active", "This tracker points at no profile.")


def _ending(evidence: Evidence) -> tuple[Identifier, ...]:
    """What ends: the tracker, which its anonymous ids follow; without one, the anonymous id."""
    trackers = tuple(device for device in evidence.devices if device.namespace == TRACKER)
    return trackers or evidence.devices


def _addressed(state: WorkingSet, observation: Observation) -> Profile | Rejection | None:
    addressed = observation.addressed_id
    if addressed is None:
        return None
    profile, target = state.survivor(addressed), state.profiles.get(addressed)
    if profile is None or target is None or target.erased:
        return Rejection("profile_not_found", f"Profile {observation.profile_id} not found")
    return profile


def _joined_now(
    observation: Observation, addressed: Profile | None, evidence: Evidence, config: Config
) -> tuple[Profile | None, Evidence]:
    """The addressed profile and the evidence, without the browser that waits for its user's confirmation."""
    is_report = policy_of(observation).graph_effect == "report"
    if is_report and config.dataset.report_joins == "confirmed":
        return None, msgspec.structs.replace(evidence, devices=())
    return addressed, evidence


def _plan(
    state: WorkingSet, observation: Observation, evidence: Evidence, screening: Screening, config: Config
) -> Plan:
    created = observation.creates or not screening.accepted
    survivor = screening.accepted[0] if screening.accepted else Candidate(as_created(observation, evidence))
    survivor_id = survivor.profile.profile_id
    profile_id = observation.new_profile_id if created else survivor_id
    # Last to first: where values differ, those of the better-ranked profile are applied last.
    merges = tuple(_merge(c, survivor, config) for c in reversed(screening.accepted[1:]))
    one = {survivor_id, *(merge.absorbed_id for merge in merges)}
    present = [c.profile for c in screening.accepted if c.profile.profile_id != observation.new_profile_id]
    claims, over_limit = _claims(state, observation, evidence, present, one, config)
    renewed = [i for i in claims if state.has_holder(i, one)]
    is_new_visitor = created and not evidence.persons
    devices, moved = _devices(state, observation, evidence, one, is_new_visitor=is_new_visitor)
    stamps = created or survivor.profile.user_id is None
    known = survivor.profile.is_anonymous and not created and bool(claims or evidence.user_id)
    return Plan(
        profile_id=profile_id,
        survivor_id=survivor_id,
        creates=created,
        promotes=known,
        user_id=evidence.user_id if stamps else None,
        merges=merges,
        claims=claims,
        releases=tuple(renewed),
        devices=devices,
        refusals=(*_refusals(screening, evidence, moved), *over_limit),
        dropped=evidence.dropped,
        replays_as_recorded=policy_of(observation).replays_as_recorded
        and _depends_on_others(state, observation, evidence, one),
    )


def _depends_on_others(
    state: WorkingSet, observation: Observation, evidence: Evidence, one: set[UUID]
) -> bool:
    """Whether replaying after an erasure could decide differently.

    True if a device of a late event stays with another profile, or if the event has a tracker.
    """
    if any(identifier.namespace == TRACKER for identifier in observation.identifiers):
        return True
    return observation.occurred_at is not None and any(
        profile.profile_id not in one for device in evidence.devices for _, profile in state.claims_of(device)
    )


def _merge(absorbed: Candidate, survivor: Candidate, config: Config) -> Merge:
    """The merge with its reason (docs/concepts/resolution.md, rule 9).

    The reason is the identifier that led to the absorbed profile if it names a person, else the one that led
    to the survivor.
    """
    via = next((c.via for c in (absorbed, survivor) if c.via and not c.via.is_device), None)
    via = via or absorbed.via or survivor.via
    namespace = config.namespace(via.namespace) if via else None
    return Merge(absorbed.profile.profile_id, namespace.reason if namespace else "manual", via)


def _claims(
    state: WorkingSet,
    observation: Observation,
    evidence: Evidence,
    present: list[Profile],
    one: set[UUID],
    config: Config,
) -> tuple[tuple[Identifier, ...], tuple[Refusal, ...]]:
    """The person identifiers that the members do not hold yet, and refusals for those beyond a limit.

    An identity of an event that another profile holds after a refusal is not claimed
    (docs/wire/interactions.md §9.6).
    `present`: the accepted profiles that exist. `one`: the ids of all members, the survivor included.
    """
    claims: list[Identifier] = []
    refusals: list[Refusal] = []
    for identifier in evidence.persons:
        held = [
            (claim, profile)
            for claim, profile in current_claims(state, identifier, config)
            if not _is_proof(observation, identifier, claim, evidence, config)
        ]
        if any(profile.profile_id in one for _, profile in held):
            continue
        namespace = config.namespace(identifier.namespace)
        assert namespace is not None
        if namespace.is_single:
            if not (held and policy_of(observation).contested_value == "holder"):
                claims.append(identifier)
            continue
        values = {value for profile in present for value in profile.identities.get(identifier.namespace, ())}
        values.update(claim.value for claim in claims if claim.namespace == identifier.namespace)
        values.discard(identifier.value)
        if len(values) >= namespace.values_max:
            refusals.append(Refusal("limit_exceeded", None, identifier.namespace))
        else:
            claims.append(identifier)
    return tuple(claims), tuple(refusals)


def _devices(
    state: WorkingSet, observation: Observation, evidence: Evidence, one: set[UUID], *, is_new_visitor: bool
) -> tuple[tuple[Identifier, ...], tuple[Profile, ...]]:
    """The browsers that point at the survivor from now on, and the profiles that they pointed at before.

    A late observation does not move a browser that was claimed after the observation happened, unless the
    observation creates an anonymous profile (`is_new_visitor`).
    `one`: the ids of all members, the survivor included.
    """
    devices: list[Identifier] = []
    moved: list[Profile] = []
    for device in evidence.devices:
        held = state.claims_of(device)
        pointed_at = [profile for _, profile in held]
        if not is_new_visitor and _is_earlier(observation, held):
            continue
        if observation.trust == "server" and evidence.user_id is None and _is_parted(state, pointed_at, one):
            continue
        if not any(profile.profile_id in one for profile in pointed_at):
            devices.append(device)
            moved.extend(pointed_at)
    return tuple(devices), tuple(moved)


def _is_parted(state: WorkingSet, profiles: list[Profile], one: set[UUID]) -> bool:
    """Whether a person has parted some profiles from the members: what points at them stays theirs."""
    return bool(state.sides) and any(
        state.are_separated(profile.profile_id, member) for profile in profiles for member in one
    )


def _is_earlier(observation: Observation, held: list[tuple[Claim, Profile]]) -> bool:
    happened = observation.occurred_at
    if happened is None or policy_of(observation).state_as_of != "occurred_at":
        return False
    return any(claim.at > happened for claim, _ in held)


def _refusals(screening: Screening, evidence: Evidence, moved: tuple[Profile, ...]) -> list[Refusal]:
    """All refusals: dropped evidence, refused candidates, and browsers that belonged to another user.

    Source: docs/concepts/resolution.md, rules 6 and 8.
    """
    refusals = [
        Refusal(drop.code, None, drop.namespace)
        for drop in evidence.dropped
        if drop.code == "blocked_value" or drop.code == "untrusted_evidence"
    ]
    refusals += [refusal for _, refusal in screening.refused]
    named = {refusal.other_id for refusal in refusals}
    if evidence.user_id is not None:
        refusals += [
            Refusal("different_user", profile.profile_id)
            for profile in {p.profile_id: p for p in moved}.values()
            if profile.user_id not in (None, evidence.user_id) and profile.profile_id not in named
        ]
    return refusals
