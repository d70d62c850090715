"""Resolve again what the log has of some people: what an erasure left, as if the rest had never been said,
or what the identity graph says that one of them is.

The entries are folded in a working set of their own. What other people hold is given, so that nobody takes
it from them; decisions against them stay as they were recorded.

Invariants: pure. The plans of the outcome are applied as recorded from now on: they depend on what other
people held at that time.

Source: docs/concepts/trust.md, "Erasure".
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.apply import apply, apply_recorded
from oneself.core.fold.log_entry import EntryKey, LogEntry, config_of, observation_of, recorded_plan
from oneself.core.fold.redaction import without_identifiers
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.resolution.evidence import Evidence, extract_evidence, identities_of
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Merge, Plan, Rejection
from oneself.core.resolution.resolve import resolve
from oneself.core.resolution.working_set import WorkingSet
from oneself.core.units import SEQ_MAX

#: The seq of an erasure, and the browsers that it let begin anew.
Detached = tuple[int, tuple[Identifier, ...]]


class FoldScope(msgspec.Struct, frozen=True):
    """What surrounds some people who are folded again, and what is erased of them."""

    #: Identifiers that nobody is left to hold: they are removed from what stays.
    identifiers: frozenset[Identifier]
    #: Entry → its fragment.
    fragments: Mapping[EntryKey, UUID]
    #: Fragment of a browser and seq → the user who had signed in on it by then, if any.
    speaker_of: Callable[[UUID, int], str | None]
    #: Browsers, an addressed profile and seq → whether a server or a sign-in had said by then who one is.
    is_known: Callable[[Collection[Identifier], UUID | None, int], bool]
    #: The profiles of these people in the view `all`, before the erasure.
    profile_ids: frozenset[UUID]
    #: Whether somebody else held an identifier right after a seq.
    is_held_elsewhere: Callable[[Identifier, int], bool]
    #: Whether these people gave up, after a seq, an identifier that somebody else took later.
    is_given_up: Callable[[Identifier, int], bool]
    #: Fragment → separation → the side that a person put it on.
    sides: Mapping[UUID, Mapping[UUID, int]] = {}
    #: The fragments without a user: a split may have taken it, or its account was given up.
    disowned: frozenset[UUID] = frozenset()
    #: Fragment, browser and seq → whether a later split parted them.
    is_parted: Callable[[UUID, Identifier, int], bool] = lambda *_: False
    #: Earlier erasures that let browsers begin anew: the seq of each, with its browsers; in order.
    detached: tuple[Detached, ...] = ()
    #: Whether nothing is erased: the identity graph says who is one person. Every profile that an entry made
    #: is made again, because its id was answered.
    keeps_profiles: bool = False


class ResolvedAgain(msgspec.Struct, frozen=True):
    """What is left."""

    state: WorkingSet
    #: As they are written back.
    entries: list[LogEntry]
    #: Jobs that read values of profiles that are gone.
    dropped: list[EntryKey]
    #: Fragment → its profile in the view `all`.
    homes: dict[UUID, UUID]


def resolve_again(entries: list[LogEntry], configs: Mapping[int, Config], scope: FoldScope) -> ResolvedAgain:
    """Fold the entries that are left of some people. `configs`: configuration by version."""
    again = ResolvedAgain(WorkingSet(), [], [], {})
    waiting = list(scope.detached)
    for entry in entries:
        detach_until(again.state, waiting, entry.seq)
        folded = _fold(again, entry, config_of(entry, configs), scope)
        if folded is None:
            again.dropped.append((entry.seq, entry.observation_id))
        else:
            again.entries.append(folded)
    detach_until(again.state, waiting)
    return again


def detach_until(state: WorkingSet, waiting: list[Detached], seq: int = SEQ_MAX) -> None:
    """Let browsers begin anew that erasures before a seq detached, and take these from those that wait."""
    while waiting and waiting[0][0] < seq:
        erased_at, devices = waiting.pop(0)
        for device in devices:
            for claim in state.claims.get(device, ()):
                state.release(claim, erased_at)


def _fold(again: ResolvedAgain, entry: LogEntry, config: Config, scope: FoldScope) -> LogEntry | None:
    state, before = again.state, observation_of(entry)
    observation, fragment_id = before, scope.fragments.get((entry.seq, entry.observation_id))
    home = None if fragment_id is None else _survivor_id(state, again.homes.get(fragment_id))
    if policy_of(observation).reads_stored_values:
        if state.survivor(observation.addressed_id or observation.new_profile_id) is None:
            return None
        if observation.former is None:
            observation = _still_stored(observation, state, config)
    addressed_id = None if scope.keeps_profiles else fragment_id
    observation = _redacted(_readdressed(observation, state, addressed_id, home), config, scope)
    is_disowned = fragment_id in scope.disowned
    plan = _applicable(entry, state) if entry.content_redacted and not is_disowned else None
    if plan is not None:
        apply_recorded(state, observation, plan, config, entry.seq)
    else:
        plan = _plan(state, entry, observation, config, scope, home)
        if scope.keeps_profiles:
            plan = _keeping_profile(plan, entry, observation, config)
        plan = apply(state, observation, plan, config, entry.seq, accepted=True)
    if fragment_id is not None:
        if fragment_id in scope.sides and fragment_id not in again.homes:
            state.add_sides(plan.profile_id, {key: (side,) for key, side in scope.sides[fragment_id].items()})
        again.homes[fragment_id] = plan.profile_id
    return msgspec.structs.replace(
        entry,
        profile_id=plan.profile_id,
        content=entry.content if observation == before else _content(observation),
        plan=plan,
        content_redacted=entry.content_redacted or observation.identifiers != before.identifiers,
        replay="apply",
    )


def _content(observation: Observation) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(observation)
    return content


def _survivor_id(state: WorkingSet, profile_id: UUID | None) -> UUID | None:
    survivor = None if profile_id is None else state.survivor(profile_id)
    return None if survivor is None else survivor.profile_id


def _readdressed(
    observation: Observation, state: WorkingSet, fragment_id: UUID | None, home: UUID | None
) -> Observation:
    """The observation; one that addressed a profile which is gone addresses what it belongs to.

    `fragment_id`: its fragment, if the identity graph does not know the profile either.
    """
    target = observation.addressed_id
    if target is None or state.survivor(target) is not None:
        return observation
    profile_id = fragment_id or observation.profile_id
    return msgspec.structs.replace(observation, profile_id=profile_id, believed_id=home)


def _redacted(observation: Observation, config: Config, scope: FoldScope) -> Observation:
    named = extract_evidence(observation, config).identifiers if scope.identifiers else ()
    if scope.identifiers.isdisjoint(named):
        return observation
    return without_identifiers(observation, named, scope.identifiers)


def _still_stored(observation: Observation, state: WorkingSet, config: Config) -> Observation:
    """A job's observation without the values that the profile does not have any more."""
    assert observation.addressed_id is not None
    survivor = state.survivor(observation.addressed_id)
    assert survivor is not None
    evidence = extract_evidence(observation, config)
    now = identities_of(survivor.record, config, {item.namespace for item in evidence.persons})
    held = tuple(item for item in evidence.persons if item.value in now.get(item.namespace, ()))
    if held == evidence.persons:
        return observation
    return msgspec.structs.replace(observation, identifiers=held)


