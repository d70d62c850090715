"""The keys an organisation signs its tokens with.

Law of this module: one key per organisation is current; a retired one verifies for as long as anything it
signed may live, then it is forgotten. Private parts are stored sealed and never leave this process.

RS256, because tokens are verified a thousand times more often than they are signed (60 µs against 126 µs for
ES256, joserfc on the machine this was written on), and because it is what WSO2's clients expect.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from joserfc.jwk import RSAKey

from oneself.errors import SettingsError
from oneself.service.organisations import Tenant
from oneself.service.secrets import Vault
from oneself.store.directory import Directory

ALGORITHM = "RS256"
KEY_BITS = 2048
# ID tokens and access tokens live an hour; a day leaves room for clocks and for logout with an old ID token.
RETIRED_KEY_LIFE_US = 24 * 3600 * 1_000_000
# How long another process may go on signing with a key that was retired here.
REREAD_S = 30.0


class KeyRing(msgspec.Struct, frozen=True):
    """The keys of one organisation: the one that signs, and all that verify, by key id."""

    current: RSAKey
    public: dict[str, RSAKey]
    read_at: float

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set that others verify with."""
        return {"keys": [key.as_dict(private=False) for key in self.public.values()]}


class SigningKeys:
    """Finds key rings, makes and rotates keys."""

    def __init__(self, directory: Directory, vault: Vault) -> None:
        self._directory = directory
        self._vault = vault
        self._rings: dict[int, KeyRing] = {}

    async def ring(self, tenant: Tenant) -> KeyRing:
        """The organisation's keys, at most REREAD_S old; a first key is made if there is none."""
        ring = self._rings.get(tenant.org_id)
        if ring is None or ring.read_at + REREAD_S < time.monotonic():
            ring = await self._read(tenant)
        return ring

    async def ring_with(self, tenant: Tenant, key_id: str) -> KeyRing:
        """The organisation's keys, read again if `key_id` is not among them (another process rotated).

        Reading again is limited to once a second, so that made-up key ids cost nothing.
        """
        ring = await self.ring(tenant)
        if key_id not in ring.public and ring.read_at + 1 < time.monotonic():
            ring = await self._read(tenant)
        return ring

    async def rotate(self, tenant: Tenant) -> str:
        """Make a new current key; its id. Tokens signed before stay good until they run out."""
        now = time.time_ns() // 1000
        row = await self._new_key(tenant, now)
        await self._directory.replace_signing_key(tenant.org_id, now, *row)
        await self._read(tenant)
        return str(row[0])

    async def _read(self, tenant: Tenant) -> KeyRing:
        now = time.time_ns() // 1000
        rows = await self._directory.list_signing_keys(tenant.org_id, now - RETIRED_KEY_LIFE_US)
        if not rows or rows[0]["retired_at"] is not None:
            await self._directory.put_signing_key(tenant.org_id, *await self._new_key(tenant, now))
            rows = await self._directory.list_signing_keys(tenant.org_id, now - RETIRED_KEY_LIFE_US)
        ring = KeyRing(
            current=self._signing(tenant, rows),
            public={row["key_id"]: RSAKey.import_key(row["public_jwk"]) for row in rows},
            read_at=time.monotonic(),
        )
        self._rings[tenant.org_id] = ring
        return ring

    async def _new_key(self, tenant: Tenant, now: int) -> tuple[Any, ...]:
        key_id = uuid.uuid4().hex
        parameters: Any = {"kid": key_id, "use": "sig", "alg": ALGORITHM}
        key = await asyncio.to_thread(RSAKey.generate_key, KEY_BITS, parameters)
        private = msgspec.json.encode(key.as_dict(private=True))
        sealed = self._vault.seal(private, purpose(tenant.org_id))
        return key_id, ALGORITHM, key.as_dict(private=False), sealed, now

    def _signing(self, tenant: Tenant, rows: Sequence[Any]) -> RSAKey:
        """The current key; if it cannot be opened, the newest that can. Raises SettingsError if none can."""
        for row in rows:
            name = f"signing key {row['key_id']} of {tenant.handle}"
            private = self._vault.unseal_or_warn(row["private_sealed"], purpose(tenant.org_id), name)
            if private is not None:
                return RSAKey.import_key(msgspec.json.decode(private, type=dict[str, Any]))
        raise SettingsError(
            f"No signing key of {tenant.handle} can be opened with this ONESELF_SECRET_KEY; "
            "see `oneself doctor`."
        )


def purpose(org_id: int) -> str:
    """What a signing key is sealed for. Bound to the organisation: a row copied to another does not open."""
    return f"signing_key:{org_id}"
