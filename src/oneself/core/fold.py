"""The fold: an observation and its plan change the working set (DESIGN §2, §5).

`fold` is the whole law in one call: resolve, check the values, carry the plan out. The service calls it for
each observation of a batch, `verify` for each row of the log; both get the same state.
"""

import msgspec

from oneself.core.config import Config
from oneself.core.identifier import USER_ID, Identifier
from oneself.core.merge import merge_values
from oneself.core.observation import Observation
from oneself.core.plan import Plan, Rejection
from oneself.core.profile import Claim, Profile, primary_id
from oneself.core.resolve import resolve
from oneself.core.schema import Schema
from oneself.core.state import Merged, Refused, State
from oneself.core.values import (
    EMPTY,
    Authority,
    Changes,
    InvalidValue,
    Source,
    check_write,
    skip_unfit,
    write,
)

__all__ = ["State", "apply", "fold"]


def fold(state: State, observation: Observation, config: Config, seq: int) -> Plan | Rejection:
    """Decide what the observation does and do it.

    `seq`: the instant it is recorded, in µs, later than the seq of everything that it touches.
    A rejection changes nothing.
    """
    plan = resolve(state, observation, config)
    if isinstance(plan, Rejection):
        return plan
    try:
        apply(state, observation, plan, config, seq)
    except InvalidValue as problem:
        return Rejection("invalid_value", str(problem))
    return plan


def apply(
    state: State, observation: Observation, plan: Plan, config: Config, seq: int, *, accepted: bool = False
) -> None:
    """Carry a plan out. Raises InvalidValue, with nothing changed, if the observation's values do not fit.

    `accepted`: they were accepted once, so mutability is not asked again (`replay`).
    """
    schema = config.schema
    survivor, created = _people(state, observation, plan, seq)
    if created is not None:
        created = _written(created, observation, schema, seq, accepted=accepted)
    parts = [
        created if m.absorbed_id == plan.profile_id else state.profiles[m.absorbed_id] for m in plan.merges
    ]
    absorbed = [part for part in parts if part is not None]
    unified = created if created is not None and survivor is None else survivor
    assert unified is not None
    for part in absorbed:
        unified = _joined(unified, part, schema, seq)
    if created is None:
        unified = _written(unified, observation, schema, seq, accepted=accepted)
    _commit(state, observation, plan, unified, absorbed, seq)


def _people(
    state: State, observation: Observation, plan: Plan, seq: int
) -> tuple[Profile | None, Profile | None]:
    """The profile that survives, None if it is the one being made; and the one being made."""
    created = _created(observation, plan, seq) if plan.creates else None
    if plan.creates and plan.survivor_id == plan.profile_id:
        return None, created
    return state.profiles[plan.survivor_id], created


def _created(observation: Observation, plan: Plan, seq: int) -> Profile:
    anonymous = not plan.claims and plan.user_id is None
    return Profile(
        profile_id=plan.profile_id,
        created_at=seq,
        updated_at=seq,
        active_at=_active(observation, seq),
        seq=seq,
        primary_id=primary_id(plan.profile_id, anonymous=anonymous),
        record=EMPTY,
        user_id=plan.user_id,
        identities=_with_claims({}, plan.claims),
    )


def _active(observation: Observation, seq: int) -> int:
    return seq if observation.occurred_at is None else observation.occurred_at


def _written(
    profile: Profile, observation: Observation, schema: Schema, seq: int, *, accepted: bool
) -> Profile:
    """The profile with the observation's own values, which are newer than anything merged in."""
    if not observation.values:
        return profile
    changes = _check(profile, observation, schema, accepted=accepted)
    if not changes:
        return profile
    record = write(profile.record, changes, source_of(observation, seq))
    return msgspec.structs.replace(profile, record=record, updated_at=seq)


def _check(profile: Profile, observation: Observation, schema: Schema, *, accepted: bool) -> Changes:
    """What the patch changes. An identity server's claim that does not fit is skipped (wire/cds §12)."""
    creating = observation.new_profile_id == profile.profile_id
    if observation.authority == "identity_server":
        return skip_unfit(schema, profile.record, observation.values, creating=creating)[0]
    authority: Authority = "log" if accepted else "application"
    return check_write(schema, profile.record, observation.values, creating=creating, authority=authority)


def source_of(observation: Observation, seq: int) -> Source:
    """Where the values that an observation writes come from."""
    return Source(
        seq=seq,
        observation_id=str(observation.observation_id),
        at=_active(observation, seq),
        face=observation.face,
        application=observation.application,
    )


def _joined(survivor: Profile, absorbed: Profile, schema: Schema, seq: int) -> Profile:
    """The survivor with what the absorbed profile brings (DESIGN §5)."""
    record = merge_values(
        schema,
        survivor.record,
        absorbed.record,
        absorbed_fills_identity_only=survivor.is_identified and not absorbed.is_identified,
    )
    identities = dict(survivor.identities)
    for name, values in absorbed.identities.items():
        present = identities.get(name, ())
        identities[name] = (*present, *(value for value in values if value not in present))
    return msgspec.structs.replace(
        survivor,
        record=record,
        identities=identities,
        created_at=min(survivor.created_at, absorbed.created_at),
        active_at=max(survivor.active_at, absorbed.active_at),
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


def _commit(
    state: State, observation: Observation, plan: Plan, unified: Profile, absorbed: list[Profile], seq: int
) -> None:
    """Everything is decided and checked: change the working set."""
    for part in absorbed:
        merge = next(m for m in plan.merges if m.absorbed_id == part.profile_id)
        state.put(msgspec.structs.replace(part, survivor_id=plan.survivor_id, reason=merge.reason, seq=seq))
        state.absorb(Merged(merge, plan.survivor_id, seq, observation.observation_id))
    state.put(_touched(unified, observation, plan, seq))
    for identifier in plan.claims:
        state.claim(Claim(identifier, plan.profile_id, seq, observation.trust))
    for device in (*plan.devices, *plan.releases):
        for claim, _ in state.held(device):
            state.release(claim, seq)
    for device in plan.devices:
        state.claim(Claim(device, plan.profile_id, seq, observation.trust))
    for refusal in plan.refusals:
        state.refuse(Refused(refusal, plan.survivor_id, seq, observation.observation_id))


def _touched(profile: Profile, observation: Observation, plan: Plan, seq: int) -> Profile:
    """The survivor as it stands after the observation: stamped, promoted, active."""
    claimed = plan.claims if plan.profile_id == plan.survivor_id and not plan.creates else ()
    stamped = profile.user_id or (plan.user_id if plan.survivor_id == profile.profile_id else None)
    changed = plan.merges or plan.promotes or stamped != profile.user_id
    return msgspec.structs.replace(
        profile,
        user_id=stamped,
        primary_id=primary_id(profile.profile_id, anonymous=False) if plan.promotes else profile.primary_id,
        identities=_with_claims(profile.identities, claimed),
        active_at=max(profile.active_at, _active(observation, seq)),
        updated_at=seq if changed else profile.updated_at,
        seq=seq,
    )
