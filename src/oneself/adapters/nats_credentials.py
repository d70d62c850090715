"""Reads credentials files of NATS: the signed token (JWT) of a user, and the seed of the user's key.

    -----BEGIN NATS USER JWT-----        sent to the server
    -----BEGIN USER NKEY SEED-----       signs what the server sends; it never leaves this process

A seed is base32 of: two bytes with the kind of key, the 32 bytes of an Ed25519 key, and a CRC-16.
Source: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneself.errors import BrokerFailed

_JWT = re.compile(r"-----BEGIN NATS USER JWT-----\s+(\S+)")
_SEED = re.compile(r"-----BEGIN USER NKEY SEED-----\s+(\S+)")
_KEY_BYTES = 32


class NatsCredentials(msgspec.Struct, frozen=True):
    """What a connection is opened with. `options`: of the client library."""

    options: dict[str, Any] = {}


def read_credentials(path: Path) -> NatsCredentials:
    """The credentials in a file. Raises BrokerFailed."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        sentence = f"The file of ONESELF_NATS_CREDENTIALS cannot be read: {type(error).__name__}."
        raise BrokerFailed(sentence, "credentials") from error
    jwt, seed = _JWT.search(text), _SEED.search(text)
    key = None if seed is None else signing_key(seed[1])
    if jwt is None or key is None:
        sentence = "The file of ONESELF_NATS_CREDENTIALS has no JWT of a user, or no valid seed."
        raise BrokerFailed(sentence, "credentials")
    token = jwt[1].encode()

    def sign(nonce: str) -> bytes:
        return base64.b64encode(key.sign(nonce.encode()))

    # The library asks for a signature only if it knows of credentials; the user stands for them.
    return NatsCredentials({"signature_cb": sign, "user_jwt_cb": lambda: token, "user": "jwt"})


def signing_key(seed: str) -> Ed25519PrivateKey | None:
    """The key of a seed such as SUAP…; None: it is none of a user."""
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except binascii.Error:
        return None
    content, checksum = raw[:-2], raw[-2:]
    is_seed = seed.startswith("SU") and len(content) == _KEY_BYTES + 2
    if not is_seed or binascii.crc_hqx(content, 0).to_bytes(2, "little") != checksum:
        return None
    return Ed25519PrivateKey.from_private_bytes(content[2:])
