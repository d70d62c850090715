"""Mobile numbers as networks write them (ITU-T E.164)."""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

#: A message to these costs its sender more, so that somebody earns by asking for it.
_COSTLY = (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST)


def e164(text: str) -> str | None:
    """A number in E.164, such as +447700900123; None if it has no country code, or nobody can have it."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number) or phonenumbers.number_type(number) in _COSTLY:
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def digits_of(text: str) -> str:
    """The digits of a number, by which equal ones are found."""
    return "".join(character for character in text if character in "0123456789")
