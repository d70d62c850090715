"""The length of external text is checked before Unicode normalisation, which can take quadratic time."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from oneself.core.identity.identifier import IDENTIFIER_CHARS_MAX, Dropped, Identifier, Namespace
from oneself.core.identity.normalise import display_value, normalise
from oneself.core.text import nfc

TEXT = Namespace(reason="test")
#: Normalisation of combining characters takes quadratic time.
COMBINING = "a" + "\u0315\u0300" * 20_000


@pytest.fixture(autouse=True)
def fail_on_normalisation_of_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    normalize = unicodedata.normalize

    def checked(form: Any, text: str) -> str:
        assert len(text) <= 3 * IDENTIFIER_CHARS_MAX, "long text is normalised"
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", checked)


def test_text_is_composed() -> None:
    assert nfc("e\u0301", 2) == "é"


@pytest.mark.parametrize("text", ["abc", "e\u0301e", "\u0958\u0958"], ids=["plain", "as sent", "in NFC"])
def test_text_over_the_limit_is_none(text: str) -> None:
    assert nfc(text, 2) is None


def test_text_with_a_long_run_of_combining_characters_is_none() -> None:
    assert nfc("a" + "\u0301" * 30, 512) is not None
    assert nfc("a" + "\u0301" * 31, 512) is None
    assert nfc("a\u0301" * 200, 512) is not None


def test_a_long_value_is_not_an_identifier() -> None:
    for namespace in (TEXT, Namespace(reason="test", kind="email"), Namespace(reason="test", kind="phone")):
        assert normalise(Identifier("test", COMBINING), namespace) == Dropped("test", "too_long")
    assert display_value(COMBINING) is None


def test_surrounding_blanks_do_not_count_as_length() -> None:
    padded = f"{' ' * 1000}ann{' ' * 1000}"
    assert normalise(Identifier("test", padded), TEXT) == Identifier("test", "ann")


def test_the_case_folded_length_of_a_value_is_limited() -> None:
    """Case folding turns `ß` into two letters."""
    assert normalise(Identifier("test", "ab" + "ß" * (IDENTIFIER_CHARS_MAX // 2)), TEXT) == Dropped(
        "test", "too_long"
    )
    half = "ab" + "ß" * (IDENTIFIER_CHARS_MAX // 2 - 1)
    assert normalise(Identifier("test", half), TEXT) == Identifier("test", half.casefold())
    assert len(half.casefold()) == IDENTIFIER_CHARS_MAX
