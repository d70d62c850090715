"""Translates scenarios to types of `oneself`: set-ups to configuration changes, steps to observations.

The core and the service use it; the oracle does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, get_args
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec

from oneself.core.config.changes import (
    ConfigChange,
    DropRule,
    Limits,
    PutAttributes,
    PutDatasetSettings,
    PutIdentityAttributes,
    PutIdentityType,
    PutLimits,
    PutRule,
    PutSettings,
)
from oneself.core.config.configuration import Config
from oneself.core.config.rule_checks import check_rule
from oneself.core.identity import identity_type as core
from oneself.core.identity.dataset_settings import NEW_DATASET, DatasetSettings
from oneself.core.identity.identifier import ANONYMOUS_ID, USER_ID, Identifier
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.observation import (
    Observation,
    PageEvent,
    ProfileWrite,
    Reindex,
    SignIn,
    SignOut,
)
from oneself.core.resolution.plan import Plan
from oneself.core.values.attribute import Attribute
from scenarios.engine import Outcome, ProfileFacts
from scenarios.words import Act, AttributeLine, IdentityType, Kind, RuleLine, Setup, Step

_KINDS: dict[Act, Callable[..., Observation]] = {
    "event": PageEvent,
    "sign-in": SignIn,
    "sign-out": SignOut,
    "write": ProfileWrite,
    "create": partial(ProfileWrite, creates=True),
}
#: No channel identity is set up, so what keeps two of them apart does not matter.
SETTINGS = DatasetSettings(comparison=NEW_DATASET.comparison)
assert set(_KINDS) == set(get_args(Act)) - {"rule", "index", "erase"}


def changes(setup: Setup) -> list[ConfigChange]:
    """The configuration changes that apply the set-up to a dataset."""
    result: list[ConfigChange] = [PutDatasetSettings(SETTINGS)]
    result += [PutIdentityType(_identity_type(kind)) for kind in setup.identity_types]
    bound = [kind.name for kind in setup.identity_types if kind.bound]
    if bound:
        result.append(PutAttributes(tuple(_attributes([_bound_attribute(name) for name in bound]))))
        result.append(PutIdentityAttributes(tuple(map(_binding, bound))))
    if setup.attributes:
        result.append(PutAttributes(tuple(_attributes(setup.attributes))))
    if setup.detach_on_sign_out:
        result.append(PutSettings(detach_on_sign_out=True))
    limits = {
        name: limit
        for name in ("profiles_per_merge_max", "values_per_namespace_max")
        if (limit := getattr(setup, name)) is not None
    }
    if limits:
        result.append(PutLimits(Limits(**limits)))
    return result


class UnknownName(Exception):
    """A scenario changes a rule that does not exist."""


def rule_of(line: RuleLine, rule_id: str = "") -> UnificationRule:
    """A new rule."""
    assert line.attribute is not None
    assert line.priority is not None
    assert line.is_active is not None
    return UnificationRule(rule_id, line.name, line.attribute, line.priority, line.is_active)


def rule_fields(line: RuleLine) -> dict[str, Any]:
    """The fields of a rule that a line changes."""
    fields = {"priority": line.priority, "is_active": line.is_active}
    return {name: value for name, value in fields.items() if value is not None}


def rule_change(config: Config, line: RuleLine) -> ConfigChange | None:
    """The configuration change of a rule line; None if it changes nothing.

    Raises UnknownName, rule_checks.RuleRejected.
    """
    existing = next((rule for rule in config.rules.values() if rule.rule_name == line.name), None)
    if line.gone:
        return None if existing is None else DropRule(existing.rule_id)
    if line.attribute is not None:
        rule = rule_of(line, f"{line.name}:{config.version}")
    elif existing is not None:
        rule = msgspec.structs.replace(existing, **rule_fields(line))
    else:
        raise UnknownName(line.name)
    check_rule(config, rule)
    return None if rule == existing else PutRule(rule)


def match(profile_id: UUID, identifiers: tuple[Identifier, ...], new_id: UUID) -> Observation:
    """The observation of indexing that a profile has these identifiers."""
    return Reindex(
        observation_id=observation_id(new_id),
        new_profile_id=new_id,
        interface="rules",
        profile_id=profile_id,
        identifiers=identifiers,
    )


def observation(step: Step, addressed: UUID | None, new_id: UUID, event_id: str | None = None) -> Observation:
    """The step as an observation; its id follows from `new_id`."""
    # An event cannot write with the authority of an application, so events with values become profile writes.
    kind = ProfileWrite if step.act == "event" and step.values else _KINDS[step.act]
    return kind(
        observation_id=observation_id(new_id),
        new_profile_id=new_id,
        interface="interactions" if step.act == "event" else "test",
        trust=step.trust,
        application=step.application,
        occurred_at=step.at,
        identifiers=tuple(_identifiers(step)),
        profile_id=addressed,
        event_id=event_id,
        **({"values": step.values} if step.values else {}),
    )


def observation_id(new_id: UUID) -> UUID:
    """The id of the step that may create the profile `new_id`."""
    return uuid5(NAMESPACE_OID, f"observation:{new_id}")


def outcome(plan: Plan) -> Outcome:
    """The outcome of a plan."""
    refusals = {(refusal.code, refusal.other_id) for refusal in plan.refusals if refusal.other_id is not None}
    drops = {(refusal.namespace or "", refusal.code) for refusal in plan.refusals if refusal.other_id is None}
    return Outcome(
        attached=plan.survivor_id,
        created=plan.profile_id if plan.creates else None,
        merges=frozenset((merge.absorbed_id, merge.reason) for merge in plan.merges),
        refusals=frozenset(refusals),
        drops=frozenset(drops | {(dropped.namespace, dropped.code) for dropped in plan.dropped}),
    )


def facts(profile: Profile, survivor: UUID | None) -> ProfileFacts:
    """The facts of a profile; `survivor` is None unless it was absorbed."""
    if survivor is not None:
        return ProfileFacts(survivor=survivor, reason=profile.reason)
    identities = {(name, value) for name, values in profile.identities.items() for value in values}
    return ProfileFacts(_kind(profile), profile.user_id, profile.record.values, frozenset(identities))


def _kind(profile: Profile) -> Kind:
    if profile.is_identified:
        return "identified"
    return "anonymous" if profile.is_anonymous else "named"


def _bound_attribute(name: str) -> AttributeLine:
    return AttributeLine(f"identity_attributes.{name}", "string", "latest")


def _binding(name: str) -> core.IdentityBinding:
    return core.IdentityBinding(name, name, f"identity_attributes.{name}")


def _identity_type(kind: IdentityType) -> core.IdentityType:
    return core.IdentityType(
        type_id=kind.name,
        label=kind.name,
        case_sensitive=kind.case_sensitive,
        trusted_only=kind.trusted_only,
        conflict_blocks_merge=kind.conflict_blocks_merge,
        blocked_values=kind.blocked_values,
    )


def _attributes(lines: Iterable[AttributeLine]) -> Iterable[Attribute]:
    for line in lines:
        yield Attribute(
            attribute_id=_attribute_id(line),
            attribute_name=line.name,
            value_type=line.value_type,
            merge_strategy=line.merge_strategy,
            mutability=line.mutability,
            multi_valued=line.multi_valued,
            application_identifier=line.application,
            sub_attributes=tuple(_attribute_id(child) for child in lines if _is_child(child, line)),
        )


def _attribute_id(line: AttributeLine) -> str:
    return f"{line.application or ''}/{line.name}"


def _is_child(child: AttributeLine, parent: AttributeLine) -> bool:
    above, _, _ = child.name.rpartition(".")
    return (above, child.application) == (parent.name, parent.application)


def _identifiers(step: Step) -> Iterable[Identifier]:
    yield from (Identifier(ANONYMOUS_ID, device) for device in step.devices)
    yield from (Identifier(name, value) for name, value in step.identities)
    if step.user is not None:
        yield Identifier(USER_ID, step.user)
