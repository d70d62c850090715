"""How secrets are stored: every hash, encryption and random value of the directory.

    value                            stored as
    password, client secret          argon2id hash: slow on purpose, because people choose them
    code, refresh token, session     SHA-256 digest: 256 random bits need no slow hash
    write key                        the same
    private signing key              encrypted with a key derived from the deployment's secret key
    failed sign-ins                  keyed digest, so that the table contains no user names

Invariants: nothing here knows the use of a secret.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Sequence

import structlog
from argon2 import Parameters, PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from argon2.low_level import hash_secret
from argon2.profiles import RFC_9106_LOW_MEMORY
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from oneself.errors import SettingsError

log = structlog.get_logger("oneself.service.crypto")

NONCE_BYTES = 12
TOKEN_BYTES = 32
#: 32 letters and digits that nobody takes for one another.
_UNMISTAKABLE = "0123456789abcdefghjkmnpqrstvwxyz"
ENCRYPTION_VERSION = b"\x01"
CHECK_LABEL = b"the secret key of this database"
HASH_PARAMETERS = RFC_9106_LOW_MEMORY
# One argon2 run takes 64 MiB and a core for some tens of ms: more at a time than this only queue in memory.
HASHES_AT_ONCE = 4
# A machine requests a token every few minutes; its secret is not hashed again each time.
CACHED_S = 300.0
CACHED_MAX = 4_096


class SecretBox:
    """Encrypts and signs with keys derived from the deployment's secret key."""

    def __init__(self, secret_key: str) -> None:
        self._cipher = AESGCM(_derive(secret_key, b"oneself seal"))
        self._sign = _derive(secret_key, b"oneself sign")
        self._check = _derive(secret_key, b"oneself check")
        self._warned: set[str] = set()

    @property
    def check_value(self) -> bytes:
        """Equal for processes with the same secret key; it reveals nothing about the key."""
        return hmac.digest(self._check, CHECK_LABEL, "sha256")

    def encrypt(self, plain: bytes, purpose: str) -> bytes:
        """Encrypt and authenticate, for one purpose; `decrypt` needs the same purpose."""
        nonce = os.urandom(NONCE_BYTES)
        return ENCRYPTION_VERSION + nonce + self._cipher.encrypt(nonce, plain, purpose.encode())

    def decrypt(self, encrypted: bytes, purpose: str) -> bytes:
        """The plain bytes. Raises SettingsError if they were encrypted with another secret key."""
        nonce, body = encrypted[1 : 1 + NONCE_BYTES], encrypted[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, body, purpose.encode())
        except (InvalidTag, ValueError):
            raise SettingsError(
                "A stored key cannot be opened with this ONESELF_SECRET_KEY; `oneself doctor` lists them."
            ) from None

    def decrypt_or_warn(self, encrypted: bytes, purpose: str, name: str) -> bytes | None:
        """As `decrypt`, but None instead of the error, which is logged once for each `name`."""
        try:
            return self.decrypt(encrypted, purpose)
        except SettingsError as error:
            if name not in self._warned:
                self._warned.add(name)
                log.warning("stored_key_not_opened", key=name, cause=error.message)
            return None

    def keyed_digest(self, *parts: str) -> bytes:
        """A digest of `parts` that only this deployment can compute."""
        message = b"".join(len(part).to_bytes(8, "big") + part for part in (_bytes(p) for p in parts))
        return hmac.digest(self._sign, message, "sha256")


