"""`/token-keys`: the keys that encrypt persisted tokens. Secrets are never returned.

Source: docs/wire/interactions.md §7.
"""

from __future__ import annotations

import re
from typing import Literal

from litestar import delete, get, post
from litestar.params import FromPath
from msgspec import Struct
from msgspec.structs import astuple

from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import (
    CursorWord,
    PageSize,
    Pagination,
    cut_page,
    decode_cursor,
    page_size,
)
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.openapi import Described, error_responses
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.service.events.token_keys import TokenKeyState


class TokenKeyDocument(Struct, frozen=True):
    """A key; every listed key decrypts its tokens. `waiting`: encrypts from `active_from` on. `active`:
    encrypts. `retired`: encrypted until another key became active.
    """

    key_id: int
    state: Literal["waiting", "active", "retired"]
    created_at: Timestamp
    active_from: Timestamp


class TokenKeyList(Struct, frozen=True):
    """One page of token keys, the newest first."""

    token_keys: list[TokenKeyDocument]
    pagination: Pagination


class KeyPosition(Struct, frozen=True):
    active_from: int
    key_id: int


VIEW = requires("identity_view")
UPDATE = requires("identity_update")
_KEY_ID = re.compile(r"[1-9][0-9]{0,4}")


@get("/token-keys", opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403))
async def list_token_keys(
    request: AnyRequest,
    size: PageSize = None,
    cursor: CursorWord = None,
) -> TokenKeyList:
    """List the keys that decrypt persisted tokens. There is none before the first token."""
    call = context_of(request)
    limit, after = page_size(size), decode_cursor(cursor, KeyPosition) if cursor else None
    keys = await call.services.events.token_keys.list(call.dataset_ref)
    if after is not None:
        keys = [key for key in keys if astuple(_position(key)) < astuple(after)]
    page, pagination = cut_page(keys, limit, _position)
    return TokenKeyList([_render(key) for key in page], pagination)


@post("/token-keys", opt=UPDATE, operation_class=Described, responses=error_responses(400, 401, 403, 409))
async def rotate_token_key(request: AnyRequest) -> TokenKeyDocument:
    """Create a token key. It encrypts after one minute; the previous key keeps decrypting."""
    call = context_of(request)
    return _render(await call.services.events.token_keys.rotate(call.dataset_ref))


@delete(
    "/token-keys/{key_id:str}",
    opt=UPDATE,
    operation_class=Described,
    responses=error_responses(400, 401, 403, 409),
)
async def destroy_token_key(request: AnyRequest, key_id: FromPath[str]) -> None:
    """Destroy a key that is not active. Its tokens are void within ten seconds."""
    call = context_of(request)
    if _KEY_ID.fullmatch(key_id):
        await call.services.events.token_keys.destroy(call.dataset_ref, int(key_id))


ROUTES = (list_token_keys, rotate_token_key, destroy_token_key)


def _position(key: TokenKeyState) -> KeyPosition:
    return KeyPosition(key.active_from, key.key_id)


def _render(key: TokenKeyState) -> TokenKeyDocument:
    return TokenKeyDocument(key.key_id, key.state, rfc3339(key.created_at), rfc3339(key.active_from))
