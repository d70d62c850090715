"""Organisations: the tenants of a deployment. Nothing crosses them (DESIGN §3).

Law of this module: an organisation is found by the handle in the path, never by an id a caller sends;
organisations are never renamed, so what was once found may be remembered for the life of the process.
Making one that can be used at once is the business of `founding`.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import msgspec

from oneself.errors import InvalidInput, NotFound
from oneself.service.context import DEFAULT_DATASET, DatasetRef

if TYPE_CHECKING:
    from oneself.store.directory import Directory

# The same form as the constraint organisation_handle_form: what fits a path, a token and a log line.
_HANDLE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class OrganisationOverview(msgspec.Struct, frozen=True):
    """An organisation in a list. `created_at`: microseconds since 1970."""

    handle: str
    name: str
    created_at: int
    applications: int
    accounts: int


class Organisations:
    """Finds tenants by handle, remembering those found."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._known: dict[str, DatasetRef] = {}

    async def find(self, handle: str) -> DatasetRef | None:
        """The default dataset of the organisation with this handle. Unknown handles are asked for again."""
        if dataset_ref := self._known.get(handle):
            return dataset_ref
        if not _HANDLE.fullmatch(handle):
            return None
        row = await self._directory.find_tenant(handle, DEFAULT_DATASET)
        if row is None:
            return None
        dataset_ref = DatasetRef(row["org_id"], row["handle"], row["dataset_id"])
        self._known[handle] = dataset_ref
        return dataset_ref

    async def get(self, handle: str) -> DatasetRef:
        """As `find`; raises NotFound."""
        dataset_ref = await self.find(handle)
        if dataset_ref is None:
            raise NotFound(f"There is no organisation {handle!r}.")
        return dataset_ref

    async def list(self) -> list[OrganisationOverview]:
        """Every organisation, by handle."""
        rows = await self._directory.list_organisations(DEFAULT_DATASET)
        return [_overview(row) for row in rows]

    async def put(self, handle: str, name: str) -> bool:
        """Make the bare organisation; False when it was there. Raises InvalidInput."""
        if not _HANDLE.fullmatch(handle):
            sentence = (
                "A handle has 1 to 63 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit."
            )
            raise InvalidInput("handle", "Invalid request.", sentence)
        now = time.time_ns() // 1000
        return await self._directory.put_organisation(handle, name, DEFAULT_DATASET, now)


def _overview(row: Any) -> OrganisationOverview:
    return OrganisationOverview(
        row["handle"], row["name"], row["created_at"], row["applications"], row["accounts"]
    )
