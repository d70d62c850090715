"""Fold observations into the working set: resolve, check the values, apply the plan.

The service calls `fold` for each observation of a batch, and `verify` calls it for each row of the log. Both
get the same state.

Invariants: pure; a rejected observation changes nothing.

Source: docs/concepts/log-and-fold.md, docs/concepts/merging.md.
"""

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.activity import act, activity_of
from oneself.core.fold.consents import with_consents
from oneself.core.fold.creation import created_profile, known_primary_id
from oneself.core.fold.event_values import event_changes
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity.identifier_source import touches
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.consent import merge_choices
from oneself.core.profiles.owned_objects import merge_objects, upsert
from oneself.core.profiles.profile import Profile, primary_id
from oneself.core.profiles.visits import NO_ACTIVITY, add_visits, record_activity
from oneself.core.resolution.evidence import (
    Evidence,
    claim_ages,
    identities_before_and_after,
    identities_of,
    unverified_identifiers,
)
from oneself.core.resolution.kinds import KindPolicy, policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan, Rejection
from oneself.core.resolution.resolve import resolve
from oneself.core.resolution.working_set import MergeRecord, RefusalRecord, WorkingSet
from oneself.core.values.merge import merge_values, overwrite, strategy_at
from oneself.core.values.patch import Authority, apply_patch
from oneself.core.values.record import ValueChanges, write
from oneself.core.values.reported_claims import accept_valid
from oneself.core.values.schema import Schema
from oneself.core.values.validation import InvalidValue


def fold(
    state: WorkingSet,
    observation: Observation,
    config: Config,
    seq: int,
    evidence: Evidence | None = None,
    *,
    accepted: bool = False,
    user_accepted: bool = False,
) -> Plan | Rejection:
    """Resolve an observation and apply its plan.

    Returns the plan as it was applied, or a rejection, which changes nothing.
    `seq`: when the observation is recorded, in µs since 1970; greater than the seq of everything it touches.
    `evidence`: the evidence of the observation, if it was extracted already. `accepted`: its values were
    checked against what its caller sees; `user_accepted`: so was its user.
    """
    plan = resolve(state, observation, config, evidence, user_accepted=user_accepted)
    if isinstance(plan, Rejection):
        return plan
    try:
        return apply(state, observation, plan, config, seq, accepted=accepted)
    except InvalidValue as problem:
        return Rejection("invalid_value", str(problem))


def apply(
    state: WorkingSet,
    observation: Observation,
    plan: Plan,
    config: Config,
    seq: int,
    *,
    accepted: bool = False,
) -> Plan:
    """Apply a new plan to the working set.

    Returns the plan with its final claims, which depend on the values as written.
    `accepted`: the values were accepted before, so their mutability is not checked again (`replay`).
    Raises InvalidValue, with nothing changed, if a value is invalid.
    """
    return _carry_out(
        _Application(
            state, observation, policy_of(observation), config, seq, accepted=accepted, claims_final=False
        ),
        plan,
    )


def apply_recorded(state: WorkingSet, observation: Observation, plan: Plan, config: Config, seq: int) -> None:
    """Apply a plan again, exactly as the log records it."""
    application = _Application(
        state, observation, policy_of(observation), config, seq, accepted=True, claims_final=True
    )
    _carry_out(application, plan)


class _Application(msgspec.Struct, frozen=True):
    """A plan that is being applied."""

    state: WorkingSet
    observation: Observation
    #: What the kind of the observation may do.
    policy: KindPolicy
    config: Config
    #: When the observation is recorded, in µs since 1970.
    seq: int
    #: Whether the values were accepted before.
    accepted: bool
    #: Whether the claims of the plan are applied as they are.
    claims_final: bool

    @property
    def active_at(self) -> int:
        """When the observation made the person active, in µs since 1970, else NO_ACTIVITY."""
        return activity_of(self.observation, self.policy, self.seq)


def _carry_out(application: _Application, plan: Plan) -> Plan:
    state, observation, policy = application.state, application.observation, application.policy
    if plan.is_attachment and act(state, plan, observation, policy, application.config, application.seq):
        return plan
    prepare = _create_and_join if plan.creates else _write_and_join
    plan, unified, parts = prepare(application, plan)
    _commit(application, plan, with_consents(unified, application.observation, application.seq), parts)
    return plan


