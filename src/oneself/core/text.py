"""Unicode normalisation of text from outside, which checks the length first.

The time that NFC takes grows with the square of a run of combining characters: 40 000 of them take seconds.
No other module calls `unicodedata.normalize`.
"""

import unicodedata


def nfc(text: str, chars_max: int) -> str | None:
    """The text in NFC; None if it has more than `chars_max` characters, as it was sent or in NFC."""
    if len(text) > chars_max:
        return None
    normal = unicodedata.normalize("NFC", text)
    return normal if len(normal) <= chars_max else None
