"""The fold: an observation and its plan change the working set (DESIGN §2, §5).

`fold` is the whole law in one call: resolve, check the values, carry the plan out. The service calls it for
each observation of a batch, `verify` for each row of the log; both get the same state.
"""

from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.event_values import event_changes
from oneself.core.identity.identifier import ANONYMOUS_ID, USER_ID, Identifier
from oneself.core.identity.identifier_source import touches
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.consent import Choice, is_event_category, merge_choices, with_choice
from oneself.core.profiles.owned_objects import merge_objects, upsert
from oneself.core.profiles.profile import Profile, primary_id
from oneself.core.profiles.visits import NO_ACTIVITY, add_visits, record_activity
from oneself.core.resolution.evidence import Evidence, claim_age, identities_of
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan, Rejection
from oneself.core.resolution.resolve import resolve
from oneself.core.resolution.working_set import MergeRecord, RefusalRecord, WorkingSet
from oneself.core.values.merge import merge_values, overwrite, strategy_at
from oneself.core.values.patch import Authority, apply_patch
from oneself.core.values.record import EMPTY, ValueChanges, ValueSource, write
from oneself.core.values.reported_claims import accept_valid
from oneself.core.values.schema import Schema
from oneself.core.values.validation import InvalidValue


def fold(
    state: WorkingSet, observation: Observation, config: Config, seq: int, evidence: Evidence | None = None
) -> Plan | Rejection:
    """Decide what the observation does and do it; the plan as it was carried out.

    `seq`: the instant it is recorded, in µs, later than the seq of everything that it touches.
    `evidence`: what it weighs, if that is known already.
    A rejection changes nothing.
    """
    plan = resolve(state, observation, config, evidence)
    if isinstance(plan, Rejection):
        return plan
    try:
        return apply(state, observation, plan, config, seq)
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
    """Carry a fresh plan out; the plan with what the values turned out to hold.

    `accepted`: the values were accepted once, so mutability is not asked again (`replay`).
    Raises InvalidValue, with nothing changed, if they do not fit.
    """
    return _carry_out(
        _Application(state, observation, config, seq, accepted=accepted, claims_final=False), plan
    )


def apply_recorded(state: WorkingSet, observation: Observation, plan: Plan, config: Config, seq: int) -> None:
    """Carry a plan out again exactly as the log has it."""
    _carry_out(_Application(state, observation, config, seq, accepted=True, claims_final=True), plan)


class _Application(msgspec.Struct, frozen=True):
    """A plan being carried out. `accepted`: its values were, once. `settled`: its claims are final."""

    state: WorkingSet
    observation: Observation
    config: Config
    seq: int
    accepted: bool
    claims_final: bool


def _carry_out(application: _Application, plan: Plan) -> Plan:
    prepare = _create_and_join if plan.creates else _write_and_join
    plan, unified, parts = prepare(application, plan)
    _commit(application, plan, _consented(unified, application.observation, application.seq), parts)
    return plan


def _create_and_join(application: _Application, plan: Plan) -> tuple[Plan, Profile, list[Profile]]:
    """The profile that the observation makes, with its values, and the person that it then is part of."""
    created = _written(application, _created(application, plan))
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
    """What the created profile was to hold, and does not: its values turned out otherwise."""
    named = (Identifier(name, value) for name, values in created.identities.items() for value in values)
    return tuple(identifier for identifier in named if identifier not in plan.claims)


def _write_and_join(application: _Application, plan: Plan) -> tuple[Plan, Profile, list[Profile]]:
    """The values go to the profile that the observation addresses, and that one is then joined; an event's go
    to the person that is left in the end."""
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
    """The profile with what an event says of it."""
    observation = application.observation
    if policy_of(observation).values_policy != "event":
        return unified
    if observation.objects:
        objects = upsert(unified.objects, observation.objects, observation.effective_at(application.seq))
        unified = msgspec.structs.replace(unified, objects=objects)
    if not (observation.values or application.config.bindings):
        return unified
    source = source_of(observation, application.seq)
    changes = event_changes(application.state, observation, unified, plan, application.config, source)
    if not changes:
        return unified
    record = write(unified.record, changes, source)
    is_new = record.values != unified.record.values
    return msgspec.structs.replace(
        unified, record=record, updated_at=application.seq if is_new else unified.updated_at
    )


