"""Normalisation: the one spelling by which identifiers are compared.

Invariants: a normalised identifier is not empty, too long, malformed or blocked.

Source: docs/concepts/resolution.md, rule 1.
"""

import re
from functools import lru_cache

import phonenumbers

from oneself.core.identity.blocklist import is_blocked
from oneself.core.identity.identifier import (
    COMPARISON_SINCE_PLACEHOLDERS,
    IDENTIFIER_CHARS_MAX,
    Dropped,
    Identifier,
    Namespace,
)
from oneself.core.text import nfc, visible

_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")


#: The spellings that are kept: those of a few batches. Folding an observation asks for each up to five times.
SPELLINGS_MAX = 4_096


@lru_cache(SPELLINGS_MAX)
def normalise(identifier: Identifier, namespace: Namespace) -> Identifier | Dropped:
    """The one spelling of an identifier, or the reason that it is not used."""
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
    """The value for display: in NFC, trimmed, case as given. None if it is too long for an identifier."""
    return nfc(text.strip(), IDENTIFIER_CHARS_MAX)


def _compared(text: str, namespace: Namespace) -> str | None:
    """The value as it is compared; None if it is too long then.

    Case folding makes three letters of one, and a run of combining characters can be longer without the
    invisible ones between them.
    """
    found: str | None = text
    if namespace.ignores_invisible and namespace.comparison >= COMPARISON_SINCE_PLACEHOLDERS:
        found = visible(text, IDENTIFIER_CHARS_MAX)
    if found is None or namespace.case_sensitive:
        return found
    return nfc(found.casefold(), IDENTIFIER_CHARS_MAX)


def _is_too_long(text: str, namespace: Namespace) -> bool:
    # A character has at most four bytes, so short text needs no encoding.
    limit = namespace.bytes_max
    return limit is not None and 4 * len(text) > limit and len(text.encode()) > limit


def _e164(text: str) -> str:
    """The number in E.164 if it has a country code, else the text unchanged."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return text
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
