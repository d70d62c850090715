"""The rows of the log.

Invariants: values are frozen; stored names never change (`face`, `judge`).

Source: docs/concepts/log-and-fold.md.
"""

from collections.abc import Container, Mapping
from typing import Any, Literal, Protocol, Self
from uuid import UUID

import msgspec

from oneself.core.config.changes import ConfigChange
from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.joins import View
from oneself.core.profiles.verification import ClaimVerification
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan

#: What a replay does with an entry: resolve its observation again, or apply its plan as it was recorded,
#: because the decision depended on a profile that may have been erased since.
ReplayPolicy = Literal["judge", "apply"]
#: The seq and the observation of an entry.
EntryKey = tuple[int, UUID]
#: The kind of the entry for what a user verified in another dataset.
VERIFICATION = "verification"
#: The kind of the entry for joins that were judged again.
REVIEW = "review"
#: The kinds of the entries for what people decided: profiles that they split, and that they merged.
MANUAL_SPLIT = "split"
MANUAL_MERGE = "merge"


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the log."""

    #: When it was recorded, in µs since 1970; unique in the log.
    seq: int
    observation_id: UUID
    #: The profile that it is attached to; None: it has no observation.
    profile_id: UUID | None
    #: The kind of the observation, or `configure`, `erase`, `verification`, `review`, `split` or `merge`.
    kind: str
    #: The version of the configuration that it was resolved with.
    config_version: int
    #: An Observation, or a Reconfigured, Erased, ClaimVerification, Reviewed, ManualSplit or ManualMerge, as
    #: builtins.
    content: dict[str, Any]
    #: The plan as it was applied; None: the observation was only attached to a profile.
    plan: Plan | None = None
    #: Whether an erasure removed something from the content.
    content_redacted: bool = False
    #: `judge`: a replay resolves the observation again. `apply`: it applies the plan as recorded.
    replay: ReplayPolicy = "judge"
    #: Later versions of the configuration, each of which admits something that the entry names and the ones
    #: before drop.
    admitted_by: tuple[int, ...] = ()


class Reconfigured(msgspec.Struct, frozen=True):
    """The content of the entry for a change of configuration."""

    #: The interface that the change came through.
    interface: str = msgspec.field(name="face")
    change: ConfigChange


class Bridge(msgspec.Struct, frozen=True):
    """A join of two fragments in the view `proven`, which an erased one held together."""

    one: UUID
    other: UUID
    #: The seq of the last join on the way through the erased fragments.
    since: int


class Erased(msgspec.Struct, frozen=True):
    """The content of the entry for an erasure: ids and counts, no data about the erased person."""

    #: The interface that the request came through.
    interface: str = msgspec.field(name="face")
    #: The erased profiles.
    profile_ids: tuple[UUID, ...]
    #: The application that asked for the erasure.
    application: str | None = None
    #: The console user who did.
    console_user: str | None = None
    #: How many log entries were erased.
    entries: int = 0
    #: How many identifiers were erased.
    identifiers: int = 0
    #: Browsers that begin anew: the person used them last, and other people before.
    detached: tuple[Identifier, ...] = ()
    #: The joins between neighbours of the erased fragments. They count as far as both are there.
    bridges: tuple[Bridge, ...] = ()


class Reviewed(msgspec.Struct, frozen=True):
    """The content of the entry for joins that were judged again, because a setting admits more."""

    #: The fragments that it looked at. An erasure may have taken some since.
    fragment_ids: tuple[UUID, ...]


class _ByHand(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided about the fragments of profiles. An erasure may have taken some since."""

    #: The interface that the request came through.
    interface: str = msgspec.field(name="face")
    #: The application that asked for it.
    application: str | None = None
    #: The console user who did.
    console_user: str | None = None
    #: Why, in the words of whoever asked; empty: they did not say, or an erasure removed it.
    reason: str = ""
    #: The view whose profiles they are.
    view: View
    fragment_ids: tuple[UUID, ...]
    #: Of each fragment: the number of its side.
    sides: tuple[int, ...]

    @property
    def numbered(self) -> dict[UUID, int]:
        """Fragment → the number of its side."""
        return dict(zip(self.fragment_ids, self.sides, strict=True))

    def of_fragments(self, kept: Container[UUID]) -> Self:
        """What it says of some fragments."""
        known = {key: side for key, side in self.numbered.items() if key in kept}
        return msgspec.structs.replace(self, fragment_ids=tuple(known), sides=tuple(known.values()))

    @property
    def members(self) -> tuple[frozenset[UUID], ...]:
        """The fragments of each side, in order."""
        found: dict[int, set[UUID]] = {}
        for fragment_id, side in self.numbered.items():
            found.setdefault(side, set()).add(fragment_id)
        return tuple(frozenset(found[side]) for side in sorted(found))