def _create_and_join(application: _Application, plan: Plan) -> tuple[Plan, Profile, list[Profile]]:
    """Create the profile of the observation with its values, then merge it with the others of the plan."""
    begun = created_profile(application.observation, plan, application.seq)
    created = _written(application, begun)
    held = msgspec.structs.replace(created, identities=_with_claims({}, plan.claims))
    survivor, *parts = members = [
        held if profile_id == created.profile_id else application.state.profiles[profile_id]
        for profile_id in plan.unified_ids
    ]
    unified = _by_event(application, plan, _merge_all(application, survivor, parts))
    if not application.claims_final:
        plan = _with_final_claims(application, plan, members, (created, unified), {})
        unified = msgspec.structs.replace(unified, identities=_without(unified.identities, _lost(held, plan)))
    return plan, unified, parts


def _lost(created: Profile, plan: Plan) -> tuple[Identifier, ...]:
    """The identifiers that the created profile does not hold after all, because its values differ."""
    named = (Identifier(name, value) for name, values in created.identities.items() for value in values)
    return tuple(identifier for identifier in named if identifier not in plan.claims)


def _write_and_join(application: _Application, plan: Plan) -> tuple[Plan, Profile, list[Profile]]:
    """Write the values to the addressed profile, then merge. An event writes its values after the merge."""
    members = [application.state.profiles[profile_id] for profile_id in plan.unified_ids]
    addressed = _addressed(application, members)
    written = _written(application, addressed)
    others = [member for member in members if member is not addressed]
    survivor, *parts = (written if member is addressed else member for member in members)
    unified = _merge_all(application, survivor, parts)
    if parts:
        unified = _written(application, unified, again=True)
    unified = _by_event(application, plan, unified)
    if not application.claims_final:
        stale = _released_claims(application.observation, written, others, application.config)
        plan = _with_final_claims(application, plan, members, (written, unified), stale)
    return plan, unified, parts


def _by_event(application: _Application, plan: Plan, unified: Profile) -> Profile:
    """The profile with the objects and values of an event."""
    observation = application.observation
    if application.policy.values_policy != "event":
        return unified
    if observation.objects:
        objects = upsert(unified.objects, observation.objects, observation.effective_at(application.seq))
        unified = msgspec.structs.replace(unified, objects=objects)
    if not (observation.values or application.config.bindings):
        return unified
    source = observation.source(application.seq)
    changes = event_changes(application.state, observation, unified, plan, application.config, source)
    if not changes:
        return unified
    record = write(unified.record, changes, source)
    is_new = record.values != unified.record.values
    return msgspec.structs.replace(
        unified, record=record, updated_at=application.seq if is_new else unified.updated_at
    )


def _addressed(application: _Application, members: list[Profile]) -> Profile:
    """The member that the observation addresses, else the survivor, which is the first member."""
    profile_id = application.observation.addressed_id
    target = application.state.survivor(profile_id) if profile_id else None
    return next((member for member in members if member is target), members[0])


def _merge_all(application: _Application, survivor: Profile, parts: list[Profile]) -> Profile:
    for part in parts:
        survivor = _merged(survivor, part, application.config, application.seq)
    return survivor


