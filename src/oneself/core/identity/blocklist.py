"""Values that do not identify a person: one list of placeholders, and the organisation's values and patterns.

Invariants: values are compared case-folded, and have at most IDENTIFIER_CHARS_MAX characters. Patterns are
linear in the length of the value. Source: docs/concepts/resolution.md, rule 1.
"""

import re
from fnmatch import fnmatchcase
from itertools import pairwise

from oneself.core.identity.identifier import (
    COMPARISON_SINCE_PLACEHOLDERS,
    IDENTIFIER_CHARS_MAX,
    Namespace,
)
from oneself.core.text import visible

#: Placeholders for a missing value, and values that many people share. A merge on one of them would join
#: strangers. Compared case-folded.
PLACEHOLDERS = frozenset(
    """
    null (null) nil none nan undefined void n/a na unknown missing unset empty
    true false 0 -1 {} [] [object]
    anonymous anon guest id distinctid distinct_id not_authenticated
    email e-mail username noreply@example.com test@test.com test@example.com a@a.com none@none.com
    00000000-0000-0000-0000-000000000000 ffffffff-ffff-ffff-ffff-ffffffffffff
    """.split()
) | {"[object object]", "not applicable"}

#: The shortest value that is a placeholder because its digits count (`123456`) or because it repeats one
#: character (`999999`). Shorter ones are customer numbers of small organisations.
PATTERN_CHARS_MIN = 6

#: Only zeros and dashes (docs/wire/interactions.md §9.1), or one filler character repeated.
_FILLER = r"[0-]+|(?P<filler>[x._*#?])(?P=filler)+"
_ONLY_FILLER = re.compile(_FILLER)
_REPEATED = rf"(?P<repeated>.)(?P=repeated){{{PATTERN_CHARS_MIN - 1},}}"
#: A template that was not rendered, anywhere in the value: it stands in the values of every visitor.
_TEMPLATE = re.compile(
    r"\{\{[^{}]*\}\}|\$\{[^{}]*\}|%%[^%]*%%|\[\[[^\[\]]*\]\]|\*\|[^*|]*\|\*|<%[^%]*%>", re.DOTALL
)
#: Every template has one of these; few values do, and finding none takes a fifth of the time.
_TEMPLATE_MARK = re.compile(r"[{%\[*]")
_GUID = r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}"
#: A name in braces or angle brackets, as the whole value. A GUID in braces is an id.
_NAME = r"[^\W\d][\w.\- ]*"
_BRACKETED_NAME = rf"\{{(?!{_GUID}\}}){_NAME}\}}|<{_NAME}>"
_FULL_VALUE = re.compile(f"{_FILLER}|{_REPEATED}|{_BRACKETED_NAME}", re.DOTALL)
_DIGITS = "0123456789"

#: Up to the comparison before COMPARISON_SINCE_PLACEHOLDERS: the values that identity types blocked.
_FORMER_EVENT_VALUES = frozenset(
    ("null", "(null)", "undefined", "nan", "none", "n/a", "anonymous", "[object object]", "-1")
)


def is_blocked(text: str, namespace: Namespace) -> bool:
    """True if the value is a placeholder, or one of the namespace's blocked values or patterns."""
    folded = text.casefold()
    if _is_blocked_by_default(folded, namespace):
        return True
    if not namespace.blocked_values.isdisjoint((text, folded)):
        return True
    # Most namespaces have no pattern, and a generator for nothing takes longer than the rest.
    patterns = namespace.blocked_patterns
    return bool(patterns) and any(fnmatchcase(folded, pattern.casefold()) for pattern in patterns)


def is_placeholder(folded: str) -> bool:
    """Whether a case-folded value stands for a missing one, or for a test."""
    return (
        folded in PLACEHOLDERS
        or _FULL_VALUE.fullmatch(folded) is not None
        or _is_counting(folded)
        or (_TEMPLATE_MARK.search(folded) is not None and _TEMPLATE.search(folded) is not None)
    )


def _is_counting(text: str) -> bool:
    """Digits that count up from 0 or 1, or down to 1 or 0: `123456`, `1234567890`, `987654321`."""
    if len(text) < PATTERN_CHARS_MIN or not (text.isascii() and text.isdigit()):
        return False
    return any(
        ordered[0] in "01" and all(_DIGITS[int(one) - 9] == two for one, two in pairwise(ordered))
        for ordered in (text, text[::-1])
    )


def _is_blocked_by_default(folded: str, namespace: Namespace) -> bool:
    if namespace.comparison >= COMPARISON_SINCE_PLACEHOLDERS:
        seen = visible(folded, IDENTIFIER_CHARS_MAX)
        return namespace.blocks_placeholders and is_placeholder(folded if seen is None else seen)
    match namespace.former_blocks:
        case "shared":
            return folded in PLACEHOLDERS or _ONLY_FILLER.fullmatch(folded) is not None
        case "event_wire":
            return folded in _FORMER_EVENT_VALUES or not folded.strip("0-")
        case "nothing":
            return False
