"""Trackers of browsers, and fresh ones, which take the place of others that somebody else may know.

Invariants: trackers are random, and differ from every profile id. A fresh one has its own UUID version, so
that the use of any other costs no look-up.

Source: docs/concepts/trust.md, "Sign-in".
"""

from __future__ import annotations

import uuid
from contextlib import suppress

from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.resolution.observation import TrackerEnd
from oneself.service.context import DatasetRef
from oneself.service.ingest.ingest import Ingest
from oneself.service.ingest.submission import ObservationRejected, Submission
from oneself.store.database import Database
from oneself.store.transaction import Tables

INTERFACE = "trackers"
#: RFC 9562 leaves the other bits of a UUID of this version to the application; here they are random.
FRESH_VERSION = 8
_VERSION_BIT = 76
#: How many anonymous ids begin anew together with their tracker.
ANONYMOUS_IDS_MAX = 100


class Trackers:
    """Ends the trackers that fresh ones replace."""

    def __init__(self, database: Database, ingest: Ingest) -> None:
        self._database = database
        self._ingest = ingest

    async def note_use(self, dataset_ref: DatasetRef, tracker: str) -> None:
        """The first use of a fresh tracker ends the one that it replaces."""
        if not is_fresh(tracker):
            return
        tables = Tables(self._database, dataset_ref.dataset_id)
        replaced = await tables.browsers.find_replaced(tracker)
        if replaced is None:
            return
        ended = Identifier(TRACKER, replaced)
        end = TrackerEnd(
            observation_id=uuid.uuid4(),
            new_profile_id=uuid.uuid4(),
            interface=INTERFACE,
            identifiers=(ended, *await find_anonymous_ids(tables, ended)),
        )
        # Rejected: another request ended it meanwhile.
        with suppress(ObservationRejected):
            await self._ingest.submit(dataset_ref.dataset_id, Submission(end))


async def find_anonymous_ids(tables: Tables, tracker: Identifier) -> list[Identifier]:
    """The anonymous ids that came with a tracker: where it begins anew, they do."""
    browsers = await tables.browsers.find([tracker])
    every = {item for browser in browsers.values() for item in browser.every}
    return await tables.log.find_anonymous_ids(tracker.value, every, ANONYMOUS_IDS_MAX)


def new_tracker() -> str:
    """A random tracker for a browser. Source: docs/wire/cds.md §5.1."""
    return str(uuid.uuid4())


def new_fresh_tracker() -> str:
    """A random tracker that may replace another one."""
    bits = uuid.uuid4().int & ~(0xF << _VERSION_BIT)
    return str(uuid.UUID(int=bits | FRESH_VERSION << _VERSION_BIT))


def is_fresh(tracker: str) -> bool:
    """Whether a tracker may replace another one."""
    try:
        return uuid.UUID(tracker).version == FRESH_VERSION
    except ValueError:
        return False
