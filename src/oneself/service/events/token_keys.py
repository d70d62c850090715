"""The keys an organisation seals persisted tokens with (wire/interactions §7).

    waiting ── SPREAD_S ──> active ── a newer key becomes active ──> retired ── destroy ──> gone

Law of this module: every key opens tokens for as long as it is kept, exactly one seals. A key seals only
after every process has read it: rings are read again every REREAD_S, and a new key waits for SPREAD_S. The
database's clock tells who waits (view `token_key_state`). Secrets are stored sealed and leave this process
never.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from oneself.errors import Conflict, Contended, SettingsError
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.service.events.persisted_token import KEY_ID_MAX, SECRET_BYTES, TokenKey, TokenKeyRing
from oneself.service.refreshed import Refreshed
from oneself.store.directory import Directory

if TYPE_CHECKING:
    from oneself.store.database import Database
    from oneself.store.tables.token_key import TokenKeyRow, TokenKeyTable


REREAD_S = 10.0
#: Six times REREAD_S: a process that reads late, or a slow database, still knows a key before it seals.
SPREAD_S = 60
#: With tokens that live for two years and a key every month there are 25.
KEYS_MAX = 100
#: After so long a key should be followed by another (wire/interactions §7).
ROTATE_AFTER_DAYS = 30
FIRST_KEY_ID = 1
ATTEMPTS_MAX = 5

State = Literal["waiting", "active", "retired"]
SEALS_FIRST: tuple[State, ...] = ("active", "retired", "waiting")


class KeptKey(msgspec.Struct, frozen=True):
    """A key as it is shown. `active_from`: when it began or will begin to seal; instants in µs since 1970."""

    key_id: int
    state: State
    created_at: int
    active_from: int


class TokenKeys:
    """Finds key rings; makes, rotates and destroys keys."""

    def __init__(self, database: Database, vault: SecretBox, *, reread_s: float = REREAD_S) -> None:
        self._directory = Directory(database)
        self._vault = vault
        self._reread_s = reread_s
        self._rings: dict[int, Refreshed[TokenKeyRing]] = {}

    async def ring(self, dataset_ref: DatasetRef) -> TokenKeyRing:
        """The organisation's ring, at most REREAD_S old; a first key is made if there is none.

        Keys that cannot be opened are left out. Raises SettingsError when none can be opened.
        """
        ring = self._rings.get(dataset_ref.org_id)
        if ring is None:
            ring = self._rings[dataset_ref.org_id] = Refreshed(
                partial(self._read, dataset_ref), self._reread_s
            )
        return await ring()

    async def list(self, dataset_ref: DatasetRef) -> list[KeptKey]:
        """Every key, the one that becomes or became active last first. Makes none."""
        return [_kept(row) for row in await self._table(dataset_ref).list()]

    async def rotate(self, dataset_ref: DatasetRef) -> KeptKey:
        """Make a new key, which opens at once and seals from SPREAD_S on; until then the active one does.

        Raises Conflict when there are KEYS_MAX keys, Contended after ATTEMPTS_MAX races for an id.
        """
        await self._put_first(dataset_ref)
        for _ in range(ATTEMPTS_MAX):
            key_id = free_id(await self.list(dataset_ref))
            secret = self._new_secret(dataset_ref, key_id)
            if row := await self._table(dataset_ref).put(key_id, secret, SPREAD_S):
                self._forget(dataset_ref)
                return _kept(row)
        raise Contended("Too many keys are being made at once.")

    async def destroy(self, dataset_ref: DatasetRef, key_id: int) -> bool:
        """Destroy a key: what it sealed opens nowhere after REREAD_S. False if there was no such key.

        Raises Conflict for the active one.
        """
        if not 0 < key_id <= KEY_ID_MAX:
            return False
        if await self._table(dataset_ref).delete(key_id):
            self._forget(dataset_ref)
            return True
        if any(key.key_id == key_id for key in await self.list(dataset_ref)):
            raise Conflict("The active key cannot be destroyed: rotate first.", code="active")
        return False

    async def _read(self, dataset_ref: DatasetRef) -> TokenKeyRing:
        rows = await self._table(dataset_ref).list()
        if not rows:
            await self._put_first(dataset_ref)
            rows = await self._table(dataset_ref).list()
        return self._opened(dataset_ref, rows)

    def _forget(self, dataset_ref: DatasetRef) -> None:
        """What this process changed, it knows at once."""
        self._rings.pop(dataset_ref.org_id, None)

    def _table(self, dataset_ref: DatasetRef) -> TokenKeyTable:
        return self._directory.of(dataset_ref.org_id).token_keys

    async def _put_first(self, dataset_ref: DatasetRef) -> None:
        secret = self._new_secret(dataset_ref, FIRST_KEY_ID)
        await self._table(dataset_ref).put_first(FIRST_KEY_ID, secret)

    def _new_secret(self, dataset_ref: DatasetRef, key_id: int) -> bytes:
        return self._vault.seal(os.urandom(SECRET_BYTES), purpose(dataset_ref.org_id, key_id))

    def _opened(self, dataset_ref: DatasetRef, rows: Sequence[TokenKeyRow]) -> TokenKeyRing:
        secrets = {
            row.key_id: secret for row in rows if (secret := self._unsealed(dataset_ref, row)) is not None
        }
        if not secrets:
            raise SettingsError(
                f"No token key of {dataset_ref.handle} can be opened with this ONESELF_SECRET_KEY; "
                "see `oneself doctor`."
            )
        # The active key seals; if it cannot be opened, the newest that every process has read.
        opened = [row for row in rows if row.key_id in secrets]
        sealing = min(opened, key=lambda row: SEALS_FIRST.index(row.state)).key_id
        return TokenKeyRing(TokenKey(key_id, secret, key_id == sealing) for key_id, secret in secrets.items())

    def _unsealed(self, dataset_ref: DatasetRef, row: TokenKeyRow) -> bytes | None:
        name = f"token key {row.key_id} of {dataset_ref.handle}"
        return self._vault.unseal_or_warn(row.secret_encrypted, purpose(dataset_ref.org_id, row.key_id), name)


def free_id(keys: Sequence[KeptKey]) -> int:
    """The id after the newest key's that no key has; after KEY_ID_MAX comes 1. Raises Conflict when full.

    Going round, an id is used again as late as can be, so that an old token names no young key.
    """
    if len(keys) >= KEYS_MAX:
        raise Conflict(f"There are {KEYS_MAX} keys; destroy the oldest first.", code="too_many")
    taken = {key.key_id for key in keys}
    key_id = max(keys, key=lambda key: key.created_at).key_id
    while key_id in taken:
        key_id = key_id % KEY_ID_MAX + 1
    return key_id


def purpose(org_id: int, key_id: int) -> str:
    """What a token key is sealed for. Bound to organisation and id: a row copied elsewhere does not open."""
    return f"token_key:{org_id}:{key_id}"


def _kept(row: TokenKeyRow) -> KeptKey:
    return KeptKey(row.key_id, row.state, row.created_at, row.active_from)
