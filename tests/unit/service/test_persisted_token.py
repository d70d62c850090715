"""The persisted token: exactly the format of docs/wire/interactions.md §7, and nothing else opens."""

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

words = st.text(st.characters(exclude_categories=["Cs"]))
ids = st.text(ALPHABET, min_size=1, max_size=40)
keys = st.binary(min_size=32, max_size=32)
identities = st.dictionaries(ids, words.filter(bool), max_size=8).map(
    lambda some: truncate_to_limit(some, "")[0]
)


def token(some: dict[str, str] | None = None, ring: TokenKeyRing = RING) -> str:
    return encrypt_token(
        ring, "acme", "web", PRIMARY_ID, {"webId": "abc123"} if some is None else some, SEALED_AT
    )


def opened(text: str, ring: TokenKeyRing = RING) -> TokenPayload | None:
    return decrypt_token(ring, "acme", "web", text)


def sealed_plain(plain: bytes, header: bytes = b"\x01\x00\x07") -> str:
    """Anything at all, sealed with the right key as it should be."""
    body = AESGCM(SECRET).encrypt(NONCE, plain, header + b"acme/web")
    return base64.urlsafe_b64encode(header + NONCE + body).rstrip(b"=").decode()


# -- the format ---------------------------------------------------------------------------------------------


def test_the_vector_of_the_wire() -> None:
    assert encrypt_token(RING, "acme", "web", PRIMARY_ID, {"webId": "abc123"}, SEALED_AT, NONCE) == VECTOR
    assert opened(VECTOR) == TokenPayload(PRIMARY_ID, {"webId": "abc123"}, SEALED_AT, 7)


def test_the_plaintext_is_written_as_it_should_be() -> None:
    plain = b'{"u":"8675309abacab5551212acdc","i":{"webId":"abc123"},"t":1760000000000}' + b" " * 23
    assert sealed_plain(plain) == VECTOR


def test_a_token_of_legacy_mode_holds_the_id_alone() -> None:
    text = encrypt_token(RING, "acme", "web", "ann@acme.example", None, SEALED_AT, NONCE)
    assert text == sealed_plain(b'{"u":"ann@acme.example","t":1760000000000}'.ljust(64))
    assert opened(text) == TokenPayload("ann@acme.example", None, SEALED_AT, 7)


def test_the_order_of_arrival_is_preserved() -> None:
    found = opened(token({"c": "3", "a": "1", "b": "2"}))
    assert found is not None
    assert found.identities is not None
    assert list(found.identities) == ["c", "a", "b"]


def test_no_two_tokens_are_alike() -> None:
    assert len({token() for _ in range(100)}) == 100


def test_lengths_tell_little() -> None:
    lengths = {len(token({"webId": "x" * count})) for count in range(1, 6 + 1 + 23)}
    assert len(lengths) == 1, "the vector's key may grow by its 23 blanks"
    more = {len(token({"webId": "x" * count})) for count in range(30, 30 + PADDING_BYTES)}
    assert len(more) == 1


@given(ids, ids, words, st.none() | identities, st.integers(0, 2**43), st.integers(0, 65_535), keys)
def test_an_encrypted_token_decrypts_to_its_payload(
    account: str,
    dataset: str,
    primary_id: str,
    some: dict[str, str] | None,
    sealed_at_ms: int,
    key_id: int,
    secret: bytes,
) -> None:
    ring = TokenKeyRing([TokenKey(key_id, secret, True)])
    text = encrypt_token(ring, account, dataset, primary_id[:24], some, sealed_at_ms)
    assert len(text) <= TOKEN_CHARACTERS_MAX
    assert decrypt_token(ring, account, dataset, text) == TokenPayload(
        primary_id[:24], some, sealed_at_ms, key_id
    )


# -- what does not open -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "some", [{}, {"webId": "abc123"}, {"webId": "abc123", "emailAddress": "a@b.example"}]
)
def test_no_character_can_be_another(some: dict[str, str]) -> None:
    """Three lengths: the last character of a token has none, two or four spare bits."""
    text = token(some)
    for place, character in enumerate(text):
        for other in ALPHABET.replace(character, "") + "+/=. \n\0é":
            assert opened(text[:place] + other + text[place + 1 :]) is None


def test_no_bit_can_be_another() -> None:
    raw = base64.urlsafe_b64decode(VECTOR + "=" * (-len(VECTOR) % 4))
    for place in range(len(raw)):
        for bit in range(8):
            changed = raw[:place] + bytes([raw[place] ^ (1 << bit)]) + raw[place + 1 :]
            assert opened(base64.urlsafe_b64encode(changed).rstrip(b"=").decode()) is None


