"""The names that people sign in with: e-mail addresses, and how the same address is written.

Invariants: what is stored, compared, counted and mailed is one form of an address, whichever way somebody
writes it: whoever registers with a way of writing signs in with it. Two addresses are equal only if mail
servers take them for one, but for the case of ASCII letters. Source:
docs/guides/anonymous-to-registered.md, "Verified addresses".
"""

from __future__ import annotations

import string

from email_validator import EmailNotValidError, validate_email

from oneself.core.text import nfc
from oneself.errors import InvalidInput

#: The longest e-mail address that SMTP can carry (RFC 5321 §4.5.3.1.3).
USERNAME_CHARACTERS_MAX = 254
_LOWER_CASE = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def username_key(username: str) -> str | None:
    """The form in which equal usernames are equal; None if it is too long.

    Unicode NFC, trimmed, ASCII letters in lower case: `str.casefold` makes faß.de and fass.de equal.
    """
    trimmed = nfc(username.strip(), USERNAME_CHARACTERS_MAX)
    return None if trimmed is None else trimmed.translate(_LOWER_CASE)


def sign_in_key(typed: str) -> str | None:
    """The same, of what somebody typed: also of another way to write the domain, such as punycode."""
    key = username_key(typed)
    try:
        return key and username_key(stored_address(key))
    except EmailNotValidError:
        return key


def address_problem(username: str) -> str | None:
    """What is wrong with an e-mail address, as a sentence for the user; None: nothing."""
    if not username.strip():
        return "Enter your e-mail address."
    if len(username.strip()) > USERNAME_CHARACTERS_MAX:
        return f"Use at most {USERNAME_CHARACTERS_MAX} characters."
    try:
        stored_address(username)
    except EmailNotValidError:
        return "Enter an e-mail address, such as name@example.com."
    return None


def stored_address(username: str) -> str:
    """An e-mail address as an account has it. Raises EmailNotValidError."""
    # Addresses of an intranet are valid, so only the form of the domain is checked.
    checked = validate_email(username.strip(), check_deliverability=False, globally_deliverable=False)
    return checked.normalized


def checked_address(text: str) -> str:
    """An e-mail address as an account has it. Raises InvalidInput."""
    if problem := address_problem(text):
        raise InvalidInput("username", problem)
    return stored_address(text)
