"""What is kept secret, and how: one place for every hash, seal and random value of the directory.

    value                            kept as
    password, client secret          argon2id hash: slow on purpose, people choose them
    code, refresh token, session     SHA-256 digest: 256 random bits need no slowness
    private signing key              sealed with a key derived from the deployment's secret key
    who failed to sign in            keyed digest, so that the table of failures names nobody

Nothing here knows what a secret is for.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import time

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from oneself.errors import SettingsError

log = structlog.get_logger("oneself.service.crypto")

NONCE_BYTES = 12
TOKEN_BYTES = 32
SEAL_VERSION = b"\x01"
CHECK_LABEL = b"the secret key of this database"
# One argon2 run takes 64 MiB and a core for some tens of ms: more at a time than this only queue in memory.
HASHES_AT_ONCE = 4
# A machine asks for a token every few minutes; its secret need not be hashed anew each time.
REMEMBERED_S = 300.0
REMEMBERED_MAX = 4_096


class SecretBox:
    """Seals and signs with keys derived from the deployment's secret key."""

    def __init__(self, secret_key: str) -> None:
        self._seal = AESGCM(_derive(secret_key, b"oneself seal"))
        self._sign = _derive(secret_key, b"oneself sign")
        self._check = _derive(secret_key, b"oneself check")
        self._told: set[str] = set()

    @property
    def check_value(self) -> bytes:
        """What tells whether another process has the same secret key; it shows nothing of the key."""
        return hmac.digest(self._check, CHECK_LABEL, "sha256")

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Encrypt and authenticate; what is sealed for one purpose opens for no other."""
        nonce = os.urandom(NONCE_BYTES)
        return SEAL_VERSION + nonce + self._seal.encrypt(nonce, plain, purpose.encode())

    def unseal(self, sealed: bytes, purpose: str) -> bytes:
        """The plain bytes; raises SettingsError when they were sealed with another secret key."""
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._seal.decrypt(nonce, body, purpose.encode())
        except (InvalidTag, ValueError):
            raise SettingsError(
                "A stored key cannot be opened with this ONESELF_SECRET_KEY; `oneself doctor` lists them."
            ) from None

    def unseal_or_warn(self, sealed: bytes, purpose: str, name: str) -> bytes | None:
        """As `unseal`, but None when it cannot be opened; the log says so once for each `name`."""
        try:
            return self.unseal(sealed, purpose)
        except SettingsError as error:
            if name not in self._told:
                self._told.add(name)
                log.warning("stored_key_not_opened", key=name, cause=error.message)
            return None

    def keyed_digest(self, *parts: str) -> bytes:
        """A digest of `parts` that only this deployment can compute."""
        message = b"".join(len(part).to_bytes(8, "big") + part for part in (_bytes(p) for p in parts))
        return hmac.digest(self._sign, message, "sha256")


class Hasher:
    """argon2id off the event loop, a few at a time, remembering for a short while what was right."""

    def __init__(self) -> None:
        self._argon2 = PasswordHasher()
        self._turns = asyncio.Semaphore(HASHES_AT_ONCE)
        self._right: dict[bytes, float] = {}
        self._salt = os.urandom(16)
        self._nobody: str | None = None

    async def hash(self, secret: str) -> str:
        """The argon2id hash of a secret, with a salt of its own."""
        async with self._turns:
            return await asyncio.to_thread(self._argon2.hash, _bytes(secret))

    async def matches(self, hashed: str, secret: str) -> bool:
        """Whether `secret` is the one behind `hashed`. Takes its time either way."""
        async with self._turns:
            return await asyncio.to_thread(self._verify, hashed, secret)

    async def matches_nobody(self, secret: str) -> bool:
        """Take as long as `matches` takes, and say no: an unknown name must not answer faster."""
        if self._nobody is None:
            self._nobody = await self.hash(new_token())
        await self.matches(self._nobody, secret)
        return False

    async def matches_often(self, hashed: str, secret: str) -> bool:
        """As `matches`, for secrets of machines: a right one is remembered for REMEMBERED_S.

        Remembered is a salted digest of hash and secret; when the secret changes, so does the hash.
        """
        if self.remembers(hashed, secret):
            return True
        if not await self.matches(hashed, secret):
            return False
        if len(self._right) >= REMEMBERED_MAX:
            self._right.pop(next(iter(self._right)))
        self._right[self._memory(hashed, secret)] = time.monotonic() + REMEMBERED_S
        return True

    def remembers(self, hashed: str, secret: str) -> bool:
        """Whether this secret was found right a short while ago."""
        return self._right.get(self._memory(hashed, secret), 0.0) > time.monotonic()

    def _memory(self, hashed: str, secret: str) -> bytes:
        return hashlib.sha256(self._salt + hashed.encode() + b"\0" + _bytes(secret)).digest()

    def _verify(self, hashed: str, secret: str) -> bool:
        try:
            return self._argon2.verify(hashed, _bytes(secret))
        except (VerifyMismatchError, InvalidHashError):
            return False


def new_token() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def new_secret() -> str:
    """256 random bits as hexadecimal digits: a secret that people copy, and that no shell mistakes."""
    return secrets.token_hex(TOKEN_BYTES)


def digest(token: str) -> bytes:
    """What is stored of a random token."""
    return hashlib.sha256(_bytes(token)).digest()


def same(given: str, expected: str) -> bool:
    """Compare in constant time, whatever the lengths."""
    return hmac.compare_digest(digest(given), digest(expected))


def _derive(secret_key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(_bytes(secret_key))


def _bytes(text: str) -> bytes:
    # A lone surrogate cannot be encoded as UTF-8; it must be a wrong secret, not a crash.
    return text.encode("utf-8", "surrogatepass")
