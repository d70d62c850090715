"""People: export and erase a person by any id that they ever had.

Invariants: `Lookup.find` says whom an id means. A profile id of an absorbed profile means, for
erasure, what that profile brought; every other id means the whole person.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from oneself.service.context import Actor, DatasetRef
from oneself.service.privacy.erasure import Erasure, Receipt
from oneself.service.privacy.export import Exports
from oneself.service.profiles.lookup import Lookup


class Export(msgspec.Struct, frozen=True):
    """Everything that is kept about a person. `profile_id`: of the profile that was asked for."""

    profile_id: UUID
    document: dict[str, Any]


class Persons:
    """Finds a person by an id, then exports or erases them."""

    def __init__(self, lookup: Lookup, exports: Exports, erasure: Erasure) -> None:
        self._lookup = lookup
        self._exports = exports
        self._erasure = erasure

    async def export(self, dataset_ref: DatasetRef, text: str) -> Export | None:
        """The export of the person that an id means; None if no profile has it."""
        view = await self._lookup.find(dataset_ref, text)
        if view is None:
            return None
        profile_id = view.profile.profile_id
        document = await self._exports.export(dataset_ref, profile_id)
        return None if document is None else Export(profile_id, document)

    async def erase(self, dataset_ref: DatasetRef, actor: Actor, text: str) -> Receipt | None:
        """Erase the person that an id means, or the part that an absorbed profile brought; None if no
        profile has it. Raises Contended."""
        view = await self._lookup.find(dataset_ref, text)
        if view is None:
            return None
        profile = view.profile
        return await self._erasure.erase(
            dataset_ref, actor, profile.profile_id, as_person=not profile.is_absorbed
        )
