"""Blocked values, which do not identify a person: built-in lists and the organisation's values and patterns.

Invariants: values are compared case-folded. Source: docs/concepts/resolution.md, rule 1.
"""

import re
from fnmatch import fnmatchcase

from oneself.core.identity.identifier import Namespace

#: Placeholders for a missing value, and values that many people share. A merge on one of them would join
#: strangers. Compared case-folded.
DEFAULT_BLOCKLIST = frozenset(
    """
    null (null) nil none nan undefined void n/a na unknown missing unset empty
    true false 0 -1 {} [] [object]
    anonymous anon guest id distinctid distinct_id not_authenticated
    email e-mail username noreply@example.com test@test.com test@example.com a@a.com none@none.com
    00000000-0000-0000-0000-000000000000 ffffffff-ffff-ffff-ffff-ffffffffffff
    """.split()
) | {"[object object]", "not applicable"}


#: Blocked by default in identity types, together with values of only zeros and dashes
#: (docs/wire/interactions.md §9.1).
EVENT_BLOCKLIST = frozenset(
    ("null", "(null)", "undefined", "nan", "none", "n/a", "anonymous", "[object object]", "-1")
)


#: Only zeros and dashes (docs/wire/interactions.md §9.1), or one filler character repeated.
_PLACEHOLDER = re.compile(r"^(?:[0-]+|([x._*#?])\1+)$")


def is_blocked(text: str, namespace: Namespace) -> bool:
    """True if the namespace's built-in list, blocked values or patterns contain the value."""
    folded = text.casefold()
    if _is_placeholder(folded, namespace) or not namespace.blocked_values.isdisjoint((text, folded)):
        return True
    return any(fnmatchcase(folded, pattern.casefold()) for pattern in namespace.blocked_patterns)


def _is_placeholder(folded: str, namespace: Namespace) -> bool:
    if namespace.blocks == "shared":
        return folded in DEFAULT_BLOCKLIST or _PLACEHOLDER.match(folded) is not None
    if namespace.blocks == "event_wire":
        return folded in EVENT_BLOCKLIST or not folded.strip("0-")
    return False
