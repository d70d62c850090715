"""Write keys: credentials that may send events to one dataset and do nothing else.

    kind      lives                     its events are
    server    on a customer's server    trusted as those of an application
    browser   in pages and apps         trusted as those without a key; only from its origins, if it lists any

Invariants: a key is returned once, when it is created; its digest is stored. A change of the keys is a change
of the dataset's configuration, so the audit log has it, and an event that was accepted by a deleted key is
rejected in every process: ingestion compares the version of the configuration. The keys of a dataset are
cached until `write_keys_version` rises, so an unknown key costs no query here.
Source: docs/wire/interactions.md §4.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast, get_args
from uuid import UUID

import msgspec

from oneself.core.config.changes import DropWriteKey, PutWriteKey
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.coalesce import Coalesced
from oneself.service.crypto import digest, new_secret
from oneself.service.lost_races import repeat
from oneself.service.schema.dataset_settings import ORIGINS_MAX, is_origin
from oneself.store.tables.write_key import WriteKeyRow
from oneself.store.transaction import Tables, Transaction

if TYPE_CHECKING:
    from oneself.core.config.configuration import Config
    from oneself.service.configuration import Configurations
    from oneself.service.context import Actor, DatasetRef
    from oneself.store.database import Database

WriteKeyKind = Literal["server", "browser"]
KINDS: tuple[WriteKeyKind, ...] = get_args(WriteKeyKind)
#: How a key begins: readers and secret scanners see what it is.
PREFIXES: Mapping[WriteKeyKind, str] = {"server": "osk_", "browser": "obk_"}
#: One for each site, app and back end, and two of each while it is replaced.
KEYS_MAX = 100
NAME_CHARACTERS_MAX = 100
HINT_CHARACTERS = 4
_KEY = re.compile(r"o[sb]k_[0-9a-f]{64}")


class WriteKey(msgspec.Struct, frozen=True):
    """A write key, without the key itself."""

    key_id: UUID
    kind: WriteKeyKind
    name: str
    #: Pages of these origins may use it; empty for any.
    allowed_origins: tuple[str, ...]
    #: The last characters of the key.
    hint: str
    #: In µs since 1970.
    created_at: int


class NewWriteKey(msgspec.Struct, frozen=True):
    """A write key to create."""

    kind: str
    name: str
    allowed_origins: Sequence[str] = ()


class _CachedWriteKeys(msgspec.Struct, frozen=True):
    """The keys of a dataset by digest, at least as new as a `write_keys_version`."""

    version: int
    keys: Mapping[bytes, WriteKey]


class WriteKeys:
    """Creates, lists, deletes and finds write keys."""

    def __init__(
        self, database: Database, configurations: Configurations, *, keys_max: int = KEYS_MAX
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._keys_max = keys_max
        self._cached: dict[int, _CachedWriteKeys] = {}
        self._reads: dict[int, Coalesced[list[WriteKeyRow]]] = {}

    async def create(self, dataset_ref: DatasetRef, new: NewWriteKey, actor: Actor) -> tuple[WriteKey, str]:
        """Create a key; returns it and, this once, its text.

        Raises InvalidInput with the field's name as code, Conflict when the dataset has KEYS_MAX keys,
        NotFound when it was deleted.
        """
        kind = check(new)
        text = PREFIXES[kind] + new_secret()
        row = WriteKeyRow(
            key_id=uuid.uuid4(),
            kind=kind,
            name=new.name,
            allowed_origins=tuple(new.allowed_origins),
            digest=digest(text),
            hint=text[-HINT_CHARACTERS:],
            created_at=time.time_ns() // 1000,
        )

        async def put(transaction: Transaction, _: Config) -> None:
            if await transaction.write_keys.count() >= self._keys_max:
                sentence = f"The dataset has {self._keys_max} write keys; delete one that is not used."
                raise Conflict(sentence, code="limit")
            if not await transaction.write_keys.put(row):
                raise NotFound(f"There is no dataset {dataset_ref.dataset!r} any more.")

        change = PutWriteKey(str(row.key_id), kind, row.name, tuple(row.allowed_origins))
        await self._configurations.change(
            dataset_ref.dataset_id,
            lambda _: change,
            interface=actor.interface,
            application=actor.application,
            also=put,
        )
        return _write_key(row), text

    async def list(self, dataset_ref: DatasetRef) -> list[WriteKey]:
        """Every key, in the order in which they were created."""
        rows = await Tables(self._database, dataset_ref.dataset_id).write_keys.list()
        return [_write_key(row) for row in rows]

    async def delete(self, dataset_ref: DatasetRef, key_id: UUID, actor: Actor) -> bool:
        """Delete a key; no event is accepted by it any more. False if the dataset has no such key."""

        async def act(transaction: Transaction) -> bool:
            await transaction.lock_config()
            if not await transaction.write_keys.delete(key_id):
                return False
            await self._configurations.change_in(
                transaction,
                lambda _: DropWriteKey(str(key_id)),
                interface=actor.interface,
                application=actor.application,
            )
            return True

        return await repeat(self._database, dataset_ref.dataset_id, act)

    async def find(self, dataset_ref: DatasetRef, text: str, config: Config) -> WriteKey | None:
        """The key of a dataset by its text, as of a configuration; None if the dataset had no such key.

        Reads the database only if the keys changed since they were read last.
        """
        if not config.write_keys_version or not _KEY.fullmatch(text):
            return None
        cached = self._cached.get(dataset_ref.dataset_id)
        if cached is None or cached.version < config.write_keys_version:
            cached = await self._read(dataset_ref.dataset_id, config.write_keys_version)
        return cached.keys.get(digest(text))

    async def _read(self, dataset_id: int, version: int) -> _CachedWriteKeys:
        """Read the keys, once for all who wait. The read begins after `version` was known."""
        read = self._reads.get(dataset_id)
        if read is None:
            table = Tables(self._database, dataset_id).write_keys
            read = self._reads[dataset_id] = Coalesced(table.list)
        found = _CachedWriteKeys(version, {row.digest: _write_key(row) for row in await read()})
        newest = self._cached.get(dataset_id)
        if newest is None or newest.version < version:
            self._cached[dataset_id] = found
        return found


def kind_of(text: str) -> WriteKeyKind | None:
    """The kind of key that a text is by its prefix, valid or not; None if it is something else."""
    return next((kind for kind, prefix in PREFIXES.items() if text.startswith(prefix)), None)


def check(new: NewWriteKey) -> WriteKeyKind:
    """The kind of a valid new key. Raises InvalidInput for the first invalid field."""
    if new.kind not in KINDS:
        raise InvalidInput("kind", f"kind is one of: {', '.join(KINDS)}.")
    if not new.name.strip() or len(new.name) > NAME_CHARACTERS_MAX or not new.name.isprintable():
        raise InvalidInput("name", f"name has 1 to {NAME_CHARACTERS_MAX} printable characters.")
    if new.kind == "server" and new.allowed_origins:
        raise InvalidInput(
            "allowed_origins", "A server key has no allowed_origins; only pages have an origin."
        )
    if len(new.allowed_origins) > ORIGINS_MAX:
        raise InvalidInput("allowed_origins", f"At most {ORIGINS_MAX} allowed_origins.")
    for origin in new.allowed_origins:
        if not is_origin(origin):
            example = "write it as https://shop.example or http://localhost:3000."
            raise InvalidInput("allowed_origins", f"{origin[:100]!r} is not an origin; {example}")
    return new.kind


def _write_key(row: WriteKeyRow) -> WriteKey:
    return WriteKey(
        key_id=row.key_id,
        kind=cast(WriteKeyKind, row.kind),
        name=row.name,
        allowed_origins=tuple(row.allowed_origins),
        hint=row.hint,
        created_at=row.created_at,
    )
