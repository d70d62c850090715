"""The one spelling of an identifier."""

import re

import phonenumbers

from oneself.core.identity.blocklist import is_blocked
from oneself.core.identity.identifier import IDENTIFIER_CHARS_MAX, Dropped, Identifier, Namespace
from oneself.core.text import nfc

_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")


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


def _e164(text: str) -> str:
    """+E.164 where the number says its country, else the text as it was typed."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return text
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
