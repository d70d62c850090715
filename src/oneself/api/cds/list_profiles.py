"""GET `/profiles`: profiles page by page. Source: docs/wire/cds.md §5.2."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from litestar import get
from litestar.params import QueryParameter

from oneself.api.cds.cursor import Cursor, Direction, InvalidCursor, decode_cursor, encode_cursor
from oneself.api.cds.documents import CursorPagination, ProfileList
from oneself.api.cds.errors import FILTER_FAILED, PROFILE_FETCH_FAILED
from oneself.api.cds.filters import InvalidFilter, Selection, decode_attributes, decode_filters
from oneself.api.documents.profile import (
    APPLICATION,
    IDENTITY,
    TRAITS,
    MergedProfileDocument,
    ProfileDocument,
    profile_meta,
)
from oneself.api.http.errors import wire_error
from oneself.api.http.guard import context_of, requires
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.openapi import Described, error_responses
from oneself.api.http.query import AskedCategories, ViewParameter, asked_categories
from oneself.core.disclosure import ReaderAccess
from oneself.core.units import UUID_MAX
from oneself.core.values.visibility import visible_values
from oneself.service.profiles.listing import PAGE_SIZE_MAX, Condition, ProfilePage, WriteOnlyField
from oneself.store.tables.profile_listing import FIRST, ListedProfile, PagePosition

PAGE_SIZE = 5
FILTER = (
    r"^(user_id|profile_id|(identity_attributes|traits|application_data)(\.[A-Za-z0-9_-]+)+)"
    r" (eq|co|sw) [!-~]([ -~]*[!-~])?$"
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


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
    cursor: Annotated[
        str | None, QueryParameter(description="`next_cursor` or `previous_cursor` of another page.")
    ] = None,
    attributes: Annotated[
        str | None, QueryParameter(description="Comma-separated list, such as `traits.plan`.")
    ] = None,
    filters: Annotated[
        list[str] | None,
        QueryParameter(
            name="filter",
            description="`field op value`; op is eq, co or sw. Profiles match all of them.",
            schema_extra={"items": {"type": "string", "pattern": FILTER}},
        ),
    ] = None,
    consent_category_id: AskedCategories = None,
    view: ViewParameter = None,
) -> ProfileList:
    """List the profiles that are not absorbed, newest first, filtered by consent."""
    call = context_of(request)
    listed = call.listed_view(view)
    size, edge = _page_size(page_size), _edge(cursor)
    conditions = _conditions(filters or [])
    selection = decode_attributes(request.query_params.getall("attributes", []))
    access = call.access(asked_categories(consent_category_id))
    try:
        page = await call.services.profiles.listing.page(
            call.dataset_ref.dataset_id,
            call.config.schema,
            conditions,
            access,
            position=edge or FIRST,
            size=size,
            with_values=bool(selection.keys),
            view=listed,
        )
    except WriteOnlyField as error:
        raise wire_error(FILTER_FAILED, error.message) from None
    values = [_selected(selection, item, access) if selection.keys else {} for item in page.items]
    pagination, profiles = _render_page(call.dataset_ref.handle, page, values, size=size, edge=edge)
    return ProfileList(pagination, profiles)


def _selected(selection: Selection, item: ListedProfile, access: ReaderAccess) -> Mapping[str, Any]:
    """The selected values of an item, as far as the caller may read them."""
    stored = visible_values(access.config.schema, item.values)
    return selection.of(access.disclosed(stored, item.consented))


def _page_size(text: str | None) -> int:
    if text is None or text == "":
        return PAGE_SIZE
    if not _INTEGER.fullmatch(text) or int(text) < 0:
        raise wire_error(PROFILE_FETCH_FAILED, "invalid page size")
    return min(int(text), PAGE_SIZE_MAX)


def _edge(text: str | None) -> PagePosition | None:
    if not text:
        return None
    try:
        cursor = decode_cursor(text)
    except InvalidCursor as error:
        raise wire_error(PROFILE_FETCH_FAILED, str(error)) from None
    return PagePosition(cursor.created_at, cursor.profile_id, cursor.direction == "previous")


def _conditions(texts: list[str]) -> tuple[Condition, ...]:
    try:
        return decode_filters(texts)
    except InvalidFilter as error:
        raise wire_error(FILTER_FAILED, str(error)) from None


def _render_page(
    org: str, page: ProfilePage, values: Sequence[Mapping[str, Any]], *, size: int, edge: PagePosition | None
) -> tuple[CursorPagination, list[ProfileDocument]]:
    """A page of the list. `values`: the selected values, item by item."""
    profiles = [_render_listed(org, item, part) for item, part in zip(page.items, values, strict=True)]
    return _pagination(page, size, edge), profiles


def _render_listed(org: str, item: ListedProfile, values: Mapping[str, Any]) -> ProfileDocument:
    return ProfileDocument(
        profile_id=str(item.profile_id),
        user_id=item.user_id or "",
        meta=profile_meta(org, item.profile_id, item.created_at, item.updated_at),
        identity_attributes=values.get(IDENTITY, {}),
        traits=values.get(TRAITS, {}),
        application_data=values.get(APPLICATION, {}),
        merged_from=[MergedProfileDocument(profile_id, reason) for profile_id, reason in item.absorbed],
    )


def _pagination(page: ProfilePage, size: int, edge: PagePosition | None) -> CursorPagination:
    """Forwards, a previous page exists because the client came from it; backwards, a next page exists."""
    backwards = edge is not None and edge.backwards
    follows = page.has_more or backwards
    precedes = page.has_more if backwards else edge is not None
    return CursorPagination(
        count=len(page.items),
        page_size=size,
        next_cursor=_cursor(page.items[-1:], edge, "next") if follows else "",
        previous_cursor=_cursor(page.items[:1], edge, "previous") if precedes else "",
    )


def _cursor(outermost: Sequence[ListedProfile], edge: PagePosition | None, direction: Direction) -> str:
    """A cursor beyond the outermost item. On an empty page it turns around at the edge of the page."""
    for item in outermost:
        return encode_cursor(Cursor(item.created_at, item.profile_id, direction))
    if edge is None:
        return ""
    aside = edge.profile_id.int + (1 if direction == "next" else -1)
    return encode_cursor(Cursor(edge.created_at, UUID(int=min(max(aside, 0), UUID_MAX.int)), direction))
