"""Replay the log: each entry changes the working set as it did when it was recorded.

An entry is resolved again unless its `replay` is `apply`: its plan is then applied as recorded, because the
entry was redacted by an erasure or depended on a profile that may have been erased.

Invariants: pure; it reads log entries, not the database.

Source: docs/concepts/log-and-fold.md, docs/concepts/trust.md (erasure).
"""

from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure
from oneself.core.fold.activity import fold_activity, fold_new_visitor
from oneself.core.fold.apply import apply, apply_recorded
from oneself.core.fold.log_entry import (
    MANUAL_MERGE,
    MANUAL_SPLIT,
    REVIEW,
    VERIFICATION,
    Bridge,
    Erased,
    LogEntry,
    ManualMerge,
    ManualSplit,
    Reconfigured,
    decided_of,
    observation_of,
    reading_of,
    recorded_plan,
    reviewed_of,
    verification_of,
)
from oneself.core.fold.repetition import fold_repetition
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.observe import device_that_only_acts
from oneself.core.profiles.profile import Profile
from oneself.core.profiles.verification import ClaimVerification
from oneself.core.resolution.evidence import Evidence, extract_evidence
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Rejection
from oneself.core.resolution.repetition import browser_that_repeats
from oneself.core.resolution.resolve import resolve
from oneself.core.resolution.working_set import WorkingSet
from oneself.core.values.record import EMPTY


class Diverged(Exception):
    """An entry cannot be replayed: it is rejected now, or it needs a profile that does not exist."""


class Touched(msgspec.Struct, frozen=True):
    """What an entry says, and so what the working set must contain when it is replayed."""

    #: The observation of the entry; None: it has none.
    observation: Observation | None = None
    #: The evidence of the observation: profiles that hold these identifiers are needed.
    evidence: Evidence | None = None
    #: The profiles that the entry names.
    profile_ids: frozenset[UUID] = frozenset()
    #: The browsers that an erasure lets begin anew.
    detached: tuple[Identifier, ...] = ()
    #: The joins that an erasure leaves between fragments.
    bridges: tuple[Bridge, ...] = ()
    #: What a user verified in another dataset; it is only for the identity graph.
    verification: ClaimVerification | None = None
    #: The fragments whose joins are judged again; it is only for the identity graph.
    reviewed: frozenset[UUID] = frozenset()
    #: What a person decided about fragments.
    decided: ManualSplit | ManualMerge | None = None
    #: The configuration that the entry is read by, if later ones admit more of it than that of its time.
    read_by: Config | None = None


_NO_CONFIGS: Mapping[int, Config] = {}


def touches(entry: LogEntry, config: Config, configs: Mapping[int, Config] = _NO_CONFIGS) -> Touched:
    """What an entry may touch when it is replayed.

    `config`: of its time. `configs`: by version, those that may admit more of it.
    """
    if entry.kind == "configure":
        return Touched()
    if entry.kind == "erase":
        erased = msgspec.convert(entry.content, Erased)
        return Touched(
            profile_ids=frozenset(erased.profile_ids), detached=erased.detached, bridges=erased.bridges
        )
    if entry.kind == VERIFICATION:
        return Touched(verification=verification_of(entry))
    if entry.kind == REVIEW:
        return Touched(reviewed=reviewed_of(entry))
    if (decided := decided_of(entry)) is not None:
        return Touched(decided=decided)
    observation = observation_of(entry)
    read_by = reading_of(entry, config, configs) if entry.admitted_by else None
    evidence = extract_evidence(observation, read_by or config)
    if entry.replay == "judge":
        return Touched(observation, evidence, read_by=read_by)
    plan = recorded_plan(entry)
    profile_ids = frozenset((plan.profile_id, *plan.unified_ids))
    return Touched(observation, evidence, profile_ids, read_by=read_by)


def replay(state: WorkingSet, entry: LogEntry, config: Config, touched: Touched | None = None) -> Config:
    """Fold one entry into the working set.

    Returns the configuration that applies to the next entry.
    `touched`: from `touches` with the same configuration, if it was called already.
    Raises Diverged if the entry is rejected or needs a profile that no earlier entry creates.
    """
    if entry.kind == "configure":
        return configure(config, msgspec.convert(entry.content, Reconfigured).change, entry.seq)
    if entry.kind == "erase":
        erased = msgspec.convert(entry.content, Erased)
        erase(state, erased.profile_ids, entry.seq, erased.detached)
        return config
    if entry.kind in (VERIFICATION, REVIEW, MANUAL_SPLIT, MANUAL_MERGE):
        return config
    try:
        found = touched or touches(entry, config)
        _replay(state, entry, found.read_by or config, found)
    except KeyError as missing:
        raise Diverged(
            f"Entry {entry.seq} needs profile {missing}, which nothing before it makes."
        ) from missing
    return config


def _replay(state: WorkingSet, entry: LogEntry, config: Config, touched: Touched) -> None:
    observation = touched.observation
    assert observation is not None, "Only observations are resolved."
    if entry.replay == "apply":
        apply_recorded(state, observation, recorded_plan(entry), config, entry.seq)
        return
    if touched.evidence is not None and _is_short(state, observation, touched.evidence, config, entry.seq):
        return
    plan = resolve(state, observation, config, touched.evidence, user_accepted=True)
    if isinstance(plan, Rejection):
        raise Diverged(f"Entry {entry.seq} is refused when it is folded again: {plan.description}")
    apply(state, observation, plan, config, entry.seq, accepted=True)


def _is_short(
    state: WorkingSet, observation: Observation, evidence: Evidence, config: Config, seq: int
) -> bool:
    """Fold an event that only acts or repeats; False: more is to be decided, so that nothing has changed."""
    if evidence.dropped or observation.token is not None:
        return False
    if browser_that_repeats(observation, evidence) is not None:
        return fold_repetition(state, observation, evidence, None, config, seq) is not None
    device = device_that_only_acts(observation, evidence)
    if device is None:
        return False
    if state.claims.get(device):
        return fold_activity(state, observation, device, None, config, seq) is not None
    return fold_new_visitor(state, observation, device, seq) is not None


def erase(
    state: WorkingSet, profile_ids: tuple[UUID, ...], seq: int, detached: Iterable[Identifier] = ()
) -> None:
    """Replace profiles by tombstones, which keep only the ids, so that these are never issued again.

    `detached`: browsers that point at nobody from then on.

    Claims are not released here: the entries that made them are deleted or redacted.
    Profiles that were absorbed through an erased profile stay with the survivor.
    """
    for profile in list(state.profiles.values()):
        survivor = state.survivor(profile.profile_id)
        if profile.survivor_id in profile_ids and survivor and profile.profile_id not in profile_ids:
            state.put(msgspec.structs.replace(profile, survivor_id=survivor.profile_id))
    for profile_id in profile_ids:
        state.put(tombstone(profile_id, seq))
    for device in detached:
        for claim in state.claims.get(device, ()):
            state.release(claim, seq)


def tombstone(profile_id: UUID, seq: int) -> Profile:
    """The tombstone of an erased profile: its id and the time of erasure, no personal data."""
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
