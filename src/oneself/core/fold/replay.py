"""The log, read again: an entry does to the working set what it did when it was recorded (DESIGN §2).

An entry is judged again, except one that was redacted by an erasure: of that only the plan is left, and the
plan is carried out. Source: DESIGN §6, §8.
"""

from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.changes import ConfigChange
from oneself.core.config.configuration import Config, configure
from oneself.core.fold.apply import apply, apply_recorded
from oneself.core.identity.identifier import Identifier
from oneself.core.profiles.profile import Claim, Profile
from oneself.core.resolution.evidence import Evidence, extract_evidence, identities_of
from oneself.core.resolution.observation import Observation, TokenClaims
from oneself.core.resolution.plan import Plan, Rejection
from oneself.core.resolution.resolve import resolve
from oneself.core.resolution.working_set import WorkingSet
from oneself.core.values.record import EMPTY


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the log. `content`: an Observation, a Reconfigured or an Erased, as builtins."""

    seq: int
    observation_id: UUID
    profile_id: UUID | None
    kind: str
    config_version: int
    content: dict[str, Any]
    plan: Plan | None = None
    redacted: bool = False


class Reconfigured(msgspec.Struct, frozen=True):
    """What the log keeps of a change of configuration."""

    face: str
    change: ConfigChange


class Erased(msgspec.Struct, frozen=True):
    """What the log keeps of an erasure: ids, which say nothing about the person, and how much it was."""

    face: str
    profile_ids: tuple[UUID, ...]
    application: str | None = None
    entries: int = 0
    identifiers: int = 0


class Diverged(Exception):
    """An entry cannot be folded as it was: the log and the rules do not fit together."""


class Touched(msgspec.Struct, frozen=True):
    """What an entry may need in the working set when it is replayed: what its observation leads to, and the
    profiles that it names."""

    observation: Observation | None = None
    evidence: Evidence | None = None
    profile_ids: frozenset[UUID] = frozenset()


def touches(entry: LogEntry, config: Config) -> Touched:
    """What an entry may touch."""
    if entry.kind == "configure":
        return Touched()
    if entry.kind == "erase":
        return Touched(profile_ids=frozenset(msgspec.convert(entry.content, Erased).profile_ids))
    observation = msgspec.convert(entry.content, Observation)
    if not _stands(entry):
        return Touched(observation, extract_evidence(observation, config))
    plan = recorded_plan(entry)
    return Touched(
        observation, extract_evidence(observation, config), frozenset((plan.profile_id, *plan.people))
    )


def replay(state: WorkingSet, entry: LogEntry, config: Config) -> Config:
    """Fold one entry into the working set; the configuration that holds from here on."""
    if entry.kind == "configure":
        return configure(config, msgspec.convert(entry.content, Reconfigured).change, entry.seq)
    if entry.kind == "erase":
        erase(state, msgspec.convert(entry.content, Erased).profile_ids, entry.seq)
        return config
    try:
        _replay(state, entry, config)
    except KeyError as missing:
        raise Diverged(
            f"Entry {entry.seq} needs profile {missing}, which nothing before it makes."
        ) from missing
    return config


def _replay(state: WorkingSet, entry: LogEntry, config: Config) -> None:
    observation = msgspec.convert(entry.content, Observation)
    if _stands(entry):
        apply_recorded(state, observation, recorded_plan(entry), config, entry.seq)
        return
    plan = resolve(state, observation, config)
    if isinstance(plan, Rejection):
        raise Diverged(f"Entry {entry.seq} is refused when it is folded again: {plan.description}")
    apply(state, observation, plan, config, entry.seq, accepted=True)


def _stands(entry: LogEntry) -> bool:
    """Whether the plan is carried out as it is."""
    return entry.redacted or (entry.plan is not None and entry.plan.pinned)


def recorded_plan(entry: LogEntry) -> Plan:
    """The plan as it was carried out; an entry without one was only attached."""
    assert entry.profile_id is not None
    return entry.plan or Plan(profile_id=entry.profile_id, survivor_id=entry.profile_id)


def erase(state: WorkingSet, profile_ids: tuple[UUID, ...], seq: int) -> None:
    """Leave nothing of profiles but their ids, which are never issued again.

    Their claims need no word: the entries that made them are gone from the log, or redacted.
    Those that were absorbed through an erased profile stay with the person.
    """
    for profile in list(state.profiles.values()):
        survivor = state.survivor(profile.profile_id)
        if profile.survivor_id in profile_ids and survivor and profile.profile_id not in profile_ids:
            state.put(msgspec.structs.replace(profile, survivor_id=survivor.profile_id))
    for profile_id in profile_ids:
        state.put(tombstone(profile_id, seq))


def tombstone(profile_id: UUID, seq: int) -> Profile:
    """What is left of an erased profile."""
    return Profile(
        profile_id=profile_id,
        created_at=seq,
        updated_at=seq,
        active_at=seq,
        seq=seq,
        primary_id="",
        record=EMPTY,
        erased=True,
    )


def redact(
    entry: LogEntry,
    profile_id: UUID,
    identifiers: frozenset[Identifier],
    survivor_id: UUID,
    config: Config,
) -> LogEntry:
    """The entry without what it says about one profile of a person that stays (wire/cds §5.5, DELETE).

    `identifiers`: those of the erased profile. An entry that was attached to it, addressed it or named
    nothing else loses everything, and what is left belongs to the survivor: whoever erases that one erases it
    too. Any other entry loses only its mention of those identifiers; one without is returned as it is.
    """
    observation = msgspec.convert(entry.content, Observation)
    evidence = extract_evidence(observation, config)
    named = (*evidence.persons, *evidence.devices)
    kept = tuple(identifier for identifier in named if identifier not in identifiers)
    nothing_else = observation.profile_id is None and bool(named) and not kept
    own = profile_id in (entry.profile_id, observation.profile_id) or nothing_else
    if not own and len(kept) == len(named) and identifiers.isdisjoint(_mentioned(recorded_plan(entry))):
        return entry
    bare = msgspec.structs.replace(
        observation,
        identifiers=() if own else kept,
        remembered=_forgetting(observation.remembered, identifiers),
        body=_without_user(observation.body),
    )
    if own:
        bare = msgspec.structs.replace(
            bare,
            values={},
            consents=None,
            choices={},
            remembered=None,
            objects={},
            body=None,
            name=None,
            event_id=None,
            application=None,
        )
    return msgspec.structs.replace(
        entry,
        profile_id=survivor_id if own else entry.profile_id,
        content=msgspec.to_builtins(bare),
        plan=_redacted_plan(recorded_plan(entry), frozenset(named) if own else identifiers, own=own),
        redacted=True,
    )


def _forgetting(token: TokenClaims | None, identifiers: frozenset[Identifier]) -> TokenClaims | None:
    """What a token says, without identities that were erased."""
    if token is None:
        return None
    left = {name: key for name, key in token.identities.items() if Identifier(name, key) not in identifiers}
    return msgspec.structs.replace(token, identities=left)


def _without_user(body: Any) -> Any:
    """An event without its words about the person, among which an erased identifier was."""
    return {key: value for key, value in body.items() if key != "user"} if isinstance(body, dict) else body


def _mentioned(plan: Plan) -> set[Identifier]:
    """The identifiers that a plan names."""
    joined = {merge.identifier for merge in plan.merges if merge.identifier is not None}
    return {*plan.claims, *plan.devices, *plan.releases, *joined}


def inherit(entries: list[LogEntry], configs: dict[int, Config]) -> list[LogEntry]:
    """A person's entries where some were redacted: a value that one of these brought first, and others bring
    as well, is held from the first of the others on, until it is let go."""
    state = WorkingSet()
    inherited: set[Identifier] = set()
    left: list[LogEntry] = []
    for entry in entries:
        observation, config = msgspec.convert(entry.content, Observation), configs[entry.config_version]
        plan = recorded_plan(entry)
        apply_recorded(state, observation, plan, config, entry.seq)
        claims, releases = _settled_anew(state, observation, plan, config, inherited)
        for identifier in claims:
            at = observation.happened(entry.seq)
            state.claim(Claim(identifier, plan.profile_id, entry.seq, observation.trust, at))
        for identifier in releases:
            for claim, _ in state.held(identifier):
                state.release(claim, entry.seq)
        inherited = (inherited | set(claims)) - set(releases)
        if claims or releases:
            plan = msgspec.structs.replace(
                plan, claims=(*plan.claims, *claims), releases=(*plan.releases, *releases)
            )
            entry = msgspec.structs.replace(entry, plan=plan, redacted=True)
        left.append(entry)
    return left


def _settled_anew(
    state: WorkingSet, observation: Observation, plan: Plan, config: Config, inherited: set[Identifier]
) -> tuple[list[Identifier], list[Identifier]]:
    """What an entry's values hold by rules and nobody holds, and what was inherited and is held no more."""
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
    claims = [i for i in named if not state.held(i)]
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