def _with_final_claims(
    application: _Application,
    plan: Plan,
    members: list[Profile],
    written: tuple[Profile, Profile],
    stale: dict[str, tuple[str, ...]],
) -> Plan:
    """The plan with its final claims: it claims only what the written values hold, and releases the rest.

    Values count as they are before or after the merge. Where a profile holds one value, only the value after
    the merge counts (docs/wire/interactions.md §9.2).
    """
    config = application.config
    if not (config.identifier_sources and (plan.claims or plan.merges or stale)):
        return plan
    held = {name for member in members for name in member.identities}
    namespaces = {i.namespace for i in plan.claims} | (held & config.bindings.keys())
    before, now = identities_before_and_after(written[0].record, written[1].record, config, namespaces)

    def is_claimed(i: Identifier) -> bool:
        if i.namespace in config.bindings:
            return i.value in now[i.namespace]
        return i.namespace not in now or i.value in now[i.namespace] or i.value in before[i.namespace]

    claims = tuple(i for i in plan.claims if is_claimed(i))
    gone = [Identifier(name, value) for name, values in stale.items() for value in values]
    superseded = [
        Identifier(name, value)
        for name in config.bindings
        for person in members
        for value in person.identities.get(name, ())
        if value not in now[name]
    ]
    return msgspec.structs.replace(
        plan,
        claims=claims,
        promotes=plan.promotes and bool(claims or plan.user_id),
        releases=tuple(dict.fromkeys((*plan.releases, *gone, *superseded))),
    )


def _released_claims(
    observation: Observation, profile: Profile, others: list[Profile], config: Config
) -> dict[str, tuple[str, ...]]:
    """Namespace → values that the profile no longer holds, because the observation wrote or indexed there.

    A merge releases nothing: the values that `others` bring stay claimed.
    """
    is_stored = policy_of(observation).reads_stored_values
    names = config.value_namespaces if is_stored else _written_namespaces(observation, config)
    if not names:
        return {}
    now = identities_of(profile.record, config, names & profile.identities.keys())
    kept = {name: {v for other in others for v in other.identities.get(name, ())} for name in names}
    return {
        name: tuple(v for v in profile.identities.get(name, ()) if v not in now[name] and v not in kept[name])
        for name in sorted(names)
    }


def _written_namespaces(observation: Observation, config: Config) -> frozenset[str]:
    """The namespaces of rules and identity types whose attribute the observation's values touch."""
    return frozenset(match.name for match in config.identifier_sources if touches(observation.values, match))


def _written(application: _Application, profile: Profile, *, again: bool = False) -> Profile:
    """The profile with the values of the observation.

    `again`: after a merge. Write only attributes that overwrite: these values are newer than any that
    replaced them. The results of other merge strategies stay.
    """
    if not application.observation.values or application.policy.values_policy == "event":
        return profile
    schema = application.config.schema
    changes = _check(profile, application.observation, schema, accepted=application.accepted)
    if again:
        changes = ValueChanges(tuple(c for c in changes if strategy_at(schema, c.path) is overwrite))
    if not changes:
        return profile
    record = write(profile.record, changes, application.observation.source(application.seq))
    return msgspec.structs.replace(profile, record=record, updated_at=application.seq)


def _check(profile: Profile, observation: Observation, schema: Schema, *, accepted: bool) -> ValueChanges:
    """The changes of the patch. Invalid claims of an identity provider are skipped (docs/wire/cds.md §12)."""
    creating = observation.new_profile_id == profile.profile_id
    if policy_of(observation).values_policy == "identity_provider":
        return accept_valid(schema, profile.record, observation.values, creating=creating)[0]
    authority: Authority = "log" if accepted else "application"
    return apply_patch(schema, profile.record, observation.values, creating=creating, authority=authority)


def _merged(survivor: Profile, absorbed: Profile, config: Config, seq: int) -> Profile:
    """The survivor with the data of the absorbed profile (docs/concepts/merging.md)."""
    record = merge_values(
        config.schema,
        survivor.record,
        absorbed.record,
        absorbed_fills_identity_only=survivor.is_identified and not absorbed.is_identified,
        strategies=config.merge_strategies,
    )
    identities = dict(survivor.identities)
    for name, values in absorbed.identities.items():
        present = identities.get(name, ())
        identities[name] = (*present, *(value for value in values if value not in present))
    return msgspec.structs.replace(
        add_visits(survivor, absorbed, config.dataset.visit_timeout_us),
        record=record,
        identities=identities,
        consents=merge_choices(survivor.consents, absorbed.consents),
        objects=merge_objects(survivor.objects, absorbed.objects) if absorbed.objects else survivor.objects,
        created_at=min(survivor.created_at, absorbed.created_at),
        updated_at=seq,
    )


