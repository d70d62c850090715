"""Finds applications: those of the embedded directory, and those of an identity server.

Source: docs/wire/cds.md §7, §11, §13.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, Protocol

from oneself.adapters.identity_server.connection import Connection
from oneself.service.context import DatasetRef
from oneself.service.identity_provider.settings import IdentityServers
from oneself.service.schema.schemas import ApplicationDirectory

NAME_CHARS_MAX = 255


class ApplicationSource(Protocol):
    """Looks applications up in an identity server; raises IdentityServerFailed."""

    async def has_application(self, connection: Connection, org: str, client_id: str) -> bool: ...

    async def has_application_id(self, connection: Connection, org: str, application_id: str) -> bool: ...


class ApplicationRegistry:
    """Finds applications by their key in application data: the client id, or the application id."""

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
        """A value if there is such an application, else None. Raises IdentityServerFailed."""
        own = await self._own.find(dataset_ref, name)
        connection = await self._servers.find(dataset_ref)
        if own is not None or connection is None:
            return own
        if len(name) > NAME_CHARS_MAX or not name.isprintable() or name.split() != [name]:
            # A blank would change the filter of the request.
            return None
        is_known = (
            self._source.has_application_id
            if self._keys == "application_id"
            else self._source.has_application
        )
        return name if await is_known(connection, dataset_ref.handle, name) else None

    async def unknown(self, dataset_ref: DatasetRef, named: Collection[str]) -> frozenset[str]:
        """The names without an application; none if client ids are the keys, which are not checked."""
        if self._keys == "client_id":
            return frozenset()
        return frozenset([name for name in named if await self.find(dataset_ref, name) is None])
