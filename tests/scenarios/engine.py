"""What every engine of the scenarios offers, and what it answers: outcomes and worlds as plain values.

The oracle, the core and the service each are an `Engine`. Here is only the vocabulary that they share,
so that their answers can be compared; how an answer comes about is each engine's own business.
"""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

import msgspec

from scenarios.words import Kind, Setup, Step


class Outcome(msgspec.Struct, frozen=True):
    """What one observation did.

    `attached`: the unified profile it belongs to afterwards. `merges`: (absorbed, reason), all into
    `attached`. `refusals`: (code, the other profile). `drops`: (namespace, code). `indexed`: what became of
    each profile that was indexed, where the step let rules be applied to those that exist.
    """

    rejected: str | None = None
    attached: UUID | None = None
    created: UUID | None = None
    merges: frozenset[tuple[UUID, str]] = frozenset()
    refusals: frozenset[tuple[str, UUID | None]] = frozenset()
    drops: frozenset[tuple[str, str]] = frozenset()
    indexed: tuple[Outcome, ...] = ()


def one_guard(outcome: Outcome) -> Outcome:
    """Where a guard and a limit both keep a profile out, either may be named."""
    guards = ("conflicting_identity", "limit_exceeded")
    refusals = frozenset(("guard" if code in guards else code, other) for code, other in outcome.refusals)
    indexed = tuple(map(one_guard, outcome.indexed))
    return msgspec.structs.replace(outcome, refusals=refusals, indexed=indexed)


class ProfileFacts(msgspec.Struct, frozen=True):
    """One profile as it stands; of an absorbed one only `survivor` and `reason` mean anything."""

    kind: Kind = "anonymous"
    user: str | None = None
    values: dict[str, Any] = {}
    identities: frozenset[tuple[str, str]] = frozenset()
    survivor: UUID | None = None
    reason: str | None = None


class World(msgspec.Struct, frozen=True):
    """All profiles that are not erased, and the unified profile each device points at."""

    profiles: dict[UUID, ProfileFacts]
    devices: dict[str, UUID]

    def root(self, profile_id: UUID) -> UUID:
        """The profile that stands for this one."""
        return self.profiles[profile_id].survivor or profile_id

    def partition(self) -> frozenset[frozenset[UUID]]:
        """The profiles as the groups that are one person each."""
        groups: dict[UUID, set[UUID]] = {}
        for profile_id in self.profiles:
            groups.setdefault(self.root(profile_id), set()).add(profile_id)
        return frozenset(frozenset(group) for group in groups.values())


class Engine(Protocol):
    """Something that scenarios run on. `new_id` is the id of the profile that the step may create."""

    async def begin(self, setup: Setup) -> None: ...

    async def act(self, step: Step, addressed: UUID | None, new_id: UUID) -> Outcome: ...

    async def world(self) -> World: ...
