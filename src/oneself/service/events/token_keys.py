"""The keys that encrypt the persisted tokens of an organisation.

    waiting ── SPREAD_S ──> active ── a newer key becomes active ──> retired ── destroy ──> deleted

Invariants: every stored key decrypts tokens; exactly one encrypts. A key encrypts only after every process
has read it: processes read the keys again every REREAD_S, and a new key waits for SPREAD_S. The clock of the
database decides which key waits (view `token_key_state`). Secrets are stored encrypted and never leave the
process.
Source: docs/wire/interactions.md §7.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from oneself.core.config.difference import SettingDifference
from oneself.errors import Conflict, SettingsError
from oneself.service.audited import put_audited
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.service.events.persisted_token import KEY_ID_MAX, SECRET_BYTES, TokenKey, TokenKeyRing
from oneself.service.refreshed import Refreshed
from oneself.store.directory import Directory

if TYPE_CHECKING:
    from oneself.store.database import Database
    from oneself.store.tables.token_key import TokenKeyRow, TokenKeyTable


REREAD_S = 10.0
#: Six times REREAD_S: a process that reads late still has a key before the key encrypts.
SPREAD_S = 60
#: With tokens that live for two years and a key every month there are 25.
KEYS_MAX = 100
#: Recommended lifetime of an active key (docs/wire/interactions.md §7).
ROTATE_AFTER_DAYS = 30
FIRST_KEY_ID = 1

State = Literal["waiting", "active", "retired"]
ENCRYPTION_ORDER: tuple[State, ...] = ("active", "retired", "waiting")


class TokenKeyState(msgspec.Struct, frozen=True):
    """The state of a key, without its secret. Instants in µs since 1970."""

    key_id: int
    state: State
    created_at: int
    #: When it began to encrypt, or will begin.
    active_from: int


class TokenKeys:
    """Finds key rings; creates, rotates and destroys keys."""

    def __init__(self, database: Database, secret_box: SecretBox, *, reread_s: float = REREAD_S) -> None:
        self._directory = Directory(database)
        self._secret_box = secret_box
        self._reread_s = reread_s
        self._key_rings: dict[int, Refreshed[TokenKeyRing]] = {}

    async def key_ring(self, dataset_ref: DatasetRef) -> TokenKeyRing:
        """The keys of the organisation, at most REREAD_S old; the first call creates the first key.

        Keys that cannot be decrypted are left out. Raises SettingsError when none can be decrypted.
        """
        key_ring = self._key_rings.get(dataset_ref.org_id)
        if key_ring is None:
            key_ring = self._key_rings[dataset_ref.org_id] = Refreshed(
                partial(self._read, dataset_ref), self._reread_s
            )
        return await key_ring()

    async def list(self, dataset_ref: DatasetRef) -> list[TokenKeyState]:
        """Every key, the one that became or becomes active last first. Creates none."""
        return [_key_state(row) for row in await self._table(dataset_ref).list()]

    async def rotate(self, dataset_ref: DatasetRef) -> TokenKeyState:
        """Create a key, which decrypts at once and encrypts after SPREAD_S; until then the active one does.

        Raises Conflict when there are KEYS_MAX keys.
        """
        await self._put_first(dataset_ref)
        async with self._directory.transaction() as transaction:
            # Locked before an id is chosen: no two rotations choose the same one.
            tables = await transaction.lock(dataset_ref.org_id)
            key_id = free_id([_key_state(row) for row in await tables.token_keys.list()])
            secret = self._new_secret(dataset_ref, key_id)
            row = await tables.token_keys.put(key_id, secret, SPREAD_S)
            await put_audited(
                tables, "token_key", [SettingDifference(f"token key {key_id}", "state", None, row.state)]
            )
        self._forget(dataset_ref)
        return _key_state(row)

    async def destroy(self, dataset_ref: DatasetRef, key_id: int) -> bool:
        """Destroy a key. Its tokens are void within REREAD_S. False if there is no such key.

        Raises Conflict for the active one.
        """
        if not 0 < key_id <= KEY_ID_MAX:
            return False
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            known = next((row for row in await tables.token_keys.list() if row.key_id == key_id), None)
            if known is None:
                return False
            if not await tables.token_keys.delete(key_id):
                raise Conflict("The active key cannot be destroyed: rotate first.", code="active")
            await put_audited(
                tables, "token_key", [SettingDifference(f"token key {key_id}", "state", known.state, None)]
            )
        self._forget(dataset_ref)
        return True

    async def _read(self, dataset_ref: DatasetRef) -> TokenKeyRing:
        rows = await self._table(dataset_ref).list()
        if not rows:
            await self._put_first(dataset_ref)
            rows = await self._table(dataset_ref).list()
        return self._key_ring_of(dataset_ref, rows)

    def _forget(self, dataset_ref: DatasetRef) -> None:
        """This process sees its own change at once."""
        self._key_rings.pop(dataset_ref.org_id, None)

    def _table(self, dataset_ref: DatasetRef) -> TokenKeyTable:
        return self._directory.of(dataset_ref.org_id).token_keys

    async def _put_first(self, dataset_ref: DatasetRef) -> None:
        secret = self._new_secret(dataset_ref, FIRST_KEY_ID)
        await self._table(dataset_ref).put_first(FIRST_KEY_ID, secret)

    def _new_secret(self, dataset_ref: DatasetRef, key_id: int) -> bytes:
        return self._secret_box.encrypt(os.urandom(SECRET_BYTES), purpose(dataset_ref.org_id, key_id))

    def _key_ring_of(self, dataset_ref: DatasetRef, rows: Sequence[TokenKeyRow]) -> TokenKeyRing:
        secrets = {
            row.key_id: secret for row in rows if (secret := self._decrypted(dataset_ref, row)) is not None
        }
        if not secrets:
            raise SettingsError(
                f"No token key of {dataset_ref.handle} can be decrypted with this ONESELF_SECRET_KEY; "
                "see `oneself doctor`."
            )
        # The active key encrypts; if it cannot be decrypted, the newest that every process has read.
        usable = [row for row in rows if row.key_id in secrets]
        encrypting = min(usable, key=lambda row: ENCRYPTION_ORDER.index(row.state)).key_id
        return TokenKeyRing(
            TokenKey(key_id, secret, key_id == encrypting) for key_id, secret in secrets.items()
        )

    def _decrypted(self, dataset_ref: DatasetRef, row: TokenKeyRow) -> bytes | None:
        name = f"token key {row.key_id} of {dataset_ref.handle}"
        return self._secret_box.decrypt_or_warn(
            row.secret_encrypted, purpose(dataset_ref.org_id, row.key_id), name
        )


def free_id(keys: Sequence[TokenKeyState]) -> int:
    """The next unused id after the newest key's; 1 follows KEY_ID_MAX. Raises Conflict when there is none.

    Ids are reused as late as possible, so that an old token does not name a new key.
    """
    if len(keys) >= KEYS_MAX:
        raise Conflict(f"There are {KEYS_MAX} keys; destroy the oldest first.", code="too_many")
    used = {key.key_id for key in keys}
    key_id = max(keys, key=lambda key: key.created_at).key_id
    while key_id in used:
        key_id = key_id % KEY_ID_MAX + 1
    return key_id


def purpose(org_id: int, key_id: int) -> str:
    """What binds an encrypted key to its organisation and id: copied elsewhere, it cannot be decrypted."""
    return f"token_key:{org_id}:{key_id}"


def _key_state(row: TokenKeyRow) -> TokenKeyState:
    return TokenKeyState(row.key_id, row.state, row.created_at, row.active_from)