def _applicable(entry: LogEntry, state: WorkingSet) -> Plan | None:
    """The recorded plan of an entry that an earlier erasure redacted, if all that it needs is left."""
    plan = recorded_plan(entry)
    needed = {*plan.unified_ids, plan.profile_id} - ({plan.profile_id} if plan.creates else set())
    return plan if all(state.survivor(item) is not None for item in needed) else None


def _plan(
    state: WorkingSet,
    entry: LogEntry,
    observation: Observation,
    config: Config,
    scope: FoldScope,
    home: UUID | None,
) -> Plan:
    recorded = recorded_plan(entry)
    evidence = _left_to_others(extract_evidence(observation, config), observation, entry, scope)
    fragment_id = scope.fragments.get((entry.seq, entry.observation_id))
    if fragment_id is not None:
        evidence = _without_parted(evidence, fragment_id, entry, scope)
        evidence = msgspec.structs.replace(
            evidence,
            speaker=scope.speaker_of(fragment_id, entry.seq),
            is_known=scope.is_known(evidence.devices, observation.profile_id, entry.seq),
        )
    if not evidence.identifiers and observation.addressed_id is None and not observation.creates and home:
        return Plan(profile_id=home, survivor_id=home, dropped=evidence.dropped)
    plan = resolve(state, observation, config, evidence, user_accepted=True)
    if isinstance(plan, Rejection):
        return _attachment(observation, home, evidence)
    kept = tuple(
        refusal
        for refusal in recorded.refusals
        if refusal.other_id is not None and refusal.other_id not in scope.profile_ids
    )
    return msgspec.structs.replace(plan, refusals=(*plan.refusals, *kept))


def _keeping_profile(plan: Plan, entry: LogEntry, observation: Observation, config: Config) -> Plan:
    """A plan that makes the profile which the entry made, absorbed at once if it is not needed any more."""
    made = observation.new_profile_id
    if plan.creates or not recorded_plan(entry).creates:
        return plan
    via = next(iter(extract_evidence(observation, config).persons), None)
    namespace = None if via is None else config.namespace(via.namespace)
    merge = Merge(made, namespace.reason if namespace else "anonymous", via)
    return msgspec.structs.replace(plan, profile_id=made, creates=True, merges=(*plan.merges, merge))


def _attachment(observation: Observation, home: UUID | None, evidence: Evidence) -> Plan:
    """The plan of an observation that nothing leads anywhere: it stays with the words of its fragment."""
    profile_id = home or observation.new_profile_id
    return Plan(profile_id=profile_id, survivor_id=profile_id, creates=home is None, dropped=evidence.dropped)


def _without_parted(evidence: Evidence, fragment_id: UUID, entry: LogEntry, scope: FoldScope) -> Evidence:
    """The evidence without the user and the browsers that a split has taken from a fragment."""
    is_disowned = fragment_id in scope.disowned
    if not (scope.sides or is_disowned):
        return evidence
    persons = tuple(i for i in evidence.persons if not is_disowned or i.namespace != USER_ID)
    devices = tuple(i for i in evidence.devices if not scope.is_parted(fragment_id, i, entry.seq))
    return msgspec.structs.replace(evidence, persons=persons, devices=devices)


def _left_to_others(
    evidence: Evidence, observation: Observation, entry: LogEntry, scope: FoldScope
) -> Evidence:
    """The evidence without what other people held, and did not give up to this observation."""
    recorded = recorded_plan(entry)
    claimed = {*recorded.claims, *recorded.devices}

    def is_of_others(identifier: Identifier) -> bool:
        return identifier not in claimed and scope.is_held_elsewhere(identifier, entry.seq)

    persons = tuple(item for item in evidence.persons if not scope.is_given_up(item, entry.seq))
    # Where the identity graph says who is one person, what others hold as well parts nobody.
    if policy_of(observation).contested_value == "holder" and not scope.keeps_profiles:
        persons = tuple(item for item in persons if not is_of_others(item))
    devices = tuple(item for item in evidence.devices if not is_of_others(item))
    if (persons, devices) == (evidence.persons, evidence.devices):
        return evidence
    return msgspec.structs.replace(evidence, persons=persons, devices=devices)
