"""The content of a scenario file as values, without parsing and without an engine.

A `Scenario` is a set-up, the steps in order, and the expected final state. Each engine translates a `Step` to
its own observation. Two acts are not observations: the change of a unification rule, and the indexing of
existing profiles.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal["anonymous", "named", "identified"]
Act = Literal["event", "sign-in", "sign-out", "write", "create", "erase", "rule", "index"]
Trust = Literal["server", "browser"]

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
# 2026-06-01T00:00:00Z; line n of a file occurs n minutes later unless it has `at=`.
START_US = 1_780_272_000_000_000


class IdentityType(msgspec.Struct, frozen=True):
    """`bound`: the attribute `identity_attributes.<name>` stores it, one value per profile. Otherwise a
    profile can have many values, and no attribute stores them."""

    name: str
    bound: bool = False
    case_sensitive: bool = False
    trusted_only: bool = False
    conflict_blocks_merge: bool = False
    blocked_values: tuple[str, ...] = ()


class AttributeLine(msgspec.Struct, frozen=True):
    """An attribute definition; the name of a sub-attribute begins with the name of its parent."""

    name: str
    value_type: str
    merge_strategy: str
    multi_valued: bool = False
    application: str | None = None
    mutability: str = "readWrite"


class RuleLine(msgspec.Struct, frozen=True):
    """A new rule, if it has an `attribute`; else the change of the rule with this name."""

    name: str
    attribute: str | None = None
    priority: int | None = None
    is_active: bool | None = None
    gone: bool = False


class Setup(msgspec.Struct, frozen=True):
    identity_types: tuple[IdentityType, ...] = ()
    attributes: tuple[AttributeLine, ...] = ()
    rules: tuple[RuleLine, ...] = ()
    detach_on_sign_out: bool = False
    profiles_per_merge_max: int | None = None
    values_per_namespace_max: int | None = None


class Step(msgspec.Struct, frozen=True):
    """One observation. `at` is µs since 1970 UTC; `values` is a patch in the three scopes."""

    act: Act
    devices: tuple[str, ...] = ()
    profile: str | None = None
    identities: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    values: dict[str, Any] = {}
    trust: Trust = "server"
    application: str = "shop"
    at: int = START_US
    rule: RuleLine | None = None


class Create(msgspec.Struct, frozen=True, tag=True):
    profile: str
    kind: Kind | None = None


class Attach(msgspec.Struct, frozen=True, tag=True):
    profile: str
    kind: Kind | None = None
    promoted: bool = False


class Merge(msgspec.Struct, frozen=True, tag=True):
    absorbed: tuple[str, ...]
    survivor: str
    reason: str | None = None


class Move(msgspec.Struct, frozen=True, tag=True):
    """The device now points at another profile, or at none."""

    device: str
    profile: str | None


class Refuse(msgspec.Struct, frozen=True, tag=True):
    code: str
    pair: tuple[str, ...] = ()


class Drop(msgspec.Struct, frozen=True, tag=True):
    namespace: str
    code: str


class Reject(msgspec.Struct, frozen=True, tag=True):
    code: str


class Erase(msgspec.Struct, frozen=True, tag=True):
    profiles: tuple[str, ...]


class Nothing(msgspec.Struct, frozen=True, tag=True):
    """The observation is accepted and changes no profile."""


Clause = Create | Attach | Merge | Move | Refuse | Drop | Reject | Erase | Nothing


class Line(msgspec.Struct, frozen=True):
    number: int
    text: str
    step: Step
    expected: tuple[Clause, ...]


class ValuesAre(msgspec.Struct, frozen=True):
    """`finally P1 = {…}`: the exact values; keys are dotted or nested."""

    profile: str
    values: dict[str, Any]


class MergedTo(msgspec.Struct, frozen=True):
    profile: str
    survivor: str
    reason: str | None = None


class KindIs(msgspec.Struct, frozen=True):
    profile: str
    kind: Kind


class UserIs(msgspec.Struct, frozen=True):
    profile: str
    user: str


class Gone(msgspec.Struct, frozen=True):
    profile: str


class DeviceAt(msgspec.Struct, frozen=True):
    device: str
    profile: str | None


Ending = ValuesAre | MergedTo | KindIs | UserIs | Gone | DeviceAt


class EndLine(msgspec.Struct, frozen=True):
    number: int
    text: str
    ending: Ending


class Scenario(msgspec.Struct, frozen=True):
    name: str
    setup: Setup
    lines: tuple[Line, ...]
    endings: tuple[EndLine, ...]
