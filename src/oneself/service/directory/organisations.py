"""Organisations: the tenants of a deployment. No data crosses them.

Lives here: finding, listing and inserting organisations. Must not know: what a usable organisation needs
(`setup.provisioning`).

Invariants: an organisation is found by its handle, never by a key that a caller sends. Handles never change,
so a process may cache an organisation for its whole life.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from oneself.core.config.difference import SettingDifference
from oneself.errors import InvalidInput, NotFound
from oneself.service.audited import put_audited
from oneself.service.context import DEFAULT_DATASET, DatasetRef

if TYPE_CHECKING:
    from oneself.store.directory import Directory
    from oneself.store.tables.organisation import OrganisationRow

# The form of the constraint organisation_handle_form: valid in a path, a token and a log line.
NAME_CHARACTERS_MAX = 100
_HANDLE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Organisations:
    """Finds organisations by handle, and caches them."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._cached: dict[str, DatasetRef] = {}

    async def find(self, handle: str) -> DatasetRef | None:
        """The default dataset of an organisation; None if there is none. Unknown handles are not cached."""
        if dataset_ref := self._cached.get(handle):
            return dataset_ref
        if not _HANDLE.fullmatch(handle):
            return None
        keys = await self._directory.organisations.find(handle, DEFAULT_DATASET)
        if keys is None:
            return None
        dataset_ref = DatasetRef(keys.org_id, keys.handle, keys.dataset_id)
        self._cached[handle] = dataset_ref
        return dataset_ref

    async def get(self, handle: str) -> DatasetRef:
        """As `find`; raises NotFound."""
        dataset_ref = await self.find(handle)
        if dataset_ref is None:
            raise NotFound(f"There is no organisation {handle!r}.")
        return dataset_ref

    async def list(self) -> list[OrganisationRow]:
        """Every organisation, by handle."""
        return await self._directory.organisations.list()

    async def put(self, handle: str, name: str) -> bool:
        """Insert an organisation with its default dataset; False if it exists. Raises InvalidInput."""
        if not name.isprintable() or not 0 < len(name.strip()) <= NAME_CHARACTERS_MAX:
            # It is in the header of each mail.
            sentence = f"A name is one line of at most {NAME_CHARACTERS_MAX} printable characters."
            raise InvalidInput("name", sentence)
        if not _HANDLE.fullmatch(handle):
            sentence = (
                "A handle has 1 to 63 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit."
            )
            raise InvalidInput("handle", sentence)
        now = time.time_ns() // 1000
        async with self._directory.transaction() as tables:
            org_id = await tables.organisations.put(handle, name, now)
            if org_id is not None:
                await tables.of(org_id).datasets.put(DEFAULT_DATASET, now)
                created = SettingDifference(f"organisation {handle}", "name", None, name)
                await put_audited(tables.of(org_id), "organisation", [created])
        return org_id is not None
