"""Values that identify nobody: the default lists, and the organisation's own values and patterns."""

import re
from fnmatch import fnmatchcase

from oneself.core.identity.identifier import Namespace

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


def is_blocked(text: str, namespace: Namespace) -> bool:
    """True if the value is on the default list, or on the organisation's list or patterns."""
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
