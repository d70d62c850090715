"""The keys an organisation signs its tokens with.

Invariants: one key per organisation is current. A retired key verifies until everything it signed has
expired, then it is not read any more. Private parts are stored encrypted and never leave this process. A key
id never gets another key.

Verifying needs public keys alone. A private key is imported only where something is signed, once per key id.

RS256, because tokens are verified a thousand times more often than they are signed (60 µs against 126 µs for
ES256, measured with joserfc), and because it is what the customers' client libraries expect.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers, RSAPublicNumbers
from joserfc.jwk import RSAKey
from joserfc.util import base64_to_int

from oneself.core.config.difference import differences
from oneself.errors import SettingsError
from oneself.service.audited import put_audited
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.service.refreshed import Refreshed
from oneself.store.directory import Directory
from oneself.store.tables.signing_key import SigningKeyRow

ALGORITHM = "RS256"
KEY_BITS = 2048
# ID tokens and access tokens live an hour; a day leaves room for clocks and for logout with an old ID token.
RETIRED_KEY_LIFE_US = 24 * 3600 * 1_000_000
# How long another process may still sign with a key that was retired here.
REREAD_S = 30.0
# Invented key ids cause a read no more often than this.
UNKNOWN_KEY_REREAD_S = 1.0

#: Length in bits, parameters of the JSON Web Key → a new private key.
GenerateKey = Callable[[int, Any], RSAKey]


class SigningKeyRing(msgspec.Struct, frozen=True):
    """The keys of one organisation by key id, the newest first. The newest that can be opened signs."""

    #: The private parts, as they are stored.
    encrypted: dict[str, bytes]
    #: The keys that verify.
    public: dict[str, RSAKey]

    @property
    def current_id(self) -> str:
        """The newest key's id."""
        return next(iter(self.encrypted))

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set for other services to verify with."""
        return {"keys": [key.as_dict(private=False) for key in self.public.values()]}


class _CachedKeys:
    """The keys of one organisation in this process."""

    def __init__(self, key_ring: Refreshed[SigningKeyRing]) -> None:
        self.key_ring = key_ring
        self.public: dict[str, RSAKey] = {}
        #: The private key that was imported last.
        self.signing: RSAKey | None = None


class SigningKeys:
    """Finds the keys of organisations, makes and rotates keys."""

    def __init__(
        self,
        directory: Directory,
        secret_box: SecretBox,
        *,
        reread_s: float = REREAD_S,
        unknown_key_reread_s: float = UNKNOWN_KEY_REREAD_S,
        generate_key: GenerateKey = RSAKey.generate_key,
    ) -> None:
        self._directory = directory
        self._secret_box = secret_box
        self._reread_s = reread_s
        self._unknown_key_reread_s = unknown_key_reread_s
        self._generate_key = generate_key
        self._cached: dict[int, _CachedKeys] = {}

    async def key_ring(self, dataset_ref: DatasetRef) -> SigningKeyRing:
        """The organisation's public keys, at most `reread_s` old; a first key is made if there is none."""
        return await self._at(dataset_ref).key_ring()

    async def key_ring_with(self, dataset_ref: DatasetRef, key_id: str) -> SigningKeyRing:
        """The organisation's public keys, read again if `key_id` is not among them.

        Another process may have rotated the key. They are read at most every `unknown_key_reread_s`.
        """
        cached = self._at(dataset_ref)
        key_ring = await cached.key_ring()
        if key_id not in key_ring.public and cached.key_ring.age_s > self._unknown_key_reread_s:
            key_ring = await cached.key_ring.newest()
        return key_ring

    async def signing_key(self, dataset_ref: DatasetRef) -> RSAKey:
        """The private key that signs now: the current one; if it cannot be decrypted, the newest that can.

        Raises SettingsError if none can be decrypted.
        """
        cached = self._at(dataset_ref)
        key_ring = await cached.key_ring()
        if cached.signing is None or cached.signing.kid != key_ring.current_id:
            key_id, private = self._decrypt_newest(dataset_ref, key_ring)
            if cached.signing is None or cached.signing.kid != key_id:
                cached.signing = _import_private(private)
        return cached.signing

    async def rotate(self, dataset_ref: DatasetRef) -> str:
        """Make a new current key and return its id.

        Tokens that older keys signed stay valid until they expire.
        """
        row = await self._new_key(dataset_ref)
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            keys, now = tables.signing_keys, time.time_ns() // 1000
            former = next((key.key_id for key in await keys.list(now) if key.retired_at is None), None)
            await keys.retire(now)
            await keys.put(row, ALGORITHM, now)
            changed = differences("signing key", {"key_id": former}, {"key_id": row.key_id})
            await put_audited(tables, "signing_key", changed)
        await self._at(dataset_ref).key_ring.newest()
        return row.key_id

    def _at(self, dataset_ref: DatasetRef) -> _CachedKeys:
        cached = self._cached.get(dataset_ref.org_id)
        if cached is None:
            key_ring = Refreshed(partial(self._read, dataset_ref), self._reread_s)
            cached = self._cached[dataset_ref.org_id] = _CachedKeys(key_ring)
        return cached

    async def _read(self, dataset_ref: DatasetRef) -> SigningKeyRing:
        now = time.time_ns() // 1000
        keys = self._directory.of(dataset_ref.org_id).signing_keys
        rows = await keys.list(now - RETIRED_KEY_LIFE_US)
        if not rows or rows[0].retired_at is not None:
            await keys.put(await self._new_key(dataset_ref), ALGORITHM, now)
            rows = await keys.list(now - RETIRED_KEY_LIFE_US)
        cached = self._at(dataset_ref)
        cached.public = await _public_keys(rows, cached.public)
        return SigningKeyRing({row.key_id: row.private_encrypted for row in rows}, cached.public)

    def _decrypt_newest(self, dataset_ref: DatasetRef, key_ring: SigningKeyRing) -> tuple[str, bytes]:
        """Id and private part of the newest key that can be decrypted. Raises SettingsError if none can."""
        for key_id, encrypted in key_ring.encrypted.items():
            name = f"signing key {key_id} of {dataset_ref.handle}"
            private = self._secret_box.decrypt_or_warn(encrypted, purpose(dataset_ref.org_id), name)
            if private is not None:
                return key_id, private
        raise SettingsError(
            f"No signing key of {dataset_ref.handle} can be opened with this ONESELF_SECRET_KEY; "
            "see `oneself doctor`."
        )

    async def _new_key(self, dataset_ref: DatasetRef) -> SigningKeyRow:
        key_id = uuid.uuid4().hex
        parameters: Any = {"kid": key_id, "use": "sig", "alg": ALGORITHM}
        key = await asyncio.to_thread(self._generate_key, KEY_BITS, parameters)
        private = msgspec.json.encode(key.as_dict(private=True))
        encrypted = self._secret_box.encrypt(private, purpose(dataset_ref.org_id))
        return SigningKeyRow(key_id, key.as_dict(private=False), encrypted)


