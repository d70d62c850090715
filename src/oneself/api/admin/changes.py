"""`/changes` and `/datasets/{dataset}/changes`: what changed of profiles, for other systems that follow.

    Accept: text/event-stream    server-sent events, from now on or after `Last-Event-ID`
    else                         JSON, the oldest first

Decode, one use-case, render.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.enums import MediaType
from litestar.params import FromPath, HeaderParameter, QueryParameter
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
from oneself.api.http.openapi import error_responses
from oneself.api.http.query import ViewParameter
from oneself.api.http.server_sent_events import DescribedStream, accepts_stream, stream_response
from oneself.core.identity_graph.joins import View
from oneself.errors import Contended
from oneself.service.context import DatasetRef
from oneself.service.history.change_feed import FeedChange, FeedPage
from oneself.store.tables.profile_change import BEGINNING, ChangePosition

VIEW = requires("profile_view")
#: The view of those who name none.
DEFAULT_VIEW: View = "proven"
RESPONSES = error_responses(400, 401, 403, 404, 410)
Start = Annotated[
    str | None,
    QueryParameter(
        description="Without a cursor: `oldest`, the default of a list, begins with the oldest stored "
        "change. `now`, the default of a stream, begins with the next one."
    ),
]


LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="Of a stream: resume after this `id`."),
]


class ChangeList(Struct, frozen=True):
    """One page of changes in order. `cursor`: where to continue, now or later; it is never empty."""

    changes: list[ChangeDocument]
    cursor: str
    pagination: Pagination


@get("/changes", opt=VIEW, operation_class=DescribedStream, responses=RESPONSES)
async def list_changes(
    request: AnyRequest,
    size: PageSize = None,
    cursor: CursorWord = None,
    start: Start = None,
    view: ViewParameter = None,
    last_event_id: LastEventId = None,
) -> Response[ChangeList]:
    """List changes of profiles in `default`, the oldest first; as `text/event-stream`, new ones."""
    call = context_of(request)
    asked = _asked(request, size, (last_event_id, cursor), start, view)
    return await _answer(call, call.dataset_ref, asked)


@get("/datasets/{dataset:str}/changes", opt=VIEW, operation_class=DescribedStream, responses=RESPONSES)
async def list_dataset_changes(
    request: AnyRequest,
    dataset: FromPath[str],
    size: PageSize = None,
    cursor: CursorWord = None,
    start: Start = None,
    view: ViewParameter = None,
    last_event_id: LastEventId = None,
) -> Response[ChangeList]:
    """List changes of profiles in a dataset, the oldest first; as `text/event-stream`, new ones."""
    call = context_of(request)
    asked = _asked(request, size, (last_event_id, cursor), start, view)
    return await _answer(call, await dataset_of(call, dataset), asked)


ROUTES = (list_changes, list_dataset_changes)


class _ChangeQuery(Struct, frozen=True):
    """The parameters of a request."""

    is_stream: bool
    size: str | None
    cursor: str | None
    start: str | None
    view: str | None


def _asked(
    request: AnyRequest,
    size: str | None,
    cursors: tuple[str | None, str | None],
    start: str | None,
    view: str | None,
) -> _ChangeQuery:
    """`cursors`: of a stream that resumes, and of a page."""
    is_stream, (last_event_id, cursor) = accepts_stream(request), cursors
    return _ChangeQuery(is_stream, size, (last_event_id if is_stream else None) or cursor, start, view)


async def _answer(call: RequestContext, at: DatasetRef, asked: _ChangeQuery) -> Response[Any]:
    view, limit = call.requested_view(asked.view or DEFAULT_VIEW), page_size(asked.size)
    after, feed = requested_position(asked.cursor, BEGINNING), call.services.history.change_feed
    if asked.start not in (None, "oldest", "now"):
        raise wire_error(INVALID_REQUEST, "start must be oldest or now.")
    from_now = asked.start == "now" or (asked.is_stream and asked.start is None)
    if from_now and not asked.cursor:
        after = await feed.now(at)
    if asked.is_stream:
        return await _stream(call, at, view, after)
    if from_now and not asked.cursor:
        return _list(at, view, [], after, limit, more=False)
    page = await feed.page(at, view, after=after, size=limit)
    return _list(at, view, page.changes, page.position, limit, more=page.more)


async def _stream(call: RequestContext, at: DatasetRef, view: View, after: ChangePosition) -> Response[Any]:
    feed = call.services.history.change_feed
    if feed.followers.is_full:
        raise Contended("Too many streams are open.")
    # A cursor that is too old is an error of the request, not the end of a stream.
    await feed.page(at, view, after=after, size=1)

    async def render(page: FeedPage) -> tuple[list[tuple[str, Any]], str]:
        documents = _render(at, view, page.changes)
        return [(document.cursor, document) for document in documents], encode_cursor(page.position)

    return stream_response(encode_cursor(after), feed.follow(at, view, after=after), render)


def _render(at: DatasetRef, view: View, changes: Iterable[FeedChange]) -> list[ChangeDocument]:
    source = FeedSource(at.handle, at.dataset, view)
    return [render_change(item.change, item.position, item.observation_id, source) for item in changes]


def _list(
    at: DatasetRef,
    view: View,
    changes: tuple[FeedChange, ...] | list[FeedChange],
    position: ChangePosition,
    limit: int,
    *,
    more: bool,
) -> Response[Any]:
    documents = _render(at, view, changes)
    pagination = paginate(documents, limit, position if more else None)
    body = msgspec.json.encode(ChangeList(documents, encode_cursor(position), pagination))
    return Response(body, media_type=MediaType.JSON)
