"""`/changes` and `/datasets/{dataset}/changes`: what changed of profiles, for other systems that follow.

Decode, one use-case, render.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.enums import MediaType
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from oneself.adapters.change_event import ChangeDocument, FeedSource, render_change
from oneself.api.admin.profiles import dataset_of
from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import (
    CursorWord,
    PageSize,
    Pagination,
    encode_cursor,
    page_size,
    paginate,
    requested_position,
)
from oneself.api.http.errors import INVALID_REQUEST, wire_error
from oneself.api.http.guard import RequestContext, context_of
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.openapi import Described, error_responses
from oneself.api.http.query import ViewParameter
from oneself.core.identity_graph.joins import View
from oneself.service.context import DatasetRef
from oneself.service.history.change_feed import FeedChange
from oneself.store.tables.profile_change import BEGINNING, ChangePosition

VIEW = requires("profile_view")
#: The view of those who name none.
DEFAULT_VIEW: View = "proven"
RESPONSES = error_responses(400, 401, 403, 404, 410)
Start = Annotated[
    str | None,
    QueryParameter(
        description="Without a cursor: `oldest`, the default, begins with the oldest stored change; `now` "
        "returns no change, only the cursor to follow from."
    ),
]


class ChangeList(Struct, frozen=True):
    """One page of changes in order. `cursor`: where to continue, now or later; it is never empty."""

    changes: list[ChangeDocument]
    cursor: str
    pagination: Pagination


@get("/changes", opt=VIEW, operation_class=Described, responses=RESPONSES)
async def list_changes(
    request: AnyRequest,
    size: PageSize = None,
    cursor: CursorWord = None,
    start: Start = None,
    view: ViewParameter = None,
) -> Response[ChangeList]:
    """List changes of profiles in the default dataset, the oldest first. The default view is `proven`."""
    call = context_of(request)
    return await _answer(call, call.dataset_ref, (size, cursor, start, view))


@get("/datasets/{dataset:str}/changes", opt=VIEW, operation_class=Described, responses=RESPONSES)
async def list_dataset_changes(
    request: AnyRequest,
    dataset: FromPath[str],
    size: PageSize = None,
    cursor: CursorWord = None,
    start: Start = None,
    view: ViewParameter = None,
) -> Response[ChangeList]:
    """List changes of profiles in a dataset, the oldest first. The default view is `proven`."""
    call = context_of(request)
    return await _answer(call, await dataset_of(call, dataset), (size, cursor, start, view))


ROUTES = (list_changes, list_dataset_changes)


async def _answer(
    call: RequestContext, at: DatasetRef, asked: tuple[str | None, str | None, str | None, str | None]
) -> Response[Any]:
    size, cursor, start, text = asked
    view, limit = call.requested_view(text or DEFAULT_VIEW), page_size(size)
    after = requested_position(cursor, BEGINNING)
    if start not in (None, "oldest", "now"):
        raise wire_error(INVALID_REQUEST, "start must be oldest or now.")
    if start == "now" and not cursor:
        return _list(at, view, [], await call.services.history.change_feed.now(at), limit, more=False)
    page = await call.services.history.change_feed.page(at, view, after=after, size=limit)
    return _list(at, view, page.changes, page.position, limit, more=page.more)


def _list(
    at: DatasetRef,
    view: View,
    changes: tuple[FeedChange, ...] | list[FeedChange],
    position: ChangePosition,
    limit: int,
    *,
    more: bool,
) -> Response[Any]:
    source = FeedSource(at.handle, at.dataset, view)
    documents = [render_change(item.change, item.position, item.observation_id, source) for item in changes]
    pagination = paginate(documents, limit, position if more else None)
    body = msgspec.json.encode(ChangeList(documents, encode_cursor(position), pagination))
    return Response(body, media_type=MediaType.JSON)
