"""`?at=`: read a profile as it was at an instant.

Decode the instant and the cursors that carry it; open what the routes of a profile read from, live or as it
was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, TypeVar

import msgspec
from litestar.params import QueryParameter

from oneself.api.admin.profiles import dataset_of, view_of
from oneself.api.documents.paging import AS_OF, cursor_fields, position_of, requested_position
from oneself.api.documents.person import AsOfDocument, Disclosure
from oneself.api.http.errors import INVALID_REQUEST, profile_unknown, wire_error
from oneself.api.http.guard import RequestContext
from oneself.api.http.query import asked_categories, query_instant
from oneself.api.http.timestamps import rfc3339
from oneself.core.disclosure import Reader
from oneself.core.identity_graph.joins import View
from oneself.core.units import SEQ_MAX
from oneself.errors import InvalidInput
from oneself.service.as_of.reading import EarlierReading, UnknownThen
from oneself.service.context import DatasetRef
from oneself.service.explain.explanations import Explanations
from oneself.service.history.person_events import PersonEvents
from oneself.service.history.timeline import ProfileHistory
from oneself.service.profiles.lookup import Lookup
from oneself.service.profiles.parts import ProfilePart
from oneself.service.profiles.profiles import ProfileView

Position = TypeVar("Position", bound=msgspec.Struct)

AtParameter = Annotated[
    str | None,
    QueryParameter(
        name="at",
        description="Read as of this instant: RFC 3339, or milliseconds since 1970. What is no part of the "
        "profile today is left out.",
    ),
]


class Reading(msgspec.Struct, frozen=True):
    """What one request reads profiles from: now, or as they were."""

    call: RequestContext
    dataset_ref: DatasetRef
    view: View
    #: What names the profiles.
    ids: tuple[str, ...]
    lookup: Lookup
    explanations: Explanations
    person_events: PersonEvents
    timeline: ProfileHistory
    #: As they were; None: they are read as they are now.
    earlier: EarlierReading | None = None

    @property
    def at(self) -> int | None:
        """The instant, in µs since 1970; None: now."""
        return None if self.earlier is None else self.earlier.at

    @property
    def as_of(self) -> AsOfDocument | None:
        """What an answer says of the instant; None: it is of now."""
        if self.earlier is None:
            return None
        is_cut = any(item.is_cut for item in self.earlier.profiles)
        return AsOfDocument(rfc3339(self.earlier.at), left_out=True if is_cut else None)

    async def profile(self) -> ProfileView:
        """The profile that the first id means, with everything that it absorbed. Raises WireError 404."""
        if self.earlier is not None:
            return self.earlier.profiles[0].view
        found = await self.lookup.find(self.dataset_ref, self.ids[0], self.view)
        if found is None:
            raise profile_unknown()
        return found

    async def parts(self) -> list[ProfilePart]:
        """The part of a profile that each id means. Raises WireError 404."""
        if self.earlier is not None:
            return [item.part for item in self.earlier.profiles]
        parts = [await self.explanations.find(self.dataset_ref, text, self.view) for text in self.ids]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            raise profile_unknown()
        return found

    def disclosures(
        self, views: Sequence[ProfileView], categories: list[str] | None, reader: Reader | None = None
    ) -> list[Disclosure]:
        """What the caller may read of profiles, in the order of the ids: both then and today."""
        call, asked = self.call, asked_categories(categories)
        who = reader or call.reader(with_application_data=False, applications=None)
        todays = () if self.earlier is None else tuple(item.today for item in self.earlier.profiles)
        return [
            Disclosure.of(call, view, who, asked, todays[number] if todays else None)
            for number, view in enumerate(views)
        ]


def requested_instant(text: str | None) -> int | None:
    """The instant in the query, in µs since 1970; raises WireError."""
    found = None if text is None else query_instant("at", text)
    if found is not None and not 0 <= found <= SEQ_MAX:
        raise wire_error(INVALID_REQUEST, "at must be an instant between 1970 and now.")
    return found


def position_as_of(cursor: str | None, start: Position, at: int | None) -> tuple[Position, int | None]:
    """The position after which a page begins, and the instant as of which its list is.

    A cursor carries its instant: the next page is of the same. Raises WireError if the query names another.
    """
    if not cursor:
        return start, at
    fields = cursor_fields(cursor)
    if fields[-2:-1] != [AS_OF]:
        if at is not None:
            raise wire_error(INVALID_REQUEST, "The cursor is of a list of now. Leave out at, or the cursor.")
        return requested_position(cursor, start), None
    *position, _, carried = fields
    if type(carried) is not int or not 0 <= carried <= SEQ_MAX or at not in (None, carried):
        raise wire_error(INVALID_REQUEST, "The cursor is of a list as of another instant.")
    return position_of(position, type(start)), carried


@asynccontextmanager
async def read_profiles(
    call: RequestContext, dataset: str, ids: Sequence[str], view: str | None, at: int | None
) -> AsyncIterator[Reading]:
    """What the profiles are read from that ids mean in the requested view, now or at an instant.

    Raises NotFound, WireError 400, 403, 404, Conflict `too_large`.
    """
    ref = await dataset_of(call, dataset)
    seen = await view_of(call, ref, view)
    profiles, history = call.services.profiles, call.services.history
    if at is None:
        live = profiles.lookup, profiles.explanations, history.person_events, history.timeline
        yield Reading(call, ref, seen, tuple(ids), *live)
        return
    async with AsyncExitStack() as stack:
        try:
            earlier = await stack.enter_async_context(call.services.as_of.read(ref, ids, seen, at))
        except InvalidInput as error:
            raise wire_error(INVALID_REQUEST, error.description) from None
        except UnknownThen as error:
            raise profile_unknown(_sentence(error, at)) from None
        then = earlier.lookup, earlier.explanations, earlier.person_events, earlier.timeline
        yield Reading(call, ref, seen, tuple(ids), *then, earlier)


def _sentence(error: UnknownThen, at: int) -> str:
    if error.began_at is None:
        return f"No profile had this id at {rfc3339(at)}."
    return f"There was no such profile at {rfc3339(at)}: it began at {rfc3339(error.began_at)}."