def _with_claims(
    identities: dict[str, tuple[str, ...]], claims: tuple[Identifier, ...]
) -> dict[str, tuple[str, ...]]:
    """The identities with new claims added, except the user id, which has its own field."""
    held = dict(identities)
    for claim in claims:
        present = held.get(claim.namespace, ())
        if claim.namespace != USER_ID and claim.value not in present:
            held[claim.namespace] = (*present, claim.value)
    return held


def _without(
    identities: dict[str, tuple[str, ...]], releases: tuple[Identifier, ...]
) -> dict[str, tuple[str, ...]]:
    """The identities without the released ones."""
    if not releases:
        return identities
    gone = set(releases)
    left = {
        name: tuple(value for value in values if Identifier(name, value) not in gone)
        for name, values in identities.items()
    }
    return {name: values for name, values in left.items() if values}


def _commit(application: _Application, plan: Plan, unified: Profile, absorbed: list[Profile]) -> None:
    """Change the working set. Everything is decided and checked before."""
    state, observation, seq = application.state, application.observation, application.seq
    at = observation.effective_at(seq)
    ages = _ages(application, plan)
    unverified = unverified_identifiers(observation, application.config) if plan.claims else frozenset()
    for part in absorbed:
        merge = next(m for m in plan.merges if m.absorbed_id == part.profile_id)
        state.put(msgspec.structs.replace(part, survivor_id=plan.survivor_id, reason=merge.reason, seq=seq))
        state.absorb(MergeRecord(merge, plan.survivor_id, seq, observation.observation_id))
    state.put(_touched(application, unified, plan))
    if application.active_at != NO_ACTIVITY:
        state.note_activity(plan.profile_id, application.active_at)
    for identifier in plan.releases:
        for claim, holder in state.claims_of(identifier):
            if holder.profile_id == plan.survivor_id:
                state.release(claim, seq)
    for identifier in plan.claims:
        trust = "browser" if identifier in unverified else observation.trust
        state.claim(Claim(identifier, plan.profile_id, seq, trust, at, ages[identifier]))
    for device in plan.devices:
        for claim, _ in state.claims_of(device):
            state.release(claim, seq)
    for device in plan.devices:
        state.claim(Claim(device, plan.profile_id, seq, observation.trust, at, seq))
    for refusal in plan.refusals:
        state.refuse(RefusalRecord(refusal, plan.survivor_id, seq, observation.observation_id))


def _ages(application: _Application, plan: Plan) -> dict[Identifier, int]:
    """The age of each claim, as a seq. A value may be older than the rule that makes it a claim."""
    if not plan.claims:
        return {}
    members = (application.state.profiles.get(profile_id) for profile_id in plan.unified_ids)
    records = [profile.record for profile in members if profile is not None]
    return claim_ages(records, plan.claims, application.seq, application.config)


def _touched(application: _Application, profile: Profile, plan: Plan) -> Profile:
    """The survivor after the observation, with user id, primary id, identities and activity updated."""
    seq, active_at = application.seq, application.active_at
    claimed = plan.claims if plan.profile_id == plan.survivor_id and not plan.creates else ()
    released = tuple(identifier for identifier in plan.releases if identifier not in plan.claims)
    stamped = profile.user_id or (plan.user_id if plan.survivor_id == profile.profile_id else None)
    changed = plan.merges or plan.promotes or stamped != profile.user_id
    known_as, aliases = profile.primary_id, profile.aliases
    if plan.promotes:
        known_as, aliases = known_primary_id(profile.profile_id, plan), (*aliases, (known_as, seq))
    elif application.config.dataset.resolves_since and known_as in profile.identities.get(LEGACY_ID, ()):
        known_as, aliases = primary_id(profile.profile_id, anonymous=False), (*aliases, (known_as, seq))
    if active_at != NO_ACTIVITY and not plan.creates:
        profile = record_activity(profile, active_at, application.config.dataset.visit_timeout_us)
    return msgspec.structs.replace(
        profile,
        user_id=stamped,
        primary_id=known_as,
        aliases=aliases,
        identities=_without(_with_claims(profile.identities, claimed), released),
        updated_at=seq if changed else profile.updated_at,
        seq=seq,
    )
