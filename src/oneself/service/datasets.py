"""Datasets: the identity namespaces of an organisation (DESIGN §3). Profiles, identifiers and events live in
one.

Law of this module: a dataset is found by its name within the organisation of the request, never by an id that
a caller sends. `default` is there from the beginning and stays; the customer data service works on it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from oneself.errors import NotFound
from oneself.service.organisations import DEFAULT_DATASET, Tenant

if TYPE_CHECKING:
    from oneself.store.directory import Directory

#: What fits a path, a cookie's digest and a log line.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Datasets:
    """Finds datasets by name, remembering those found."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._known: dict[tuple[int, str], Tenant] = {}

    async def find(self, tenant: Tenant, name: str) -> Tenant | None:
        """The tenant at one of its datasets; None if it has none of this name."""
        if name == DEFAULT_DATASET and tenant.dataset == DEFAULT_DATASET:
            return tenant
        if (known := self._known.get((tenant.org_id, name))) is not None:
            return known
        if not NAME.fullmatch(name):
            return None
        row = await self._directory.find_tenant(tenant.handle, name)
        if row is None:
            return None
        found = msgspec.structs.replace(tenant, dataset_id=row["dataset_id"], dataset=name)
        self._known[tenant.org_id, name] = found
        return found

    async def get(self, tenant: Tenant, name: str) -> Tenant:
        """As `find`; raises NotFound."""
        found = await self.find(tenant, name)
        if found is None:
            raise NotFound(f"{tenant.handle} has no dataset {name!r}.")
        return found
