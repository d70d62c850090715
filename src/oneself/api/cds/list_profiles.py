"""GET `/profiles`: survivors page by page (wire/cds §5.2)."""

from __future__ import annotations

import re
from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from oneself.api.cds.filters import InvalidFilter, decode_attributes, decode_filters
from oneself.api.documents import wire
from oneself.api.documents.cursor import InvalidCursor, decode_cursor
from oneself.api.documents.profile import render_page
from oneself.api.http.errors import wire_error
from oneself.api.http.guard import context_of, requires
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.openapi import Described, error_responses
from oneself.core.values.visibility import visible_values
from oneself.service.profiles.listing import PAGE_SIZE_MAX, Condition
from oneself.store.profile_listing import PagePosition

PAGE_SIZE = 5
FILTER = (
    r"^(user_id|profile_id|(identity_attributes|traits|application_data)(\.[A-Za-z0-9_-]+)+)"
    r" (eq|co|sw) [!-~]([ -~]*[!-~])?$"
)
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


@get(
    "/profiles",
    opt=requires("profile_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def list_profiles(
    request: AnyRequest,
    page_size: Annotated[
        str | None, QueryParameter(schema_extra={"type": "integer", "minimum": 0, "default": PAGE_SIZE})
    ] = None,
    cursor: Annotated[str | None, QueryParameter(description="From the page before or after.")] = None,
    attributes: Annotated[str | None, QueryParameter(description="Comma list: `traits.plan`.")] = None,
    filters: Annotated[
        list[str] | None,
        QueryParameter(
            name="filter",
            description="`field op value`, op being eq, co or sw; all must hold.",
            schema_extra={"items": {"type": "string", "pattern": FILTER}},
        ),
    ] = None,
) -> wire.ProfileList:
    """Profiles that nobody absorbed, newest first."""
    call = context_of(request)
    size, edge = _page_size(page_size), _edge(cursor)
    conditions = _conditions(filters or [])
    selection = decode_attributes(request.query_params.getall("attributes", []))
    schema = call.config.schema
    page = await call.services.listing.page(
        call.dataset_ref.dataset_id,
        schema,
        conditions,
        edge=edge,
        size=size,
        with_values=bool(selection.keys),
    )
    values = [
        selection.of(visible_values(schema, item.values)) if selection.keys else {} for item in page.items
    ]
    pagination, profiles = render_page(call.dataset_ref.handle, page, values, size=size, edge=edge)
    return wire.ProfileList(pagination, profiles)


def _page_size(text: str | None) -> int:
    if text is None or text == "":
        return PAGE_SIZE
    if not _WHOLE_NUMBER.fullmatch(text) or int(text) < 0:
        raise wire_error("11003", "invalid page size")
    return min(int(text), PAGE_SIZE_MAX)


def _edge(text: str | None) -> PagePosition | None:
    if not text:
        return None
    try:
        cursor = decode_cursor(text)
    except InvalidCursor as error:
        raise wire_error("11003", str(error)) from None
    return PagePosition(cursor.created_at, cursor.profile_id, cursor.direction == "previous")


def _conditions(texts: list[str]) -> tuple[Condition, ...]:
    try:
        return decode_filters(texts)
    except InvalidFilter as error:
        raise wire_error("11010", str(error)) from None