class Hasher:
    """argon2id off the event loop, a few at a time, with a short cache of correct secrets."""

    def __init__(self, parameters: Parameters = HASH_PARAMETERS) -> None:
        self._argon2 = PasswordHasher.from_parameters(parameters)
        self._turns = asyncio.Semaphore(HASHES_AT_ONCE)
        self._right: dict[bytes, float] = {}
        self._salt = os.urandom(16)
        self._decoy_hash: str | None = None

    async def hash(self, secret: str, salt: bytes | None = None) -> str:
        """The argon2id hash of a secret. `salt`: 16 bytes, of several secrets; None: a new one."""
        async with self._turns:
            return await asyncio.to_thread(self._argon2.hash, _bytes(secret), salt=salt)

    async def find_match(self, hashes: Sequence[str], secret: str) -> int | None:
        """Which of some hashes, at least one, is that of a secret; None: no one is.

        Hashes with the same salt and parameters take together as long as one.
        """
        async with self._turns:
            return await asyncio.to_thread(self._find, hashes, secret)

    async def hashes_like(self, hashes: Sequence[str], secret: str) -> list[str]:
        """The hash of a secret with the parameters and the salt of each of some hashes."""
        async with self._turns:
            return await asyncio.to_thread(lambda: [_hash_like(hashed, secret) for hashed in hashes])

    async def matches(self, hashed: str, secret: str) -> bool:
        """Whether `hashed` is the hash of `secret`. Takes equally long either way."""
        async with self._turns:
            return await asyncio.to_thread(self._verify, hashed, secret)

    async def reject_slowly(self, secret: str) -> bool:
        """False, after as much time as `matches` takes, so that an unknown name does not answer faster."""
        if self._decoy_hash is None:
            self._decoy_hash = await self.hash(new_token())
        await self.matches(self._decoy_hash, secret)
        return False

    async def matches_often(self, hashed: str, secret: str) -> bool:
        """As `matches`, for secrets of machines: a correct one is cached for CACHED_S.

        The cache holds a salted digest of hash and secret; if the secret changes, so does the hash.
        """
        if self.is_cached(hashed, secret):
            return True
        if not await self.matches(hashed, secret):
            return False
        if len(self._right) >= CACHED_MAX:
            self._right.pop(next(iter(self._right)))
        self._right[self._memory(hashed, secret)] = time.monotonic() + CACHED_S
        return True

    def is_cached(self, hashed: str, secret: str) -> bool:
        """Whether this secret was correct within the last CACHED_S."""
        return self._right.get(self._memory(hashed, secret), 0.0) > time.monotonic()

    def _memory(self, hashed: str, secret: str) -> bytes:
        return hashlib.sha256(self._salt + hashed.encode() + b"\0" + _bytes(secret)).digest()

    def _find(self, hashes: Sequence[str], secret: str) -> int | None:
        like = {_salted(hashed): hashed for hashed in hashes}
        computed = {salted: _hash_like(hashed, secret) for salted, hashed in like.items()}
        matching = [hmac.compare_digest(computed[_salted(hashed)], hashed) for hashed in hashes]
        return next((number for number, is_match in enumerate(matching) if is_match), None)

    def _verify(self, hashed: str, secret: str) -> bool:
        try:
            return self._argon2.verify(hashed, _bytes(secret))
        except (VerifyMismatchError, InvalidHashError):
            return False


def _salted(hashed: str) -> str:
    """The parameters and the salt of a hash."""
    return hashed.rpartition("$")[0]


def _hash_like(hashed: str, secret: str) -> str:
    """The hash of a secret with the salt and the parameters of another one; none is like a damaged one."""
    try:
        parameters = extract_parameters(hashed)
    except InvalidHashError:
        return ""
    salt = _salted(hashed).rpartition("$")[2]
    found = hash_secret(
        _bytes(secret),
        base64.b64decode(salt + "=" * (-len(salt) % 4)),
        time_cost=parameters.time_cost,
        memory_cost=parameters.memory_cost,
        parallelism=parameters.parallelism,
        hash_len=parameters.hash_len,
        type=parameters.type,
        version=parameters.version,
    )
    return found.decode()


def new_token() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def new_secret() -> str:
    """256 random bits as hexadecimal digits: a secret that people can copy into any shell."""
    return secrets.token_hex(TOKEN_BYTES)


def new_password() -> str:
    """100 random bits as five groups of letters and digits: a password that people can type and read out."""
    return "-".join("".join(secrets.choice(_UNMISTAKABLE) for _ in range(4)) for _ in range(5))


def digest(token: str) -> bytes:
    """The stored form of a random token."""
    return hashlib.sha256(_bytes(token)).digest()


def same(given: str, expected: str) -> bool:
    """Compare in constant time, whatever the lengths."""
    return hmac.compare_digest(digest(given), digest(expected))


def _derive(secret_key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(_bytes(secret_key))


def _bytes(text: str) -> bytes:
    # A lone surrogate cannot be encoded as UTF-8; it must be a wrong secret, not a crash.
    return text.encode("utf-8", "surrogatepass")
