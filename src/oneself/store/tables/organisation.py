"""The table `organisation`: the tenants of a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import struct_of, structs_of

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("organisation")


class OrganisationKeys(msgspec.Struct, frozen=True):
    """The keys of an organisation and one of its datasets."""

    org_id: int
    handle: str
    dataset_id: int


class OrganisationRow(msgspec.Struct, frozen=True):
    """An organisation in a list."""

    handle: str
    name: str
    #: In µs since 1970.
    created_at: int
    applications: int
    accounts: int


class OrganisationsTable:
    """Every organisation of the deployment."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def find(self, handle: str, dataset: str) -> OrganisationKeys | None:
        """An organisation that has this dataset."""
        return struct_of(OrganisationKeys, await self._executor.fetchrow(_sql.find, handle, dataset))

    async def list(self) -> list[OrganisationRow]:
        """Every organisation, by handle."""
        return structs_of(OrganisationRow, await self._executor.fetch(_sql.list))

    async def put(self, handle: str, name: str, now: int) -> int | None:
        """Insert an organisation and return its key; None if the handle is taken."""
        org_id: int | None = await self._executor.fetchval(_sql.put, handle, name, now)
        return org_id

    async def lock(self, org_id: int) -> None:
        """Let no other transaction change the settings of an organisation until this one ends."""
        await self._executor.execute(_sql.lock, org_id)

    async def exists(self) -> bool:
        """Whether there is an organisation."""
        return bool(await self._executor.fetchval(_sql.exists))