def _addressed(application: _Application, members: list[Profile]) -> Profile:
    """Of those that become one, the survivor first: whose profile the observation's values are written to."""
    profile_id = application.observation.profile_id
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
    """The plan, claiming only what the values hold once written, before a join or after it, and letting go of
    the rest. Where a profile holds one value, what it holds in the end counts (wire/interactions §9.2)."""
    config = application.config
    if not (config.identifier_sources and (plan.claims or plan.merges or stale)):
        return plan
    before, now = (identities_of(profile.record, config) for profile in written)

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
    """What the profile held in the namespaces of values and holds no more, because this observation wrote
    there or indexed it. A merge lets go of nothing: what `others` brought stays their own."""
    is_stored = policy_of(observation).reads_stored_values
    names = config.value_namespaces if is_stored else _written_namespaces(observation, config)
    if not names:
        return {}
    now = identities_of(profile.record, config)
    kept = {name: {v for other in others for v in other.identities.get(name, ())} for name in names}
    return {
        name: tuple(v for v in profile.identities.get(name, ()) if v not in now[name] and v not in kept[name])
        for name in sorted(names)
    }


def _written_namespaces(observation: Observation, config: Config) -> frozenset[str]:
    """The namespaces of rules and identity types whose attribute the observation's values touch."""
    return frozenset(match.name for match in config.identifier_sources if touches(observation.values, match))


def _created(application: _Application, plan: Plan) -> Profile:
    seq = application.seq
    at = application.observation.effective_at(seq) if application.observation.is_interactive else NO_ACTIVITY
    return Profile(
        profile_id=plan.profile_id,
        created_at=seq,
        updated_at=seq,
        active_at=at,
        visit_at=at,
        first_active_at=at,
        seq=seq,
        primary_id=_first_primary_id(application.observation, plan),
        record=EMPTY,
        user_id=plan.user_id,
    )


def _first_primary_id(observation: Observation, plan: Plan) -> str:
    """On the event wire an anonymous profile is called as its browser (wire/interactions §3)."""
    if plan.claims or plan.user_id is not None:
        return _known_primary_id(plan.profile_id, plan)
    device = next((i.value for i in plan.devices if i.namespace == ANONYMOUS_ID), None)
    if device is not None and policy_of(observation).primary_id_policy == "device":
        return device
    return primary_id(plan.profile_id, anonymous=True)


def _known_primary_id(profile_id: UUID, plan: Plan) -> str:
    """Where identity resolution is off, the named id is the primary id (wire/interactions §11)."""
    named = next((i.value for i in plan.claims if i.namespace == LEGACY_ID), None)
    return named or primary_id(profile_id, anonymous=False)


def _activity(observation: Observation, seq: int) -> int:
    """When the person was active by this observation, else NEVER; upkeep is no activity, and what happens
    without the person neither (wire/interactions §9.3)."""
    is_activity = observation.is_interactive and policy_of(observation).makes_active
    return observation.effective_at(seq) if is_activity else NO_ACTIVITY


def _written(application: _Application, profile: Profile, *, again: bool = False) -> Profile:
    """The profile with the observation's own values. `again`, after a join: they are newer than anything that
    replaced them; what another strategy made of them stands."""
    if not application.observation.values or policy_of(application.observation).values_policy == "event":
        return profile
    schema = application.config.schema
    changes = _check(profile, application.observation, schema, accepted=application.accepted)
    if again:
        changes = ValueChanges(tuple(c for c in changes if strategy_at(schema, c.path) is overwrite))
    if not changes:
        return profile
    record = write(profile.record, changes, source_of(application.observation, application.seq))
    return msgspec.structs.replace(profile, record=record, updated_at=application.seq)


def _consented(profile: Profile, observation: Observation, seq: int) -> Profile:
    """The profile with the choices that the observation brings: in the place of all others in categories
    (wire/cds §6), an event's beside them (wire/interactions §9.5)."""
    if observation.consents is None and not observation.choices:
        return profile
    chosen_by = observation.profile_id or profile.profile_id
    choices = profile.consents
    if observation.consents is not None:
        choices = {c: choice for c, choice in choices.items() if is_event_category(c)} | {
            category: Choice(consented, at, chosen_by, seq)
            for category, (consented, at) in observation.consents.items()
        }
    for category, (consented, at) in observation.choices.items():
        choices = with_choice(choices, category, Choice(consented, at, profile.profile_id, seq))
    return msgspec.structs.replace(profile, consents=choices, updated_at=seq)


