"""The interface of the engines that scenarios run on, and their results: outcomes and worlds as plain values.

The oracle, the core and the service are engines. All return the same types, so that results can be compared.
"""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

import msgspec

from scenarios.words import Kind, Setup, Step


class Outcome(msgspec.Struct, frozen=True):
    """The effect of one observation.

    `attached`: the unified profile that the observation belongs to. `merges`: (absorbed, reason), all into
    `attached`. `refusals`: (code, the other profile). `drops`: (namespace, code). `indexed`: after the step
    `index`, the outcome for each profile that was indexed.
    """

    rejected: str | None = None
    attached: UUID | None = None
    created: UUID | None = None
    merges: frozenset[tuple[UUID, str]] = frozenset()
    refusals: frozenset[tuple[str, UUID | None]] = frozenset()
    drops: frozenset[tuple[str, str]] = frozenset()
    indexed: tuple[Outcome, ...] = ()


def one_guard(outcome: Outcome) -> Outcome:
    """The outcome with one code for guards and limits: where both refuse, an engine may report either."""
    guards = ("conflicting_identity", "limit_exceeded")
    refusals = frozenset(("guard" if code in guards else code, other) for code, other in outcome.refusals)
    indexed = tuple(map(one_guard, outcome.indexed))
    return msgspec.structs.replace(outcome, refusals=refusals, indexed=indexed)


class ProfileFacts(msgspec.Struct, frozen=True):
    """The state of one profile; of an absorbed one, only `survivor` and `reason` are set."""

    kind: Kind = "anonymous"
    user: str | None = None
    values: dict[str, Any] = {}
    identities: frozenset[tuple[str, str]] = frozenset()
    survivor: UUID | None = None
    reason: str | None = None


class World(msgspec.Struct, frozen=True):
    """All profiles that are not erased, and the unified profile that each device points at."""

    profiles: dict[UUID, ProfileFacts]
    devices: dict[str, UUID]

    def root(self, profile_id: UUID) -> UUID:
        """The survivor of the profile."""
        return self.profiles[profile_id].survivor or profile_id

    def partition(self) -> frozenset[frozenset[UUID]]:
        """The unified profiles, as sets of profile ids."""
        groups: dict[UUID, set[UUID]] = {}
        for profile_id in self.profiles:
            groups.setdefault(self.root(profile_id), set()).add(profile_id)
        return frozenset(frozenset(group) for group in groups.values())


class Engine(Protocol):
    """An engine that scenarios run on. `new_id` is the id of the profile that the step may create."""

    async def begin(self, setup: Setup) -> None: ...

    async def act(self, step: Step, addressed: UUID | None, new_id: UUID) -> Outcome: ...

    async def world(self) -> World: ...
