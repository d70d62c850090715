"""The table `config`: the current configuration of a dataset. Its history is in the log."""

from __future__ import annotations

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.config.stored import ConfigDocument, from_document, to_document
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("config")
_documents = msgspec.json.Decoder(ConfigDocument)
#: Members of sets in order, so that equal configurations have equal documents in every process.
_encode = msgspec.json.Encoder(order="deterministic").encode


class ConfigTable(Table):
    """The configuration of a dataset."""

    __slots__ = ()

    async def find_version(self) -> int:
        """The version of the configuration; 0 if none was ever put."""
        version: int = await self._executor.fetchval(_sql.find_version, self._dataset_id)
        return version

    async def find(self) -> Config:
        """The configuration; an empty one if none was ever put."""
        return read_config(await self._executor.fetchval(_sql.find, self._dataset_id))

    async def put(self, config: Config) -> None:
        """Replace the configuration."""
        # A round trip through the decoder: `omit_defaults` compares by identity, so a value that was decoded
        # elsewhere would be written although it equals the default.
        document = _encode(_documents.decode(_encode(to_document(config)))).decode()
        await self._executor.execute(_sql.put, self._dataset_id, config.version, config.seq, document)


def read_config(document: str | None) -> Config:
    """A configuration from its stored document; an empty one if there is none."""
    return Config() if document is None else from_document(_documents.decode(document))
