"""The persisted token: the format of docs/wire/interactions.md §7; anything else is rejected."""

from __future__ import annotations

import base64

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from oneself.service.events.persisted_token import (
    PADDING_BYTES,
    TOKEN_CHARACTERS_MAX,
    TokenKey,
    TokenKeyRing,
    TokenPayload,
    decrypt_token,
    encrypt_token,
    truncate_to_limit,
)

SECRET = bytes(range(32))
NONCE = bytes(range(12))
RING = TokenKeyRing([TokenKey(7, SECRET, True)])
PRIMARY_ID = "8675309abacab5551212acdc"
SEALED_AT = 1_760_000_000_000
VECTOR = (
    "AQAHAAECAwQFBgcICQoLPCCjOf_H-i26dKS7iIgaDOC35QHFTm5OCVWE5nkKIp4jeYzG1ONl_RbtG8-ypUlajWhSvnirj_hLtRAoL9XF3sAM"
    "9krj4RZRYXSKTs-vLsgYqulCVkNzSN3dvuxY0Jmt9GdnDb5XzgKyr8df8hx25w"
)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

texts = st.text(st.characters(exclude_categories=["Cs"]))
ids = st.text(ALPHABET, min_size=1, max_size=40)
keys = st.binary(min_size=32, max_size=32)
identities = st.dictionaries(ids, texts.filter(bool), max_size=8).map(
    lambda values: truncate_to_limit(values, "")[0]
)


def token(values: dict[str, str] | None = None, ring: TokenKeyRing = RING) -> str:
    return encrypt_token(
        ring, "acme", "web", PRIMARY_ID, {"webId": "abc123"} if values is None else values, SEALED_AT
    )


def decrypted(text: str, ring: TokenKeyRing = RING) -> TokenPayload | None:
    return decrypt_token(ring, "acme", "web", text)


def encrypted(plain: bytes, header: bytes = b"\x01\x00\x07") -> str:
    """Any plaintext, encrypted correctly with the active key."""
    body = AESGCM(SECRET).encrypt(NONCE, plain, header + b"acme/web")
    return base64.urlsafe_b64encode(header + NONCE + body).rstrip(b"=").decode()


# -- the format ---------------------------------------------------------------------------------------------


def test_the_vector_of_the_wire() -> None:
    assert encrypt_token(RING, "acme", "web", PRIMARY_ID, {"webId": "abc123"}, SEALED_AT, NONCE) == VECTOR
    assert decrypted(VECTOR) == TokenPayload(PRIMARY_ID, {"webId": "abc123"}, SEALED_AT, 7)


def test_the_plaintext_is_padded_json() -> None:
    plain = b'{"u":"8675309abacab5551212acdc","i":{"webId":"abc123"},"t":1760000000000}' + b" " * 23
    assert encrypted(plain) == VECTOR


def test_a_token_of_a_legacy_dataset_contains_only_the_id() -> None:
    text = encrypt_token(RING, "acme", "web", "ann@acme.example", None, SEALED_AT, NONCE)
    assert text == encrypted(b'{"u":"ann@acme.example","t":1760000000000}'.ljust(64))
    assert decrypted(text) == TokenPayload("ann@acme.example", None, SEALED_AT, 7)


def test_the_order_of_identities_is_preserved() -> None:
    found = decrypted(token({"c": "3", "a": "1", "b": "2"}))
    assert found is not None
    assert found.identities is not None
    assert list(found.identities) == ["c", "a", "b"]


def test_two_tokens_of_one_payload_differ() -> None:
    assert len({token() for _ in range(100)}) == 100


def test_padding_hides_the_length_of_the_values() -> None:
    lengths = {len(token({"webId": "x" * count})) for count in range(1, 6 + 1 + 23)}
    assert len(lengths) == 1, "23 blanks of padding are free in the vector"
    longer = {len(token({"webId": "x" * count})) for count in range(30, 30 + PADDING_BYTES)}
    assert len(longer) == 1


@given(ids, ids, texts, st.none() | identities, st.integers(0, 2**43), st.integers(0, 65_535), keys)
def test_an_encrypted_token_decrypts_to_its_payload(
    account: str,
    dataset: str,
    primary_id: str,
    values: dict[str, str] | None,
    sealed_at_ms: int,
    key_id: int,
    secret: bytes,
) -> None:
    ring = TokenKeyRing([TokenKey(key_id, secret, True)])
    text = encrypt_token(ring, account, dataset, primary_id[:24], values, sealed_at_ms)
    assert len(text) <= TOKEN_CHARACTERS_MAX
    assert decrypt_token(ring, account, dataset, text) == TokenPayload(
        primary_id[:24], values, sealed_at_ms, key_id
    )


# -- invalid tokens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [{}, {"webId": "abc123"}, {"webId": "abc123", "emailAddress": "a@b.example"}]
)
def test_a_changed_character_invalidates_a_token(values: dict[str, str]) -> None:
    """Three lengths: the last character of a token has none, two or four spare bits."""
    text = token(values)
    for place, character in enumerate(text):
        for other in ALPHABET.replace(character, "") + "+/=. \n\0é":
            assert decrypted(text[:place] + other + text[place + 1 :]) is None


def test_a_changed_bit_invalidates_a_token() -> None:
    raw = base64.urlsafe_b64decode(VECTOR + "=" * (-len(VECTOR) % 4))
    for place in range(len(raw)):
        for bit in range(8):
            changed = raw[:place] + bytes([raw[place] ^ (1 << bit)]) + raw[place + 1 :]
            assert decrypted(base64.urlsafe_b64encode(changed).rstrip(b"=").decode()) is None


