"""Redaction: remove an erased profile from log entries that stay.

Invariants: pure; it decides what an entry keeps. The service reads and writes the entries.

Source: docs/concepts/trust.md (erasure), docs/wire/cds.md §5.5.
"""

from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.apply import apply_recorded
from oneself.core.fold.log_entry import LogEntry, observation_of, recorded_plan
from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.resolution.evidence import extract_evidence, identities_of
from oneself.core.resolution.observation import Observation, TokenClaims, without_content
from oneself.core.resolution.plan import Plan
from oneself.core.resolution.working_set import WorkingSet


def redact(
    entry: LogEntry,
    profile_id: UUID,
    identifiers: frozenset[Identifier],
    survivor_id: UUID,
    config: Config,
) -> LogEntry:
    """The entry without the data of one erased profile; its survivor stays (docs/wire/cds.md §5.5, DELETE).

    An entry that is attached to the erased profile, addresses it or names nothing else loses all its content.
    It moves to the survivor, so that erasing the survivor deletes it too. Any other entry loses only the
    erased identifiers; an entry that does not mention them is returned unchanged.
    `identifiers`: the identifiers of the erased profile.
    """
    observation = observation_of(entry)
    evidence = extract_evidence(observation, config)
    named = (*evidence.persons, *evidence.devices)
    kept = tuple(identifier for identifier in named if identifier not in identifiers)
    nothing_else = observation.profile_id is None and bool(named) and not kept
    own = profile_id in (entry.profile_id, observation.addressed_id) or nothing_else
    if not own and len(kept) == len(named) and identifiers.isdisjoint(_mentioned(recorded_plan(entry))):
        return entry
    bare = without_content(observation) if own else _without_identifiers(observation, kept, identifiers)
    return msgspec.structs.replace(
        entry,
        profile_id=survivor_id if own else entry.profile_id,
        content=msgspec.to_builtins(bare),
        plan=_redacted_plan(recorded_plan(entry), frozenset(named) if own else identifiers, own=own),
        content_redacted=True,
        replay="apply",
    )


def _without_identifiers(
    observation: Observation, kept: tuple[Identifier, ...], erased: frozenset[Identifier]
) -> Observation:
    """The observation with only the identifiers in `kept`; the erased ones are removed everywhere else."""
    cleared: dict[str, Any] = {"identifiers": kept}
    if observation.token is not None:
        cleared["token"] = _token_without(observation.token, erased)
    if observation.fresh_tracker is not None:
        is_erased = Identifier(TRACKER, observation.fresh_tracker) in erased
        cleared["fresh_tracker"] = None if is_erased else observation.fresh_tracker
    if observation.body is not None:
        cleared["body"] = _without_user(observation.body)
    return msgspec.structs.replace(observation, **cleared)


def _token_without(token: TokenClaims, identifiers: frozenset[Identifier]) -> TokenClaims:
    """The token claims without the erased identities."""
    left = {name: key for name, key in token.identities.items() if Identifier(name, key) not in identifiers}
    return msgspec.structs.replace(token, identities=left)


def _without_user(body: Any) -> Any:
    """The body of an event without `user`, which may contain an erased identifier."""
    return {key: value for key, value in body.items() if key != "user"} if isinstance(body, dict) else body


def _mentioned(plan: Plan) -> set[Identifier]:
    """The identifiers that a plan names."""
    joined = {merge.identifier for merge in plan.merges if merge.identifier is not None}
    return {*plan.claims, *plan.devices, *plan.releases, *joined}


def inherit(entries: list[LogEntry], configs: dict[int, Config]) -> list[LogEntry]:
    """The entries of a profile, with claims moved from redacted entries to later ones with the same value.

    A redacted entry no longer claims its values. The first remaining entry with such a value claims it, until
    an entry releases it.
    `configs`: configuration by version.
    """
    state = WorkingSet()
    inherited: set[Identifier] = set()
    left: list[LogEntry] = []
    for entry in entries:
        observation, config = observation_of(entry), configs[entry.config_version]
        plan = recorded_plan(entry)
        apply_recorded(state, observation, plan, config, entry.seq)
        claims, releases = _inherited_claims(state, observation, plan, config, inherited)
        for identifier in claims:
            at = observation.effective_at(entry.seq)
            state.claim(Claim(identifier, plan.profile_id, entry.seq, observation.trust, at, entry.seq))
        for identifier in releases:
            for claim, _ in state.claims_of(identifier):
                state.release(claim, entry.seq)
        inherited = (inherited | set(claims)) - set(releases)
        if claims or releases:
            plan = msgspec.structs.replace(
                plan, claims=(*plan.claims, *claims), releases=(*plan.releases, *releases)
            )
            entry = msgspec.structs.replace(entry, plan=plan, replay="apply")
        left.append(entry)
    return left


def _inherited_claims(
    state: WorkingSet, observation: Observation, plan: Plan, config: Config, inherited: set[Identifier]
) -> tuple[list[Identifier], list[Identifier]]:
    """The claims and releases that an entry inherits.

    Claims: the unclaimed identifiers that the values of the entry hold. Releases: the inherited identifiers
    that the profile no longer holds.
    """
    survivor = state.survivor(plan.profile_id)
    assert survivor is not None
    now = {
        Identifier(name, value)
        for name, values in identities_of(survivor.record, config).items()
        for value in values
    }
    limited = {refusal.namespace for refusal in plan.refusals if refusal.code == "limit_exceeded"}
    named = [
        i for i in extract_evidence(observation, config).persons if i in now and i.namespace not in limited
    ]
    claims = [i for i in named if not state.claims_of(i)]
    releases = [i for i in sorted(inherited - now) if i.namespace in config.value_namespaces]
    return claims, releases


def _redacted_plan(plan: Plan, gone: frozenset[Identifier], *, own: bool) -> Plan:
    return msgspec.structs.replace(
        plan,
        user_id=None if own else plan.user_id,
        claims=() if own else tuple(i for i in plan.claims if i not in gone),
        devices=() if own else tuple(i for i in plan.devices if i not in gone),
        releases=tuple(i for i in plan.releases if i not in gone),
        merges=tuple(
            msgspec.structs.replace(m, identifier=None) if m.identifier in gone else m for m in plan.merges
        ),
        refusals=() if own else plan.refusals,
        dropped=(),
    )