def test_no_part_of_a_token_is_one() -> None:
    assert not [end for end in range(len(VECTOR)) if opened(VECTOR[:end])]
    assert not [start for start in range(1, len(VECTOR)) if opened(VECTOR[start:])]
    around = ("=", "==", " ", "\n", "A", "AAAA", VECTOR)
    assert not [more for more in around if opened(VECTOR + more) or opened(more + VECTOR)]


@pytest.mark.parametrize(
    ("account", "dataset"),
    [("acme", "shop"), ("other", "web"), ("acm", "e/web"), ("acme/web", ""), ("", ""), ("acme", "web\ud800")],
)
def test_another_place_opens_nothing(account: str, dataset: str) -> None:
    assert decrypt_token(RING, account, dataset, VECTOR) is None


def test_another_key_opens_nothing() -> None:
    assert opened(VECTOR, TokenKeyRing([TokenKey(8, SECRET, True)])) is None
    assert opened(VECTOR, TokenKeyRing([TokenKey(7, bytes(32), True)])) is None
    assert opened(VECTOR, TokenKeyRing([TokenKey(8, SECRET, True), TokenKey(7, bytes(32), False)])) is None


def test_another_version_opens_nothing() -> None:
    plain = b'{"u":"a","i":{},"t":1}'.ljust(32)
    assert opened(sealed_plain(plain))
    assert opened(sealed_plain(plain, b"\x02\x00\x07")) is None


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
    assert opened(sealed_plain(plain)) is None


def test_a_longer_text_is_not_looked_at() -> None:
    plain = msgspec.json.encode({"u": "a", "i": {}, "t": 1})
    assert opened(sealed_plain(plain.ljust(1504)))
    assert opened(sealed_plain(plain.ljust(1536))) is None
    assert opened("A" * 10_000_000) is None


@given(
    st.text(st.characters())
    | st.text(ALPHABET, max_size=2100)
    | st.binary().map(lambda raw: "AQAH" + raw.hex())
)
def test_garbage_is_rejected_and_changes_nothing(text: str) -> None:
    assert opened(text) is None


# -- keys ---------------------------------------------------------------------------------------------------


def test_every_key_opens_and_the_active_one_seals() -> None:
    new = TokenKeyRing([TokenKey(7, SECRET, False), TokenKey(8, bytes(32), True)])
    assert opened(VECTOR, new) == opened(VECTOR)
    found = opened(token(ring=new), new)
    assert found is not None
    assert found.key_id == new.active_id == 8


@pytest.mark.parametrize("active", [[], [False], [True, True]])
def test_exactly_one_key_of_a_ring_is_active(active: list[bool]) -> None:
    with pytest.raises(ValueError):
        TokenKeyRing([TokenKey(number, bytes(32), each) for number, each in enumerate(active)])


# -- what fits ----------------------------------------------------------------------------------------------


def test_identities_within_the_limit_are_unchanged() -> None:
    some = {"webId": "abc123", "emailAddress": "a@b.example"}
    assert truncate_to_limit(some, "webId") == (some, False)


def test_the_oldest_go_first_and_the_default_identity_stays() -> None:
    some = {name: name * 250 for name in "abcdefgh"}
    kept, is_full = truncate_to_limit(some, "b")
    assert is_full
    assert list(kept) == ["b", "e", "f", "g", "h"]
    assert len(token(kept)) <= TOKEN_CHARACTERS_MAX
    assert len(some) == 8, "what was given is left alone"


def test_a_default_identity_that_alone_is_too_long_is_left_out_as_well() -> None:
    assert truncate_to_limit({"a": "\x01" * 256, "b": "x"}, "a") == ({}, True)


def test_as_many_identities_as_possible_are_stored() -> None:
    most = max(count for count in range(2000) if not truncate_to_limit({"a": "x" * count}, "a")[1])
    assert len(token({"a": "x" * most})) == TOKEN_CHARACTERS_MAX - 1, "the longest that padding allows"
    with pytest.raises(AssertionError):
        token({"a": "x" * (most + 1)})


@given(st.dictionaries(ids, st.text(max_size=256), max_size=38), ids)
def test_a_truncated_payload_fits_and_omits_no_more_than_needed(
    some: dict[str, str], default_type: str
) -> None:
    kept, is_full = truncate_to_limit(some, default_type)
    assert len(token(kept)) <= TOKEN_CHARACTERS_MAX
    assert is_full == (kept != some)
    if is_full:
        left_out = [name for name in some if name not in kept]
        last = default_type if default_type in left_out else left_out[-1]
        assert truncate_to_limit({last: some[last], **kept}, default_type)[1]
    assert list(kept.items()) == [pair for pair in some.items() if pair[0] in kept]
