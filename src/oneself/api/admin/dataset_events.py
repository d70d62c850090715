"""`/datasets/{dataset}/events`: the events of a dataset, as a list or as a stream.

    Accept: text/event-stream    server-sent events, from now on or after `Last-Event-ID`
    else                         JSON, the last recorded first

Decode, one use-case, render. Source: `api.http.server_sent_events` for the form of a stream.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.enums import MediaType
from litestar.params import FromPath, HeaderParameter, QueryParameter
from msgspec import Struct, field

from oneself.api.admin.person_events import Instant, Name, event_filter
from oneself.api.admin.profiles import dataset_of, view_of
from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import (
    CursorWord,
    PageSize,
    Pagination,
    decode_cursor,
    encode_cursor,
    page_size,
    paginate,
    requested_position,
)
from oneself.api.http.guard import RequestContext, context_of
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.openapi import error_responses
from oneself.api.http.query import ViewParameter, query_flag
from oneself.api.http.server_sent_events import DescribedStream, accepts_stream, stream_response
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.core.config.configuration import Config
from oneself.core.disclosure import Reader
from oneself.core.identity_graph.joins import View
from oneself.errors import Contended
from oneself.service.context import DatasetRef
from oneself.service.history.event_stream import Decision, EventBatch, StreamedEvent
from oneself.service.profiles.readable import disclosed_body
from oneself.store.tables.event import NOW, EventFilter, EventPosition

VIEW = requires("profile_view")


class DecisionDocument(Struct, frozen=True):
    """What an event did to profiles. `merged`: absorbed profiles. `refusals`: codes of refused merges."""

    effect: Literal["created", "promoted", "merged", "attached"]
    merged: int
    refusals: list[str]


class StreamedEventDocument(Struct, frozen=True, omit_defaults=True):
    """An event of a dataset.

    `primary_id`: of the profile now, in the view; null if it was erased. `identity_types`: types of the
    identifiers in the event. `decision`: what it did in the view `all`, and only there. `body`: only on
    request: the event as received, without tokens; applications that are not system applications see only
    the browser's fields of `user`.
    """

    event_id: str
    name: str | None
    occurred_at: Timestamp
    received_at: Timestamp
    interface: str = field(name="face")
    trust: Literal["server", "browser"]
    primary_id: str | None
    identity_types: list[str]
    decision: DecisionDocument | None = None
    body: Any = None


class StreamedEventList(Struct, frozen=True):
    """One page, the last recorded first. A page may be short or empty and still have a next one."""

    events: list[StreamedEventDocument]
    pagination: Pagination


class _Asked(Struct, frozen=True):
    """The requested events, and who reads them."""

    at: DatasetRef
    filters: EventFilter
    with_body: bool
    reader: Reader
    view: View


@get(
    "/datasets/{dataset:str}/events",
    opt=VIEW,
    operation_class=DescribedStream,
    responses=error_responses(400, 401, 403, 404),
)
async def list_dataset_events(
    request: AnyRequest,
    dataset: FromPath[str],
    size: PageSize = None,
    cursor: CursorWord = None,
    name: Name = None,
    since: Instant = None,
    until: Instant = None,
    with_body: Annotated[
        str | None,
        QueryParameter(
            name="body", description="`true` returns the event as received, which may be personal data."
        ),
    ] = None,
    view: ViewParameter = None,
    last_event_id: Annotated[
        str | None,
        HeaderParameter(name="Last-Event-ID", description="Of a stream: resume after this `id`."),
    ] = None,
) -> Response[StreamedEventList]:
    """List the events of a dataset, the last recorded first. `Accept: text/event-stream` streams new ones."""
    call, limit, filters = context_of(request), page_size(size), event_filter(name, since, until)
    is_stream = accepts_stream(request)
    before = requested_position(cursor, NOW)
    after = decode_cursor(last_event_id, EventPosition) if last_event_id and is_stream else None
    at = await dataset_of(call, dataset)
    reader = call.reader(with_application_data=False, applications=None)
    asked = _Asked(at, filters, query_flag(with_body), reader, await view_of(call, at, view))
    if is_stream:
        return await _stream(call, asked, after)
    return await _list(call, asked, before, limit)


ROUTES = [list_dataset_events]


async def _list(call: RequestContext, asked: _Asked, before: EventPosition, limit: int) -> Response[Any]:
    page = await call.services.history.event_stream.page(
        asked.at, asked.filters, before=before, size=limit, with_body=asked.with_body, view=asked.view
    )
    config = await call.services.configurations.current(asked.at.dataset_id)
    events = [_render(event, asked, config) for event in page.events]
    document = StreamedEventList(events, paginate(events, limit, page.next_position))
    return Response(msgspec.json.encode(document), media_type=MediaType.JSON)


async def _stream(call: RequestContext, asked: _Asked, after: EventPosition | None) -> Response[Any]:
    stream = call.services.history.event_stream
    if stream.followers.is_full:
        raise Contended("Too many streams are open.")
    start = after or await stream.watermark(asked.at)
    batches = stream.follow(asked.at, asked.filters, after=start, with_body=asked.with_body, view=asked.view)

    async def render(batch: EventBatch) -> tuple[list[tuple[str, Any]], str]:
        if not batch.events:
            return [], encode_cursor(batch.position)
        config = await call.services.configurations.current(asked.at.dataset_id)
        events = [(encode_cursor(event.position), _render(event, asked, config)) for event in batch.events]
        return events, encode_cursor(batch.position)

    return stream_response(encode_cursor(start), batches, render)


def _render(event: StreamedEvent, asked: _Asked, config: Config) -> StreamedEventDocument:
    decision = _render_decision(event.decision) if asked.view == "all" else None
    return StreamedEventDocument(
        event.event_id,
        event.name,
        rfc3339(event.occurred_at),
        rfc3339(event.received_at),
        event.interface,
        event.trust,
        event.primary_id,
        list(event.identity_types),
        decision,
        disclosed_body(event.body, asked.reader, config),
    )


def _render_decision(decision: Decision) -> DecisionDocument:
    return DecisionDocument(decision.effect, decision.merged, list(decision.refusals))
