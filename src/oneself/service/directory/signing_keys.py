"""The keys an organisation signs its tokens with.

Law of this module: one key per organisation is current; a retired one verifies for as long as anything it
signed may live, then it is forgotten. Private parts are stored sealed and never leave this process.

Verifying needs public keys alone. Importing a private one takes 31 ms, so it happens only where something is
signed, once per key id, and in a thread; a key id never gets another key.

RS256, because tokens are verified a thousand times more often than they are signed (60 µs against 126 µs for
ES256, joserfc on the machine this was written on), and because it is what WSO2's clients expect.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from joserfc.jwk import RSAKey

from oneself.errors import SettingsError
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.service.refreshed import Refreshed
from oneself.store.directory import Directory

ALGORITHM = "RS256"
KEY_BITS = 2048
# ID tokens and access tokens live an hour; a day leaves room for clocks and for logout with an old ID token.
RETIRED_KEY_LIFE_US = 24 * 3600 * 1_000_000
# How long another process may go on signing with a key that was retired here.
REREAD_S = 30.0
# Made-up key ids cause a read no more often than this.
UNKNOWN_KEY_REREAD_S = 1.0


class SigningKeyRing(msgspec.Struct, frozen=True):
    """The keys of one organisation by key id, the newest first. The newest that can be opened signs."""

    #: The private parts, as they are stored.
    sealed: dict[str, bytes]
    #: What verifies.
    public: dict[str, RSAKey]

    @property
    def current_id(self) -> str:
        """The newest key's id."""
        return next(iter(self.sealed))

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set that others verify with."""
        return {"keys": [key.as_dict(private=False) for key in self.public.values()]}


class _Kept:
    """What this process holds of one organisation. `signing`: the private key that was imported last."""

    def __init__(self, ring: Refreshed[SigningKeyRing]) -> None:
        self.ring = ring
        self.public: dict[str, RSAKey] = {}
        self.signing: RSAKey | None = None
        self.importing = asyncio.Lock()


class SigningKeys:
    """Finds key rings, makes and rotates keys."""

    def __init__(self, directory: Directory, vault: SecretBox, *, reread_s: float = REREAD_S) -> None:
        self._directory = directory
        self._vault = vault
        self._reread_s = reread_s
        self._kept: dict[int, _Kept] = {}

    async def ring(self, dataset_ref: DatasetRef) -> SigningKeyRing:
        """The organisation's public keys, at most REREAD_S old; a first key is made if there is none."""
        return await self._at(dataset_ref).ring()

    async def ring_with(self, dataset_ref: DatasetRef, key_id: str) -> SigningKeyRing:
        """The organisation's public keys, read again if `key_id` is not among them (another process rotated),
        at most every UNKNOWN_KEY_REREAD_S."""
        kept = self._at(dataset_ref)
        ring = await kept.ring()
        if key_id not in ring.public and kept.ring.age_s > UNKNOWN_KEY_REREAD_S:
            ring = await kept.ring.newest()
        return ring

    async def signing_key(self, dataset_ref: DatasetRef) -> RSAKey:
        """The private key that signs now: the current one; if it cannot be opened, the newest that can.

        Raises SettingsError when none can be opened.
        """
        kept = self._at(dataset_ref)
        ring = await kept.ring()
        async with kept.importing:
            if kept.signing is None or kept.signing.kid != ring.current_id:
                key_id, private = self._opened(dataset_ref, ring)
                if kept.signing is None or kept.signing.kid != key_id:
                    kept.signing = await asyncio.to_thread(_import_private, private)
            return kept.signing

    async def rotate(self, dataset_ref: DatasetRef) -> str:
        """Make a new current key; its id. Tokens signed before stay good until they run out."""
        now = time.time_ns() // 1000
        row = await self._new_key(dataset_ref, now)
        await self._directory.replace_signing_key(dataset_ref.org_id, now, *row)
        await self._at(dataset_ref).ring.newest()
        return str(row[0])

    def _at(self, dataset_ref: DatasetRef) -> _Kept:
        kept = self._kept.get(dataset_ref.org_id)
        if kept is None:
            ring = Refreshed(partial(self._read, dataset_ref), self._reread_s)
            kept = self._kept[dataset_ref.org_id] = _Kept(ring)
        return kept

    async def _read(self, dataset_ref: DatasetRef) -> SigningKeyRing:
        now = time.time_ns() // 1000
        rows = await self._directory.list_signing_keys(dataset_ref.org_id, now - RETIRED_KEY_LIFE_US)
        if not rows or rows[0]["retired_at"] is not None:
            await self._directory.put_signing_key(dataset_ref.org_id, *await self._new_key(dataset_ref, now))
            rows = await self._directory.list_signing_keys(dataset_ref.org_id, now - RETIRED_KEY_LIFE_US)
        kept = self._at(dataset_ref)
        kept.public = await _public_keys(rows, kept.public)
        return SigningKeyRing({row["key_id"]: row["private_sealed"] for row in rows}, kept.public)

    def _opened(self, dataset_ref: DatasetRef, ring: SigningKeyRing) -> tuple[str, bytes]:
        """Id and private part of the newest key that can be opened. Raises SettingsError if none can."""
        for key_id, sealed in ring.sealed.items():
            name = f"signing key {key_id} of {dataset_ref.handle}"
            private = self._vault.unseal_or_warn(sealed, purpose(dataset_ref.org_id), name)
            if private is not None:
                return key_id, private
        raise SettingsError(
            f"No signing key of {dataset_ref.handle} can be opened with this ONESELF_SECRET_KEY; "
            "see `oneself doctor`."
        )

    async def _new_key(self, dataset_ref: DatasetRef, now: int) -> tuple[Any, ...]:
        key_id = uuid.uuid4().hex
        parameters: Any = {"kid": key_id, "use": "sig", "alg": ALGORITHM}
        key = await asyncio.to_thread(RSAKey.generate_key, KEY_BITS, parameters)
        private = msgspec.json.encode(key.as_dict(private=True))
        sealed = self._vault.seal(private, purpose(dataset_ref.org_id))
        return key_id, ALGORITHM, key.as_dict(private=False), sealed, now


async def _public_keys(rows: Sequence[Any], known: dict[str, RSAKey]) -> dict[str, RSAKey]:
    """The public keys of these rows by key id; only those that are not known yet are imported."""
    unknown = {row["key_id"]: row["public_jwk"] for row in rows if row["key_id"] not in known}
    imported = await asyncio.to_thread(_import_public, unknown) if unknown else {}
    return {row["key_id"]: known.get(row["key_id"]) or imported[row["key_id"]] for row in rows}


def _import_private(private: bytes) -> RSAKey:
    return RSAKey.import_key(msgspec.json.decode(private, type=dict[str, Any]))


def _import_public(documents: dict[str, Any]) -> dict[str, RSAKey]:
    return {key_id: RSAKey.import_key(document) for key_id, document in documents.items()}


def purpose(org_id: int) -> str:
    """What a signing key is sealed for. Bound to the organisation: a row copied to another does not open."""
    return f"signing_key:{org_id}"