def _check(profile: Profile, observation: Observation, schema: Schema, *, accepted: bool) -> ValueChanges:
    """What the patch changes. An identity server's claim that does not fit is skipped (wire/cds §12)."""
    creating = observation.new_profile_id == profile.profile_id
    if policy_of(observation).values_policy == "identity_provider":
        return accept_valid(schema, profile.record, observation.values, creating=creating)[0]
    authority: Authority = "log" if accepted else "application"
    return apply_patch(schema, profile.record, observation.values, creating=creating, authority=authority)


def source_of(observation: Observation, seq: int) -> ValueSource:
    """Where the values that an observation writes come from."""
    return ValueSource(
        seq=seq,
        observation_id=str(observation.observation_id),
        at=observation.effective_at(seq),
        interface=observation.interface,
        application=observation.application,
        trust=observation.trust,
    )


def _merged(survivor: Profile, absorbed: Profile, config: Config, seq: int) -> Profile:
    """The survivor with what the absorbed profile brings (DESIGN §5)."""
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
    """The person identifiers held, with those newly claimed; the user id has a field of its own."""
    held = dict(identities)
    for claim in claims:
        present = held.get(claim.namespace, ())
        if claim.namespace != USER_ID and claim.value not in present:
            held[claim.namespace] = (*present, claim.value)
    return held


def _without(
    identities: dict[str, tuple[str, ...]], releases: tuple[Identifier, ...]
) -> dict[str, tuple[str, ...]]:
    """The person identifiers held, without those let go."""
    if not releases:
        return identities
    gone = set(releases)
    left = {
        name: tuple(value for value in values if Identifier(name, value) not in gone)
        for name, values in identities.items()
    }
    return {name: values for name, values in left.items() if values}


def _commit(application: _Application, plan: Plan, unified: Profile, absorbed: list[Profile]) -> None:
    """Everything is decided and checked: change the working set."""
    state, observation, seq = application.state, application.observation, application.seq
    at = observation.effective_at(seq)
    ages = _ages(application, plan)
    for part in absorbed:
        merge = next(m for m in plan.merges if m.absorbed_id == part.profile_id)
        state.put(msgspec.structs.replace(part, survivor_id=plan.survivor_id, reason=merge.reason, seq=seq))
        state.absorb(MergeRecord(merge, plan.survivor_id, seq, observation.observation_id))
    state.put(_touched(application, unified, plan))
    if (active_at := _activity(observation, seq)) != NO_ACTIVITY:
        state.note_activity(plan.profile_id, active_at)
    for identifier in plan.releases:
        for claim, holder in state.claims_of(identifier):
            if holder.profile_id == plan.survivor_id:
                state.release(claim, seq)
    for identifier in plan.claims:
        state.claim(Claim(identifier, plan.profile_id, seq, observation.trust, at, ages[identifier]))
    for device in plan.devices:
        for claim, _ in state.claims_of(device):
            state.release(claim, seq)
    for device in plan.devices:
        state.claim(Claim(device, plan.profile_id, seq, observation.trust, at, seq))
    for refusal in plan.refusals:
        state.refuse(RefusalRecord(refusal, plan.survivor_id, seq, observation.observation_id))


def _ages(application: _Application, plan: Plan) -> dict[Identifier, int]:
    """How old each claim is: a value may be there for longer than anybody asks who holds it."""
    members = (application.state.profiles.get(profile_id) for profile_id in plan.unified_ids)
    records = [profile.record for profile in members if profile is not None]
    return {member: claim_age(records, member, application.seq, application.config) for member in plan.claims}


def _touched(application: _Application, profile: Profile, plan: Plan) -> Profile:
    """The survivor as it stands after the observation: stamped, promoted, active."""
    seq, active_at = application.seq, _activity(application.observation, application.seq)
    claimed = plan.claims if plan.profile_id == plan.survivor_id and not plan.creates else ()
    released = tuple(identifier for identifier in plan.releases if identifier not in plan.claims)
    stamped = profile.user_id or (plan.user_id if plan.survivor_id == profile.profile_id else None)
    changed = plan.merges or plan.promotes or stamped != profile.user_id
    known_as, aliases = profile.primary_id, profile.aliases
    if plan.promotes:
        known_as, aliases = _known_primary_id(profile.profile_id, plan), (*aliases, (known_as, seq))
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
