"""Which values are placeholders, and how invisible characters are compared."""

from __future__ import annotations

import unicodedata

import pytest

from oneself.core.config.configuration import Config
from oneself.core.identity.blocklist import is_placeholder
from oneself.core.identity.dataset_settings import NEW_DATASET, DatasetSettings
from oneself.core.identity.identifier import (
    IDENTIFIER_CHARS_MAX,
    TRACKER,
    USER_ID,
    Dropped,
    Identifier,
    Namespace,
)
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.identity.normalise import normalise
from oneself.core.text import COMBINING_RUN_MAX, visible

TEXT = Namespace(reason="test")
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"

PLACEHOLDERS = (
    "null", "(null)", "undefined", "n/a", "anonymous", "guest", "true", "false", "[object object]", "-1",
    "0", "000", "-", "0-0", "xx", "???",
    "{{user.id}}", "{{{id}}}", "u-{{id}}", "{{}}", "${id}", "id=${user.id}",
    "%%email%%", "[[id]]", "*|email|*",
    "{user_id}", "{user-id}", "<user id>", "<%= id %>",
    "111111", "aaaaaa", "......", "123456", "1234567", "1234567890", "0123456789", "12345678901", "987654321",
    "9876543210", "0987654321", "654321",
)  # fmt: skip
REAL = (
    "1", "12", "42", "007", "12345", "54321", "11111", "aaaaa", "234567", "890123", "112233", "1234568",
    "123-456", "c123456", "guest@acme.example", "nullbody", "true-42",
    "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}", "{af2504e0-4f89-11d3-9a0c-0305e82c3301}",
    "{af2504e04f8911d39a0c0305e82c3301}", '{"id":1}', "<ann@acme.example>", "50%", "100%%", "a[1]", "$5", "{",
    "}}{{", FAMILY,
)  # fmt: skip


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_a_placeholder_identifies_nobody(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", REAL)
def test_a_value_that_only_resembles_a_placeholder_is_an_identifier(value: str) -> None:
    assert not is_placeholder(value)


@pytest.mark.parametrize("name", [USER_ID, TRACKER, LEGACY_ID, "customerId"])
@pytest.mark.parametrize("value", ["Guest", "{{user.id}}", "123456", "nu\u200bll"])
def test_the_list_is_one_for_every_namespace(name: str, value: str) -> None:
    for resolves in (True, False):
        settings = DatasetSettings(comparison=NEW_DATASET.comparison, resolves_identities=resolves)
        namespace = Config(dataset=settings).namespace(name)
        assert namespace is not None
        assert normalise(Identifier(name, value), namespace) == Dropped(name, "blocked_value")
        assert isinstance(normalise(Identifier(name, "42"), namespace), Identifier)


@pytest.mark.parametrize(
    ("name", "value"),
    [(LEGACY_ID, "null"), ("customerId", "guest"), (USER_ID, "{{user.id}}"), (USER_ID, "123456")],
)
def test_an_entry_from_before_the_upgrade_is_folded_by_the_lists_of_its_time(name: str, value: str) -> None:
    namespace = Config(dataset=DatasetSettings()).namespace(name)
    assert namespace is not None
    assert normalise(Identifier(name, value), namespace) == Identifier(name, value)


# -- invisible characters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "invisible",
    ["\u200b", "\ufeff", "\u00ad", "\u2060", "\u202e", "\u2066", "\u034f", "\u180e", "\ufe0f", "\u3164",
     "\U000e0041", "\U000e0100", "\u200b\ufeff"],
    ids=ascii,
)  # fmt: skip
def test_invisible_characters_make_no_difference(invisible: str) -> None:
    for value in (f"{invisible}ann", f"a{invisible}nn", f"ann{invisible}", f" {invisible} ann"):
        assert normalise(Identifier("test", value), TEXT) == Identifier("test", "ann")
    assert normalise(Identifier("test", invisible), TEXT) == Dropped("test", "empty")


def test_every_format_character_is_invisible_unless_it_is_a_mark_of_arabic_numbers() -> None:
    formats = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"]
    kept = [unicodedata.name(one) for one in formats if visible(one, 1)]
    assert all(name.startswith(("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN")) for name in kept), kept


def test_visible_marks_make_a_difference() -> None:
    assert normalise(Identifier("test", "ann\u0301"), TEXT) == Identifier("test", "an\u0144")


def test_a_user_of_an_identity_provider_never_becomes_another_one() -> None:
    namespace = Config(dataset=NEW_DATASET).namespace(USER_ID)
    assert namespace is not None
    assert normalise(Identifier(USER_ID, "a\u200bnn"), namespace) == Identifier(USER_ID, "a\u200bnn")


def test_emoji_sequences_are_identifiers() -> None:
    found = normalise(Identifier("test", FAMILY), TEXT)
    assert found == Identifier("test", FAMILY.replace("\u200d", ""))
    assert normalise(found, TEXT) == found
    assert normalise(Identifier("test", "\u2764\ufe0f"), TEXT) == Identifier("test", "\u2764")


def test_the_length_is_checked_before_anything_is_removed() -> None:
    assert visible("a" + "\u200b" * IDENTIFIER_CHARS_MAX, IDENTIFIER_CHARS_MAX) is None
    assert visible("a" + "\u200b" * (IDENTIFIER_CHARS_MAX - 1), IDENTIFIER_CHARS_MAX) == "a"


def test_invisible_characters_hide_no_long_run_of_combining_characters() -> None:
    run = "a" + "\u0301\u034f" * (COMBINING_RUN_MAX + 2)
    assert normalise(Identifier("test", run), TEXT) == Dropped("test", "too_long")
