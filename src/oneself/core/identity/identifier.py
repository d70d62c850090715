"""Identifiers of people and browsers, and the namespaces that they belong to.

Invariants: this module does not know which profile holds an identifier (`fold`), nor the effect of two
profiles holding the same one (`resolve`).

Source: docs/concepts/resolution.md, "Identifiers".
"""

import hashlib
from typing import Literal

import msgspec

ANONYMOUS_ID = "anonymous_id"
TRACKER = "tracker"
USER_ID = "user_id"

#: Namespaces that name a browser; they point at a profile and can move (docs/concepts/resolution.md, rule 2).
DEVICE_NAMESPACES = frozenset({ANONYMOUS_ID, TRACKER})

#: How identifiers are compared, by the number that the settings of a dataset store. With the first, rules and
#: identity types had placeholders of their own, former ids had none, and invisible characters made a
#: difference. An entry of the log is folded again by the comparison of its time.
COMPARISON_FIRST = 1
COMPARISON_SINCE_PLACEHOLDERS = 2

#: Longer values are not identifiers: a PostgreSQL page must hold many index entries.
IDENTIFIER_CHARS_MAX = 512


class Identifier(msgspec.Struct, frozen=True, order=True):
    """One value in one namespace, e.g. (`user_id`, `u-1001`)."""

    namespace: str
    value: str

    @property
    def is_device(self) -> bool:
        """True if it names a browser rather than a person."""
        return self.namespace in DEVICE_NAMESPACES


def visible_value(identifier: Identifier) -> str:
    """The value of an identifier as look-ups show it: of a tracker, by which anyone can read, its digest."""
    return tracker_digest(identifier.value) if identifier.namespace == TRACKER else identifier.value


def tracker_digest(tracker: str) -> str:
    """What names a tracker without revealing it. A tracker is random, so that a plain digest suffices."""
    return f"sha256:{hashlib.sha256(tracker.encode()).hexdigest()[:32]}"


class Namespace(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the values of one namespace are normalised, and which evidence they need."""

    #: The recorded reason of a merge that the namespace causes (docs/concepts/resolution.md, rule 9).
    reason: str
    #: Lower goes first among the reasons of one observation; identity types share 1000.
    priority: int = 1000
    kind: Literal["text", "email", "phone"] = "text"
    case_sensitive: bool = False
    #: Accepts values only from servers.
    trusted_only: bool = False
    #: A user of whom a server said a value owns what servers began with it.
    proves_identity: bool = False
    #: Two profiles with different values are never merged.
    conflict_blocks_merge: bool = False
    #: The organisation's blocked values, case-folded.
    blocked_values: frozenset[str] = frozenset()
    #: Shell patterns (`*@test.example`): unlike regular expressions, they cannot be made to run without end.
    blocked_patterns: tuple[str, ...] = ()
    #: Values per profile.
    values_max: int = 100
    #: The longest value, in bytes of UTF-8; None for no limit.
    bytes_max: int | None = None
    #: Whether placeholders (`blocklist.PLACEHOLDERS` and patterns) identify nobody.
    blocks_placeholders: bool = True
    #: What was blocked instead with COMPARISON_FIRST.
    former_blocks: Literal["shared", "event_wire", "nothing"] = "shared"
    #: Whether values that differ in invisible characters only are one value. Not for names that somebody else
    #: has checked: a user of an identity provider must not become another one.
    ignores_invisible: bool = True
    #: COMPARISON_FIRST or COMPARISON_SINCE_PLACEHOLDERS; the configuration sets it.
    comparison: int = COMPARISON_SINCE_PLACEHOLDERS
    #: A profile holds only the newest value; any profile may claim the replaced one
    #: (docs/wire/interactions.md §9.2, CLAIM).
    is_single: bool = False


#: Lower than the priority of any rule: the user id always goes first (docs/wire/cds.md §9).
USER_ID_PRIORITY = -(2**63) - 1

USER_ID_NAMESPACE = Namespace(
    reason="system:user_id_match",
    priority=USER_ID_PRIORITY,
    case_sensitive=True,
    trusted_only=True,
    values_max=1,
    ignores_invisible=False,
)
#: Higher than the priority of any rule or identity type.
DEVICE_PRIORITY = 2**63

DEVICE_NAMESPACE = Namespace(
    reason="anonymous", priority=DEVICE_PRIORITY, case_sensitive=True, ignores_invisible=False
)


class Dropped(msgspec.Struct, frozen=True):
    """An identifier that was not used, and the reason."""

    namespace: str
    code: Literal[
        "empty", "too_long", "malformed", "blocked_value", "unknown_namespace", "untrusted_evidence"
    ]
