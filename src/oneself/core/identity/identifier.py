"""Identifiers: what can name a person or a browser, and how two spellings become one value.

Here: namespaces, normalisation (DESIGN §4.1), values that identify nobody. Not here: who holds an
identifier (`fold`), what follows from two profiles holding it (`resolve`).
"""

from typing import Literal

import msgspec

ANONYMOUS_ID = "anonymous_id"
TRACKER = "tracker"
USER_ID = "user_id"

#: Namespaces that name a browser; they point at a profile and can move (DESIGN §4.2).
DEVICE_NAMESPACES = frozenset({ANONYMOUS_ID, TRACKER})

#: Longer values are no identifiers: an index entry has to fit a PostgreSQL page many times over.
IDENTIFIER_CHARS_MAX = 512


class Identifier(msgspec.Struct, frozen=True, order=True):
    """One value in one namespace, e.g. (`user_id`, `u-1001`)."""

    namespace: str
    value: str

    @property
    def is_device(self) -> bool:
        """True if it names a browser rather than a person."""
        return self.namespace in DEVICE_NAMESPACES


class Namespace(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the values of one namespace are read and how far they are trusted.

    `priority`: lower goes first among the reasons of one observation; identity types share 1000.
    `reason`: what a merge caused by it is recorded as (DESIGN §4.9). `values_max`: values per profile.
    `bytes_max`: of a value in UTF-8. `blocks`: which values identify nobody beside
    the blocked ones: what many share, the shorter list of the event wire, or none. `is_single`: a profile
    holds one value, the newest; the one that it replaces is free for anyone (wire/interactions §9.2, CLAIM).
    `blocked_patterns`: shell patterns (`*@test.example`), because those cannot be made to run for ever.
    """

    reason: str
    priority: int = 1000
    kind: Literal["text", "email", "phone"] = "text"
    case_sensitive: bool = False
    trusted_only: bool = False
    conflict_blocks_merge: bool = False
    blocked_values: frozenset[str] = frozenset()
    blocked_patterns: tuple[str, ...] = ()
    values_max: int = 100
    bytes_max: int | None = None
    blocks: Literal["shared", "event_wire", "nothing"] = "shared"
    is_single: bool = False


#: Before every rule, whatever number that has (wire/cds §9: user id first, always).
USER_ID_PRIORITY = -(2**63) - 1

USER_ID_NAMESPACE = Namespace(
    reason="system:user_id_match",
    priority=USER_ID_PRIORITY,
    case_sensitive=True,
    trusted_only=True,
    values_max=1,
)
#: After every rule and identity type.
DEVICE_PRIORITY = 2**63

DEVICE_NAMESPACE = Namespace(reason="anonymous", priority=DEVICE_PRIORITY, case_sensitive=True)


class Dropped(msgspec.Struct, frozen=True):
    """An identifier that was not used, and why."""

    namespace: str
    code: Literal[
        "empty", "too_long", "malformed", "blocked_value", "unknown_namespace", "untrusted_evidence"
    ]
