"""What the caller of a request sees: a profile in a view, or what a tracker shows.

Invariants: a request is answered, and its `If-Match` is judged, by the same.

Source: docs/concepts/trust.md, "Views".
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity_graph.joins import View
from oneself.store.transaction import Tables
from oneself.store.view_reader import Viewed, read_by_tracker, read_view


class AskedView(msgspec.Struct, frozen=True):
    """What the caller of a request sees; of the view `all`, the believed state has it."""

    view: View
    profile_id: UUID
    #: Whoever brings it sees what it shows, whichever view and profile.
    tracker: str | None = None

    async def read(self, tables: Tables, config: Config) -> Viewed | None:
        """What the view shows now; None: it is unknown there."""
        if self.tracker is not None:
            return await read_by_tracker(tables, self.tracker, config)
        return await read_view(tables, self.view, self.profile_id, config)
