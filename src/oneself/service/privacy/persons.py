"""People: export and erase a person by any id that they ever had.

Invariants: `Lookup.find` says whom an id means. A profile id of an absorbed profile means, for
erasure, what that profile brought; every other id means the whole person. An id that may mean several people
erases none of them.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from oneself.core.identity_graph.joins import View
from oneself.service.context import Actor, DatasetRef
from oneself.service.privacy.erasure import Erasure, ErasurePreview, Expected, Receipt
from oneself.service.privacy.export import Exports
from oneself.service.privacy.selection import ErasureTarget
from oneself.service.profiles.lookup import Lookup


class Export(msgspec.Struct, frozen=True):
    """Everything that is kept about a person in a view. `profile_id`: of the profile that was asked for."""

    profile_id: UUID
    document: dict[str, Any]


class Persons:
    """Finds a person by an id, then exports or erases them."""

    def __init__(self, lookup: Lookup, exports: Exports, erasure: Erasure) -> None:
        self._lookup = lookup
        self._exports = exports
        self._erasure = erasure

    async def export(self, dataset_ref: DatasetRef, text: str, view: View) -> Export | None:
        """The export of the person that an id means in a view; None if no profile has it."""
        found = await self._lookup.find(dataset_ref, text, view)
        document = None if found is None else await self._exports.export(dataset_ref, found)
        if found is None or document is None:
            return None
        return Export(found.profile.profile_id, document)

    async def erase(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        text: str,
        view: View,
        *,
        expected: Expected | None = None,
    ) -> Receipt | None:
        """Erase what the person that an id means has in a view, or the part that an absorbed profile brought.

        None if no profile has the id. Raises ObservationRejected (`stale`), AmbiguousId, Contended.
        """
        target = await self._target(dataset_ref, text, view)
        if target is None:
            return None
        return await self._erasure.erase(dataset_ref, actor, target, expected=expected)

    async def preview_erasure(self, dataset_ref: DatasetRef, text: str, view: View) -> ErasurePreview | None:
        """What `erase` would take; None if no profile has the id. Raises AmbiguousId."""
        target = await self._target(dataset_ref, text, view)
        return None if target is None else await self._erasure.preview(dataset_ref, target)

    async def _target(self, dataset_ref: DatasetRef, text: str, view: View) -> ErasureTarget | None:
        # An id of a believed profile must not erase everything of the person whose words began it.
        found = await self._lookup.find_certain(dataset_ref, text, view)
        if found is None:
            return None
        profile = found.profile
        return ErasureTarget(view=view, profile_id=profile.profile_id, as_person=not profile.is_absorbed)
