"""The persisted token: what a browser carries between two events of a visit.

    token      = base64url without padding ( header || nonce || ciphertext || tag )
    header     = version (1 byte) || key id (2 bytes, big-endian)
    plaintext  = {"u": primary ID, "i": {type id: key}, "t": issued at}, padded with blanks

Invariants: pure except for the nonce. It knows keys, not where they are stored (`token_keys`), and no
visits. A token is valid for the account and dataset that it was encrypted for, or it is nothing; there is
exactly one text for a payload, and no reason is given for an invalid one.
Source: docs/wire/interactions.md §7.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import UNSET, Struct, UnsetType

VERSION = b"\x01"
KEY_ID_MAX = 65_535
SECRET_BYTES = 32
HEADER_BYTES = 3
NONCE_BYTES = 12
TAG_BYTES = 16
#: Pad plaintext to a multiple of this, so that the token length does not reveal the length of an identity.
PADDING_BYTES = 32
TOKEN_CHARACTERS_MAX = 2_048

_BODY_START = HEADER_BYTES + NONCE_BYTES
_OVERHEAD_BYTES = _BODY_START + TAG_BYTES
#: The longest plaintext that fits into TOKEN_CHARACTERS_MAX: 1504.
PLAIN_BYTES_MAX = (TOKEN_CHARACTERS_MAX * 3 // 4 - _OVERHEAD_BYTES) // PADDING_BYTES * PADDING_BYTES


class TokenKey(Struct, frozen=True):
    """A key. `secret`: 32 random bytes. Every key decrypts; the active one encrypts as well."""

    key_id: int
    secret: bytes
    is_active: bool


class TokenPayload(Struct, frozen=True):
    """What a token holds. `identities`: type id → normalised value, in the order in which they were sent;
    None in a token of legacy mode, which holds the primary id alone (docs/wire/interactions.md §11).
    """

    primary_id: str
    identities: dict[str, str] | None
    issued_at_ms: int
    key_id: int


class TokenKeyRing:
    """The keys of one organisation, ready for use. `active_id`: the key that encrypts."""

    __slots__ = ("_by_header", "_header", "active_id")

    def __init__(self, keys: Iterable[TokenKey]) -> None:
        """Raises ValueError unless exactly one of the keys is active."""
        given = tuple(keys)
        (active,) = (key for key in given if key.is_active)
        self.active_id = active.key_id
        self._header = _header(active.key_id)
        self._by_header = {_header(key.key_id): AESGCM(key.secret) for key in given}

    @property
    def encryption(self) -> tuple[bytes, AESGCM]:
        """The header of the active key, and the key."""
        return self._header, self._by_header[self._header]

    def find(self, header: bytes) -> AESGCM | None:
        """The key that a header names; None for another version or an unknown key."""
        return self._by_header.get(header)


class _Plain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    u: str
    i: dict[str, str] | UnsetType = UNSET
    t: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Plain)
# Beside the identities stand a primary ID of 24 digits and an instant of 13.
_IDENTITIES_BYTES_MAX = PLAIN_BYTES_MAX - len(_encoder.encode(_Plain(u="0" * 24, i={}, t=10**12))) + len("{}")


def encrypt_token(
    keys: TokenKeyRing,
    account: str,
    dataset: str,
    primary_id: str,
    identities: dict[str, str] | None,
    issued_at_ms: int,
    nonce: bytes | None = None,
) -> str:
    """A token that is valid in this account and dataset only, encrypted with the active key.

    `identities`: as `truncate_to_limit` returns them; None makes a token of legacy mode. `nonce`: 12 bytes
    that this key never used, random by default. `issued_at_ms`: since 1970. Raises AssertionError for
    identities that do not fit.
    """
    header, key = keys.encryption
    nonce = os.urandom(NONCE_BYTES) if nonce is None else nonce
    plain = _encoder.encode(
        _Plain(u=primary_id, i=UNSET if identities is None else identities, t=issued_at_ms)
    )
    assert len(plain) <= PLAIN_BYTES_MAX, "truncate_to_limit() bounds the identities"
    padded = plain.ljust(-(-len(plain) // PADDING_BYTES) * PADDING_BYTES)
    body = key.encrypt(nonce, padded, _associated(header, account, dataset))
    return urlsafe_b64encode(header + nonce + body).rstrip(b"=").decode()


def decrypt_token(keys: TokenKeyRing, account: str, dataset: str, text: str) -> TokenPayload | None:
    """The payload of a token of this account and dataset; None for every other text."""
    raw = _decoded(text)
    key = keys.find(raw[:HEADER_BYTES])
    if key is None or len(raw) < _OVERHEAD_BYTES:
        return None
    header, nonce, body = raw[:HEADER_BYTES], raw[HEADER_BYTES:_BODY_START], raw[_BODY_START:]
    try:
        plain = _decoder.decode(key.decrypt(nonce, body, _associated(header, account, dataset)))
    except (InvalidTag, msgspec.MsgspecError, ValueError):
        return None
    identities = None if plain.i is UNSET else plain.i
    return TokenPayload(plain.u, identities, plain.t, int.from_bytes(header[1:], "big"))


def truncate_to_limit(identities: dict[str, str], default_type: str) -> tuple[dict[str, str], bool]:
    """The identities that fit into one token, and whether others were left out (warning `token_full`).

    The oldest are left out first, the default identity (`user.id`) last.
    """
    surplus = len(_encoder.encode(identities)) - _IDENTITIES_BYTES_MAX
    if surplus <= 0:
        return identities, False
    kept = dict(identities)
    for type_id in sorted(identities, key=lambda type_id: type_id == default_type):
        if surplus <= 0:
            break
        # Braces around the pair count for its comma and one more.
        surplus -= len(_encoder.encode({type_id: kept.pop(type_id)})) - 1
    return kept, True


def _header(key_id: int) -> bytes:
    return VERSION + key_id.to_bytes(2, "big")


def _associated(header: bytes, account: str, dataset: str) -> bytes:
    # No handle has a slash, so this is unambiguous. A lone surrogate must not raise.
    return header + f"{account}/{dataset}".encode("utf-8", "surrogatepass")


def _decoded(text: str) -> bytes:
    """The bytes of a text in its canonical form; empty for every other text."""
    if len(text) > TOKEN_CHARACTERS_MAX:
        return b""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
    # The decoder also accepts blanks, padding, the other alphabet and spare bits of the last character.
    return raw if urlsafe_b64encode(raw).rstrip(b"=").decode() == text else b""
