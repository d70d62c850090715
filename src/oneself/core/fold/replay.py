"""The log, read again: an entry does to the working set what it did when it was recorded (DESIGN §2).

An entry is judged again, except one that was redacted by an erasure: of that only the plan is left, and the
plan is carried out. Source: DESIGN §6, §8.
"""

from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config, configure
from oneself.core.fold.apply import apply, apply_recorded
from oneself.core.fold.log_entry import Erased, LogEntry, Reconfigured, observation_of, recorded_plan
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.evidence import Evidence, extract_evidence
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Rejection
from oneself.core.resolution.resolve import resolve
from oneself.core.resolution.working_set import WorkingSet
from oneself.core.values.record import EMPTY


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
    observation = observation_of(entry)
    if entry.replay == "judge":
        return Touched(observation, extract_evidence(observation, config))
    plan = recorded_plan(entry)
    return Touched(
        observation, extract_evidence(observation, config), frozenset((plan.profile_id, *plan.unified_ids))
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
    observation = observation_of(entry)
    if entry.replay == "apply":
        apply_recorded(state, observation, recorded_plan(entry), config, entry.seq)
        return
    plan = resolve(state, observation, config)
    if isinstance(plan, Rejection):
        raise Diverged(f"Entry {entry.seq} is refused when it is folded again: {plan.description}")
    apply(state, observation, plan, config, entry.seq, accepted=True)


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
