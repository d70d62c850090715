"""Text from outside: whether it can be stored, its Unicode normalisation, and its visible characters.

The length is checked before anything else is done.

The time that NFC takes grows with the square of a run of combining characters: 40 000 of them take seconds,
and 500 of them as much as 10 000 other characters. No other module calls `unicodedata.normalize`.
"""

import re
import unicodedata

#: The longest run of combining characters in text of any language, by the Stream-Safe Text Format (Unicode
#: Standard Annex #15).
COMBINING_RUN_MAX = 30


#: Default-ignorable code points (Unicode Standard, chapter 5.21) and the marks of interlinear annotations:
#: zero-width characters, byte order mark, soft hyphen, bidirectional controls, joiners, variation selectors,
#: tags and fillers. Arabic number signs, of the same category Cf, are visible and not in it.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]+"
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """False for text with NUL or half a surrogate pair, which neither UTF-8 nor PostgreSQL can hold."""
    # The usual case is printable text, which has neither.
    return text.isprintable() or _UNSTORABLE.search(text) is None


def nfc(text: str, chars_max: int) -> str | None:
    """The text in NFC.

    None if it has more than `chars_max` characters, as it was sent or in NFC, or a longer run of combining
    characters than COMBINING_RUN_MAX.
    """
    if len(text) > chars_max:
        return None
    if text.isascii():
        return text
    if _has_long_run(text):
        return None
    normal = unicodedata.normalize("NFC", text)
    return normal if len(normal) <= chars_max else None


def visible(text: str, chars_max: int) -> str | None:
    """The text in NFC and trimmed, without invisible characters; None as `nfc`.

    The length is checked before anything is removed.
    """
    if len(text) > chars_max:
        return None
    return text if text.isascii() else nfc(_INVISIBLE.sub("", text).strip(), chars_max)


def _has_long_run(text: str) -> bool:
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > COMBINING_RUN_MAX:
            return True
    return False
