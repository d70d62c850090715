"""Organisations: the tenants of a deployment. Nothing crosses them (DESIGN §3).

Law of this module: an organisation is found by the handle in the path, never by an id a caller sends;
organisations are never renamed, so what was once found may be remembered for the life of the process.
Who may call and who signs in is the business of `accounts` and `auth`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from oneself.store.directory import Directory

DEFAULT_DATASET = "default"


class Tenant(msgspec.Struct, frozen=True):
    """An organisation as a request meets it: its key, its handle and its default dataset."""

    org_id: int
    handle: str
    dataset_id: int


class Organisations:
    """Finds tenants by handle, remembering those found."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._known: dict[str, Tenant] = {}

    async def find(self, handle: str) -> Tenant | None:
        """The tenant with exactly this handle. Unknown handles are asked for again each time."""
        if tenant := self._known.get(handle):
            return tenant
        row = await self._directory.find_tenant(handle, DEFAULT_DATASET)
        if row is None:
            return None
        tenant = Tenant(row["org_id"], row["handle"], row["dataset_id"])
        self._known[handle] = tenant
        return tenant
