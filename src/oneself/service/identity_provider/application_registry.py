"""Which applications there are: the identity server's, or our own (wire/cds §7, §11, §13)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, Protocol

from oneself.adapters.identity_server.connection import Connection
from oneself.service.context import DatasetRef
from oneself.service.identity_provider.settings import IdentityServers
from oneself.service.schema.schemas import ApplicationDirectory

NAME_CHARS_MAX = 255


class ApplicationSource(Protocol):
    """Asks an identity server; raises IdentityServerFailed."""

    async def has_application(self, connection: Connection, org: str, client_id: str) -> bool: ...

    async def has_application_id(self, connection: Connection, org: str, application_id: str) -> bool: ...


class ApplicationRegistry:
    """Finds applications by what names them in application data: their client id, or their id."""

    def __init__(
        self,
        servers: IdentityServers,
        source: ApplicationSource,
        own: ApplicationDirectory,
        keys: Literal["client_id", "application_id"],
    ) -> None:
        self._servers = servers
        self._source = source
        self._own = own
        self._keys = keys

    async def find(self, dataset_ref: DatasetRef, name: str) -> object | None:
        """Something if there is such an application, our own ones included; raises IdentityServerFailed."""
        own = await self._own.find(dataset_ref, name)
        connection = await self._servers.find(dataset_ref)
        if own is not None or connection is None:
            return own
        if len(name) > NAME_CHARS_MAX or not name.isprintable() or name.split() != [name]:
            # A blank would make another filter of the one that asks for it.
            return None
        asks = (
            self._source.has_application_id
            if self._keys == "application_id"
            else self._source.has_application
        )
        return name if await asks(connection, dataset_ref.handle, name) else None

    async def unknown(self, dataset_ref: DatasetRef, named: Collection[str]) -> frozenset[str]:
        """Which of them do not exist; asked only where application ids are keys (wire/cds §11)."""
        if self._keys == "client_id":
            return frozenset()
        return frozenset([name for name in named if await self.find(dataset_ref, name) is None])
