"""The rows of the log."""

from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.core.config.changes import ConfigChange
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan

#: What a replay does with an entry: resolve its observation again, or apply its plan as it was recorded,
#: because the decision depended on a profile that may have been erased since.
ReplayPolicy = Literal["judge", "apply"]


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the log. `content`: an Observation, a Reconfigured or an Erased, as builtins."""

    seq: int
    observation_id: UUID
    profile_id: UUID | None
    kind: str
    config_version: int
    content: dict[str, Any]
    plan: Plan | None = None
    #: An erasure took something out of the content.
    content_redacted: bool = False
    replay: ReplayPolicy = "judge"


class Reconfigured(msgspec.Struct, frozen=True):
    """What the log keeps of a change of configuration."""

    interface: str = msgspec.field(name="face")
    change: ConfigChange


class Erased(msgspec.Struct, frozen=True):
    """What the log keeps of an erasure: ids, which say nothing about the person, and how much it was."""

    interface: str = msgspec.field(name="face")
    profile_ids: tuple[UUID, ...]
    application: str | None = None
    entries: int = 0
    identifiers: int = 0


def recorded_plan(entry: LogEntry) -> Plan:
    """The plan as it was carried out; an entry without one was only attached."""
    assert entry.profile_id is not None
    return entry.plan or Plan(profile_id=entry.profile_id, survivor_id=entry.profile_id)


def observation_of(entry: LogEntry) -> Observation:
    """The observation that an entry holds; of an entry that is no change of configuration and no erasure."""
    observation: Observation = msgspec.convert(entry.content, Observation)
    return observation
