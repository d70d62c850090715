"""Numbers in E.164: which ones a code can be sent to."""

from __future__ import annotations

import pytest

from oneself.service.directory.mobile_numbers import digits_of, e164


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("+447700900123", "+447700900123"),
        ("+44 (0)7700 900-123", "+447700900123"),
        ("+1 (201) 555.0123", "+12015550123"),
        ("07700 900123", None),
        ("+44", None),
        ("+44 123", None),
        ("+999 123456789", None),
        ("+44 909 879 0000", None),
        ("", None),
        ("call me", None),
        ("+1" * 500, None),
    ],
)
def test_numbers_with_a_country_code_get_codes(typed: str, number: str | None) -> None:
    assert e164(typed) == number


def test_numbers_are_equal_by_their_digits() -> None:
    assert digits_of("+44 7700 900-123") == digits_of("447700900123") == "447700900123"