async def _public_keys(rows: Sequence[SigningKeyRow], known: dict[str, RSAKey]) -> dict[str, RSAKey]:
    """The public keys of these rows by key id; imports only those that are not known yet."""
    unknown = {row.key_id: row.public_jwk for row in rows if row.key_id not in known}
    imported = await asyncio.to_thread(_import_public, unknown) if unknown else {}
    return {row.key_id: known.get(row.key_id) or imported[row.key_id] for row in rows}


def _import_private(private: bytes) -> RSAKey:
    """Import a key that `_new_key` made, in less than a millisecond.

    The test for primes (30 to 70 ms) is left out: the encryption shows that nobody changed the key.
    """
    jwk = msgspec.json.decode(private, type=dict[str, Any])
    d, p, q, dp, dq, qi, n, e = (
        base64_to_int(jwk[name]) for name in ("d", "p", "q", "dp", "dq", "qi", "n", "e")
    )
    numbers = RSAPrivateNumbers(p, q, d, dp, dq, qi, RSAPublicNumbers(e, n))
    parameters: Any = {name: jwk[name] for name in ("kid", "use", "alg")}
    return RSAKey.import_key(numbers.private_key(unsafe_skip_rsa_key_validation=True), parameters)


def _import_public(documents: dict[str, Any]) -> dict[str, RSAKey]:
    return {key_id: RSAKey.import_key(document) for key_id, document in documents.items()}


def purpose(org_id: int) -> str:
    """The purpose a signing key is encrypted for:

    a row copied to another organisation cannot be decrypted.
    """
    return f"signing_key:{org_id}"
