"""`/datasets/{dataset}/write-keys`: the keys that may send events to a dataset. A key is returned once."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import delete, get, post
from litestar.params import FromPath
from msgspec import Meta, Struct

from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import (
    CursorWord,
    PageSize,
    Pagination,
    cut_page,
    page_size,
    requested_position,
)
from oneself.api.http.errors import INVALID_REQUEST
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest, Body, decode_object, non_null
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.request_options import decode_profile_id as decode_uuid
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.service.events.write_keys import KINDS, NewWriteKey, WriteKey

Kind = Annotated[str, Meta(extra_json_schema={"enum": list(KINDS)})]


class WriteKeyDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST. `allowed_origins`: the only origins whose pages may use a browser key; any by default."""

    kind: Kind | None = None
    name: str | None = None
    allowed_origins: list[str] | None = None


class WriteKeyDocument(Struct, frozen=True, omit_defaults=True):
    """A write key. `hint`: its last four characters. Only the response to POST has `key`."""

    key_id: UUID
    kind: Kind
    name: str
    allowed_origins: list[str]
    hint: str
    created_at: Timestamp
    key: str | None = None


class WriteKeyList(Struct, frozen=True):
    """One page of write keys, the oldest first."""

    write_keys: list[WriteKeyDocument]
    pagination: Pagination


class WriteKeyPosition(Struct, frozen=True):
    created_at: int
    key_id: str


_START = WriteKeyPosition(0, "")
DRAFT = Body("write key", INVALID_REQUEST, WriteKeyDraft)
VIEW = requires("identity_view")
UPDATE = requires("identity_update")
ALL = "/datasets/{dataset:str}/write-keys"


@get(ALL, opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def list_write_keys(
    request: AnyRequest, dataset: FromPath[str], size: PageSize = None, cursor: CursorWord = None
) -> WriteKeyList:
    """List the write keys of a dataset, without the keys themselves."""
    call = context_of(request)
    dataset_ref = await call.services.schema.datasets.get(call.dataset_ref, dataset)
    limit, after = page_size(size), requested_position(cursor, _START)
    found = await call.services.events.write_keys.list(dataset_ref)
    following = [key for key in found if _order(key) > (after.created_at, after.key_id)]
    page, pagination = cut_page(following, limit, lambda last: WriteKeyPosition(*_order(last)))
    return WriteKeyList([_render(key) for key in page], pagination)


@post(
    ALL,
    opt=UPDATE,
    operation_class=described(takes=WriteKeyDraft, required=("kind", "name")),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415),
)
async def create_write_key(request: AnyRequest, dataset: FromPath[str]) -> WriteKeyDocument:
    """Create a write key. The response has the key, which is never returned again."""
    call = context_of(request)
    dataset_ref = await call.services.schema.datasets.get(call.dataset_ref, dataset)
    given = non_null(await decode_object(request, DRAFT))
    new = NewWriteKey(**{"kind": "", "name": "", **given})
    write_key, text = await call.services.events.write_keys.create(dataset_ref, new, call.actor)
    return _render(write_key, text)


@delete(
    f"{ALL}/{{key_id:str}}",
    opt=UPDATE,
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404),
)
async def delete_write_key(request: AnyRequest, dataset: FromPath[str], key_id: FromPath[str]) -> None:
    """Delete a write key; no event is accepted by it any more. Returns 204 if it does not exist."""
    call = context_of(request)
    dataset_ref = await call.services.schema.datasets.get(call.dataset_ref, dataset)
    if (known_id := decode_uuid(key_id)) is not None:
        await call.services.events.write_keys.delete(dataset_ref, known_id, call.actor)


ROUTES = (list_write_keys, create_write_key, delete_write_key)


def _order(key: WriteKey) -> tuple[int, str]:
    return key.created_at, str(key.key_id)


def _render(key: WriteKey, text: str | None = None) -> WriteKeyDocument:
    return WriteKeyDocument(
        key_id=key.key_id,
        kind=key.kind,
        name=key.name,
        allowed_origins=list(key.allowed_origins),
        hint=key.hint,
        created_at=rfc3339(key.created_at),
        key=text,
    )
