"""Privacy: export, erasure with its receipt, invalid values. Decode, one use-case, render."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.enums import MediaType
from litestar.params import FromPath
from msgspec import Struct, field

from oneself.api.admin.requirements import requires_enabled
from oneself.api.documents.erasure import DryRun, ErasurePreviewDocument, render_erasure_preview
from oneself.api.documents.paging import (
    CursorWord,
    PageSize,
    Pagination,
    cut_page,
    page_size,
    paginate,
    requested_position,
)
from oneself.api.http.errors import INVALID_REQUEST, profile_unknown, wire_error
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.query import ViewParameter, query_switch
from oneself.api.http.request_options import decode_profile_id
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.core.units import SEQ_MAX
from oneself.service.privacy.erasure import Receipt
from oneself.service.profiles.invalid_values import PROFILES_PER_PAGE, START, ProfileInvalidValues


class ReceiptDocument(Struct, frozen=True):
    """The proof of an erasure. `entries`: of the log, deleted. `identifiers`: deleted."""

    receipt_id: UUID
    erased_at: Timestamp
    profile_ids: list[UUID]
    application: str | None
    entries: int
    identifiers: int


class ErasureList(Struct, frozen=True):
    """One page of receipts, the last one first."""

    erasures: list[ReceiptDocument]
    pagination: Pagination


class InvalidValuesDocument(Struct, frozen=True):
    """Stored values of one attribute that are invalid and hidden: why, how many, and an example."""

    path: str
    problem: str
    profiles: int
    example: UUID


class InvalidValuesList(Struct, frozen=True):
    """The invalid values of the `profiles_seen` profiles of this page."""

    invalid_values: list[InvalidValuesDocument] = field(name="unfit_values")
    profiles_seen: int
    pagination: Pagination


class _Seq(Struct, frozen=True):
    seq: int


class _After(Struct, frozen=True):
    profile_id: UUID


@get(
    "/profiles/{profile_id:str}/export",
    opt=requires_enabled("privacy_export"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404),
)
async def export_person(
    request: AnyRequest, profile_id: FromPath[str], view: ViewParameter = None
) -> Response[dict[str, Any]]:
    """Export everything stored about a person in a view, named by any id that they ever had."""
    call = context_of(request)
    seen = call.requested_view(view)
    export = await call.services.privacy.persons.export(call.dataset_ref, profile_id, seen)
    if export is None:
        raise profile_unknown()
    headers = {"Content-Disposition": f'attachment; filename="person-{export.profile_id}.json"'}
    body: Any = msgspec.json.encode(export.document)
    return Response(body, media_type=MediaType.JSON, headers=headers)


@post(
    "/profiles/{profile_id:str}/erase",
    opt=requires_enabled("profile_delete"),
    status_code=200,
    operation_class=described(),
    responses=error_responses(400, 401, 403, 404, 409),
)
async def erase_person(
    request: AnyRequest,
    profile_id: FromPath[str],
    view: ViewParameter = None,
    dry_run: DryRun = None,
) -> ReceiptDocument | ErasurePreviewDocument:
    """Erase what a person, named by any id, has in a view, and return the receipt.

    For an absorbed profile id, its data alone.
    """
    call = context_of(request)
    persons, named = call.services.privacy.persons, call.requested_view(view)
    if query_switch(request, "dry_run"):
        found = await persons.preview_erasure(call.dataset_ref, profile_id, named)
        if found is None:
            raise profile_unknown()
        return render_erasure_preview(found, named)
    receipt = await persons.erase(call.dataset_ref, call.actor, profile_id, named)
    if receipt is None:
        raise profile_unknown()
    return _render_receipt(receipt)


@get(
    "/erasures",
    opt=requires_enabled("profile_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def list_erasures(
    request: AnyRequest,
    size: PageSize = None,
    cursor: CursorWord = None,
) -> ErasureList:
    """List the receipts of all erasures."""
    call = context_of(request)
    limit, before = page_size(size), requested_position(cursor, _Seq(SEQ_MAX)).seq
    found = await call.services.privacy.erasure.list_receipts(call.dataset_ref, before, limit + 1)
    page, pagination = cut_page(found, limit, lambda last: _Seq(last.erased_at))
    return ErasureList([_render_receipt(receipt) for receipt in page], pagination)


@get(
    "/erasures/{receipt_id:str}",
    opt=requires_enabled("profile_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404),
)
async def read_erasure(request: AnyRequest, receipt_id: FromPath[str]) -> ReceiptDocument:
    """Read one receipt."""
    call = context_of(request)
    known_id = decode_profile_id(receipt_id)
    receipt = (
        await call.services.privacy.erasure.find_receipt(call.dataset_ref, known_id) if known_id else None
    )
    if receipt is None:
        raise wire_error(INVALID_REQUEST, "No erasure has this receipt.", 404)
    return _render_receipt(receipt)


@get(
    "/unfit-values",
    operation_id="list_unfit_values",
    opt=requires_enabled("admin_config_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def list_invalid_values(
    request: AnyRequest, cursor: CursorWord = None, view: ViewParameter = None
) -> InvalidValuesList:
    """List stored values that their attribute does not allow any more. They are hidden, not deleted."""
    call = context_of(request)
    after = requested_position(cursor, _After(START)).profile_id
    page = await call.services.profiles.invalid_values.page(call.dataset_ref, after, call.listed_view(view))
    following = _After(page.last) if page.last is not None else None
    pagination = paginate(page.found, PROFILES_PER_PAGE, following)
    return InvalidValuesList([_render_invalid(values) for values in page.found], page.seen, pagination)


def _render_receipt(receipt: Receipt) -> ReceiptDocument:
    return ReceiptDocument(
        receipt_id=receipt.receipt_id,
        erased_at=rfc3339(receipt.erased_at),
        profile_ids=list(receipt.profile_ids),
        application=receipt.application,
        entries=receipt.entries,
        identifiers=receipt.identifiers,
    )


def _render_invalid(values: ProfileInvalidValues) -> InvalidValuesDocument:
    return InvalidValuesDocument(values.path, values.problem, values.profiles, values.example)


ROUTES = [export_person, erase_person, list_erasures, read_erasure, list_invalid_values]
