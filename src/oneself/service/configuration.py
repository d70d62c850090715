"""Configurations: what observations are judged by, one versioned value per dataset (DESIGN §7).

Law of this module: a change is decided on the current version while no observation is judged, and is an
observation itself: it goes to the log, and the next version to `config`, in one transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from oneself.core.config.changes import ConfigChange
from oneself.core.config.configuration import Config, configure, required_reindexing
from oneself.core.config.stored import ConfigDocument, from_document, to_document
from oneself.service.coalesce import Coalesced
from oneself.store import rows
from oneself.store.database import Database
from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.database import Connection

_sql = Queries("config.sql")
_log = Queries("log.sql")
_rules = Queries("rules.sql")
_documents = msgspec.json.Decoder(ConfigDocument)


class Configurations:
    """Finds and changes configurations, remembering the last version of each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[int, Config] = {}
        self._versions: dict[int, Coalesced[int]] = {}

    async def current(self, dataset_id: int) -> Config:
        """The configuration as of now, in every process."""
        shared = self._versions.get(dataset_id)
        if shared is None:
            find = partial(self._database.fetchval, _sql.find_version, dataset_id)
            shared = self._versions[dataset_id] = Coalesced(find)
        version = await shared()
        known = self._known.get(dataset_id)
        if known is not None and known.version == version:
            return known
        async with self._database.connection() as connection:
            return await self.load(connection, dataset_id)

    def known(self, dataset_id: int) -> Config | None:
        """The version last seen here, without asking."""
        return self._known.get(dataset_id)

    async def load(self, connection: Connection, dataset_id: int) -> Config:
        """Read the configuration and remember it."""
        config = read(await connection.fetchval(_sql.find_config, dataset_id))
        self._known[dataset_id] = config
        return config

    async def change(
        self,
        dataset_id: int,
        decide: Callable[[Config], ConfigChange | None],
        *,
        face: str = "cds",
        also: Callable[[Connection, Config], Awaitable[None]] | None = None,
    ) -> Config:
        """Change the configuration by what `decide` returns, given the current one; None changes nothing.

        `decide` raises to refuse. `also` writes what has to be there together with the new configuration.
        Waits for the batches that are being judged; they are short.
        """
        async with self._database.transaction() as connection:
            changed = await self.change_in(connection, dataset_id, decide, face=face, also=also)
        self._known[dataset_id] = changed
        return changed

    async def change_in(
        self,
        connection: Connection,
        dataset_id: int,
        decide: Callable[[Config], ConfigChange | None],
        *,
        face: str = "cds",
        also: Callable[[Connection, Config], Awaitable[None]] | None = None,
    ) -> Config:
        """As `change`, in a transaction of the caller's, who changes each dataset at most once in it and
        takes the datasets of an organisation in the order of their ids."""
        await connection.execute(_sql.lock_config, rows.config_hash(dataset_id))
        config = await self.load(connection, dataset_id)
        change = decide(config)
        if change is None:
            return config
        seq = await connection.fetchval(_sql.find_change_seq, dataset_id)
        changed = configure(config, change, seq)
        await _record(connection, dataset_id, change, changed, face)
        for work_id in required_reindexing(config, changed):
            await connection.execute(_rules.begin_indexing, dataset_id, work_id)
        if also is not None:
            await also(connection, changed)
        return changed


async def _record(
    connection: Connection, dataset_id: int, change: ConfigChange, changed: Config, face: str
) -> None:
    content = {"face": face, "change": msgspec.to_builtins(change)}
    await connection.execute(
        _log.put_change, dataset_id, changed.seq, uuid.uuid4(), changed.version, rows.encode_json(content)
    )
    await put(connection, dataset_id, changed)


def read(document: str | None) -> Config:
    """A configuration as it is stored; the empty one where none was ever put."""
    return Config() if document is None else from_document(_documents.decode(document))


async def put(connection: Connection, dataset_id: int, config: Config) -> None:
    """Write a configuration as the current one."""
    # Read once more: a default is left out if it is the very object, which a word from outside is not yet.
    document = rows.encode_json(_documents.decode(rows.encode_json(to_document(config))))
    await connection.execute(_sql.put_config, dataset_id, config.version, config.seq, document)
