"""Identifiers: what can name a person or a browser, and how two spellings become one value.

Here: namespaces, normalisation (DESIGN §4.1), values that identify nobody. Not here: who holds an
identifier (`fold`), what follows from two profiles holding it (`resolve`).
"""

import re
from fnmatch import fnmatchcase
from typing import Literal

import msgspec
import phonenumbers

from oneself.core.text import nfc

ANONYMOUS_ID = "anonymous_id"
TRACKER = "tracker"
USER_ID = "user_id"

#: Namespaces that name a browser; they point at a profile and can move (DESIGN §4.2).
DEVICE_NAMESPACES = frozenset({ANONYMOUS_ID, TRACKER})

#: Longer values are no identifiers: an index entry has to fit a PostgreSQL page many times over.
IDENTIFIER_CHARS_MAX = 512

#: What programs and people write where a value is missing, and values that many people share. A merge on one
#: of them would join strangers, so they identify nobody in any namespace. Compared case-folded.
DEFAULT_BLOCKLIST = frozenset(
    """
    null (null) nil none nan undefined void n/a na unknown missing unset empty
    true false 0 -1 {} [] [object]
    anonymous anon guest id distinctid distinct_id not_authenticated
    email e-mail username noreply@example.com test@test.com test@example.com a@a.com none@none.com
    00000000-0000-0000-0000-000000000000 ffffffff-ffff-ffff-ffff-ffffffffffff
    """.split()
) | {"[object object]", "not applicable"}

#: What the event wire blocks in every identity type, beside values of zeros and dashes alone
#: (wire/interactions §9.1).
EVENT_BLOCKLIST = frozenset(
    ("null", "(null)", "undefined", "nan", "none", "n/a", "anonymous", "[object object]", "-1")
)

#: Only zeros and dashes (wire/interactions §9.1), or one filler over and over.
_PLACEHOLDER = re.compile(r"^(?:[0-]+|([x._*#?])\1+)$")
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")


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


def normalise(identifier: Identifier, namespace: Namespace) -> Identifier | Dropped:
    """The one spelling of an identifier, or why it identifies nobody (DESIGN §4.1)."""
    text = display_value(identifier.value)
    if text is None or _is_too_long(text, namespace) or (text := _compared(text, namespace)) is None:
        return Dropped(identifier.namespace, "too_long")
    if not text:
        return Dropped(identifier.namespace, "empty")
    if namespace.kind == "email" and not _EMAIL.match(text):
        return Dropped(identifier.namespace, "malformed")
    if namespace.kind == "phone":
        text = _e164(text)
    if is_blocked(text, namespace):
        return Dropped(identifier.namespace, "blocked_value")
    return Identifier(identifier.namespace, text)


def display_value(text: str) -> str | None:
    """A value as people are shown it: in NFC, without blanks around it; its case is what was typed. None if
    it is too long to be an identifier."""
    return nfc(text.strip(), IDENTIFIER_CHARS_MAX)


def _compared(text: str, namespace: Namespace) -> str | None:
    """The value without its case where that makes no difference; some letters become three without it."""
    return text if namespace.case_sensitive else nfc(text.casefold(), IDENTIFIER_CHARS_MAX)


def _is_too_long(text: str, namespace: Namespace) -> bool:
    # A character has at most four bytes: short text needs no counting.
    limit = namespace.bytes_max
    return limit is not None and 4 * len(text) > limit and len(text.encode()) > limit


def is_blocked(text: str, namespace: Namespace) -> bool:
    """True if the value is on the default list, or on the organisation's list or patterns."""
    folded = text.casefold()
    if _identifies_nobody(folded, namespace) or not namespace.blocked_values.isdisjoint((text, folded)):
        return True
    return any(fnmatchcase(folded, pattern.casefold()) for pattern in namespace.blocked_patterns)


def _identifies_nobody(folded: str, namespace: Namespace) -> bool:
    if namespace.blocks == "shared":
        return folded in DEFAULT_BLOCKLIST or _PLACEHOLDER.match(folded) is not None
    if namespace.blocks == "event_wire":
        return folded in EVENT_BLOCKLIST or not folded.strip("0-")
    return False


def _e164(text: str) -> str:
    """+E.164 where the number says its country, else the text as it was typed."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return text
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