class EndedMerge(msgspec.Struct, frozen=True):
    """A merge that a split ended. The fold does not read it; the history of the profiles tells it."""

    absorbed_id: UUID
    survivor_id: UUID
    #: The seq of the merge.
    since: int
    #: As answers say it.
    reason: str


class ManualSplit(_ByHand, frozen=True, kw_only=True):
    """The content of the entry for a profile that was split."""

    #: The merges of its view that it ended; empty: none, or an erasure removed them.
    ended: tuple[EndedMerge, ...] = ()


class ManualMerge(_ByHand, frozen=True, kw_only=True):
    """The content of the entry for two profiles that were merged."""

    #: The fragments that stand for them.
    pair: tuple[UUID, UUID]
    #: The user whose account was given up for it; None: nobody's, or an erasure removed it.
    gave_up: str | None = None
    #: The fragments of that user, which are nobody's from then on.
    disowned: tuple[UUID, ...] = ()


class _Versioned(Protocol):
    """What an entry says of the configurations that it is read by."""

    @property
    def config_version(self) -> int: ...
    @property
    def admitted_by(self) -> tuple[int, ...]: ...


def config_of(entry: _Versioned, configs: Mapping[int, Config]) -> Config:
    """The configuration that an entry is read by, of all versions."""
    config = configs[entry.config_version]
    return reading_of(entry, config, configs) if entry.admitted_by else config


def reading_of(entry: _Versioned, config: Config, configs: Mapping[int, Config]) -> Config:
    """The configuration of an entry's time together with later ones that admit more of what it names.

    `configs`: by version. A later one that is missing there admits nothing.
    """
    # A configuration keeps its readings, as it keeps its cached properties.
    known: dict[tuple[int, ...], Config] = vars(config).setdefault("readings", {})
    versions = tuple(version for version in entry.admitted_by if version in configs)
    if versions not in known:
        known[versions] = msgspec.structs.replace(config, admitting=tuple(configs[v] for v in versions))
    return known[versions]


class _Observed(msgspec.Struct, frozen=True):
    """An observation as a field: msgspec keeps what it knows of the fields of a struct, not of a union."""

    observation: Observation


def recorded_plan(entry: LogEntry) -> Plan:
    """The plan as it was applied. An entry without a plan only attaches its observation to a profile."""
    assert entry.profile_id is not None
    return entry.plan or Plan(profile_id=entry.profile_id, survivor_id=entry.profile_id)


def observation_of(entry: LogEntry) -> Observation:
    """The observation of an entry, which must be attached to a profile."""
    return msgspec.convert({"observation": entry.content}, _Observed).observation


def verification_of(entry: LogEntry) -> ClaimVerification:
    """What a user verified, or gave up, by an entry of the kind VERIFICATION."""
    return msgspec.convert(entry.content, ClaimVerification)


def reviewed_of(entry: LogEntry) -> frozenset[UUID]:
    """The fragments that an entry of the kind REVIEW looked at."""
    return frozenset(msgspec.convert(entry.content, Reviewed).fragment_ids)


def decided_of(entry: LogEntry) -> ManualSplit | ManualMerge | None:
    """What a person decided by an entry; None: the entry is no such decision."""
    if entry.kind == MANUAL_SPLIT:
        return msgspec.convert(entry.content, ManualSplit)
    return msgspec.convert(entry.content, ManualMerge) if entry.kind == MANUAL_MERGE else None