def test_a_part_or_an_extension_of_a_token_is_invalid() -> None:
    assert not [end for end in range(len(VECTOR)) if decrypted(VECTOR[:end])]
    assert not [start for start in range(1, len(VECTOR)) if decrypted(VECTOR[start:])]
    extensions = ("=", "==", " ", "\n", "A", "AAAA", VECTOR)
    assert not [extra for extra in extensions if decrypted(VECTOR + extra) or decrypted(extra + VECTOR)]


@pytest.mark.parametrize(
    ("account", "dataset"),
    [("acme", "shop"), ("other", "web"), ("acm", "e/web"), ("acme/web", ""), ("", ""), ("acme", "web\ud800")],
)
def test_a_token_is_invalid_in_another_dataset(account: str, dataset: str) -> None:
    assert decrypt_token(RING, account, dataset, VECTOR) is None


def test_a_token_is_invalid_with_another_key() -> None:
    assert decrypted(VECTOR, TokenKeyRing([TokenKey(8, SECRET, True)])) is None
    assert decrypted(VECTOR, TokenKeyRing([TokenKey(7, bytes(32), True)])) is None
    assert decrypted(VECTOR, TokenKeyRing([TokenKey(8, SECRET, True), TokenKey(7, bytes(32), False)])) is None


def test_a_token_of_another_version_is_invalid() -> None:
    plain = b'{"u":"a","i":{},"t":1}'.ljust(32)
    assert decrypted(encrypted(plain))
    assert decrypted(encrypted(plain, b"\x02\x00\x07")) is None


@pytest.mark.parametrize(
    "plain",
    [
        b"", b" " * 32, b"null", b"[]", b"{}", b"7", b'{"u":"a"}', b'{"t":1}', b'{"u":1,"t":1}',
        b'{"u":"a","t":"1"}', b'{"u":"a","t":true}', b'{"u":"a","t":1.5}', b'{"u":"a","t":null}',
        b'{"u":"a","i":null,"t":1}', b'{"u":"a","i":[],"t":1}', b'{"u":"a","i":{"x":1},"t":1}',
        b'{"u":"a","i":{},"t":1,"v":2}', b'{"u":"a","i":{},"t":1}x', b'{"u":"\xff","t":1}', b"[" * 1500,
    ],
)  # fmt: skip
def test_an_encrypted_value_of_another_shape_is_invalid(plain: bytes) -> None:
    assert decrypted(encrypted(plain)) is None


def test_a_text_over_the_limit_is_not_decrypted() -> None:
    plain = msgspec.json.encode({"u": "a", "i": {}, "t": 1})
    assert decrypted(encrypted(plain.ljust(1504)))
    assert decrypted(encrypted(plain.ljust(1536))) is None
    assert decrypted("A" * 10_000_000) is None


@given(
    st.text(st.characters())
    | st.text(ALPHABET, max_size=2100)
    | st.binary().map(lambda raw: "AQAH" + raw.hex())
)
def test_random_text_is_invalid(text: str) -> None:
    assert decrypted(text) is None


# -- keys ---------------------------------------------------------------------------------------------------


def test_every_key_decrypts_and_the_active_one_encrypts() -> None:
    new = TokenKeyRing([TokenKey(7, SECRET, False), TokenKey(8, bytes(32), True)])
    assert decrypted(VECTOR, new) == decrypted(VECTOR)
    found = decrypted(token(ring=new), new)
    assert found is not None
    assert found.key_id == new.active_id == 8


@pytest.mark.parametrize("active", [[], [False], [True, True]])
def test_exactly_one_key_of_a_ring_is_active(active: list[bool]) -> None:
    with pytest.raises(ValueError):
        TokenKeyRing([TokenKey(number, bytes(32), is_active) for number, is_active in enumerate(active)])


# -- the length limit ----------------------------------------------------------------------------------------


def test_identities_within_the_limit_are_unchanged() -> None:
    values = {"webId": "abc123", "emailAddress": "a@b.example"}
    assert truncate_to_limit(values, "webId") == (values, False)


def test_the_oldest_identities_are_removed_and_the_default_one_stays() -> None:
    values = {name: name * 250 for name in "abcdefgh"}
    truncated, is_truncated = truncate_to_limit(values, "b")
    assert is_truncated
    assert list(truncated) == ["b", "e", "f", "g", "h"]
    assert len(token(truncated)) <= TOKEN_CHARACTERS_MAX
    assert len(values) == 8, "the argument was changed"


def test_a_default_identity_that_is_too_long_is_removed() -> None:
    assert truncate_to_limit({"a": "\x01" * 256, "b": "x"}, "a") == ({}, True)


def test_as_many_identities_as_possible_are_stored() -> None:
    longest = max(count for count in range(2000) if not truncate_to_limit({"a": "x" * count}, "a")[1])
    assert len(token({"a": "x" * longest})) == TOKEN_CHARACTERS_MAX - 1, "a longer token would fit"
    with pytest.raises(AssertionError):
        token({"a": "x" * (longest + 1)})


@given(st.dictionaries(ids, st.text(max_size=256), max_size=38), ids)
def test_a_truncated_payload_fits_and_omits_no_more_than_needed(
    values: dict[str, str], default_type: str
) -> None:
    truncated, is_truncated = truncate_to_limit(values, default_type)
    assert len(token(truncated)) <= TOKEN_CHARACTERS_MAX
    assert is_truncated == (truncated != values)
    if is_truncated:
        removed = [name for name in values if name not in truncated]
        last = default_type if default_type in removed else removed[-1]
        assert truncate_to_limit({last: values[last], **truncated}, default_type)[1]
    assert list(truncated.items()) == [pair for pair in values.items() if pair[0] in truncated]
