"""`/claims`: the claims that the identity attributes mirror (DESIGN §9). Decode, one use-case, render.

The door of this face has been passed: who calls, on which organisation, with which permission.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath

from oneself.core.attribute import CanonicalValue
from oneself.errors import InvalidInput
from oneself.service.claim_sync import Progress
from oneself.service.claims import Claim, Claims
from oneself.service.organisations import Tenant
from oneself.service.skipped_claims import SkippedClaim

AnyRequest = Request[Any, Any, Any]
T = TypeVar("T")

PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX = 100, 200
VIEW = {"permission": "admin_config_view", "gate": None}
UPDATE = {"permission": "admin_config_update", "gate": None}
TAGS = ["Administration"]


class ClaimDocument(msgspec.Struct, frozen=True):
    """A claim. `name` is what follows `identity_attributes.`; a dotted one is a member of a complex claim."""

    name: str
    display_name: str
    value_type: str
    multi_valued: bool
    read_only: bool
    canonical_values: tuple[CanonicalValue, ...]
    attribute_id: str


class ClaimDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST."""

    name: str
    value_type: str = "string"
    display_name: str = ""
    multi_valued: bool = False
    read_only: bool = False
    canonical_values: tuple[CanonicalValue, ...] = ()


class ClaimPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of PATCH; what is absent stays."""

    value_type: str | msgspec.UnsetType = msgspec.UNSET
    display_name: str | msgspec.UnsetType = msgspec.UNSET
    multi_valued: bool | msgspec.UnsetType = msgspec.UNSET
    read_only: bool | msgspec.UnsetType = msgspec.UNSET
    canonical_values: tuple[CanonicalValue, ...] | msgspec.UnsetType = msgspec.UNSET


class Pagination(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a list goes on; nowhere without `next_cursor`."""

    count: int
    page_size: int
    next_cursor: str = ""


class ClaimList(msgspec.Struct, frozen=True):
    """Claims by name."""

    claims: list[ClaimDocument]
    pagination: Pagination


class SyncDocument(msgspec.Struct, frozen=True):
    """How far the claims of an identity server are mirrored, and what it reported that was skipped.

    Instants in µs since 1970. `progress` is null where no identity server was ever asked.
    """

    progress: Progress | None
    skipped: list[SkippedClaim]


@get("/claims", opt=VIEW, tags=TAGS)
async def list_claims(request: AnyRequest) -> ClaimList:
    """Every claim, by name."""
    claims, tenant = _call(request)
    size, after = _page_size(request), _cursor(request)
    following = [claim for claim in await claims.list(tenant) if claim.name > after]
    page = following[:size]
    cursor = _encoded(page[-1].name) if page and len(following) > size else ""
    return ClaimList([_render(claim) for claim in page], Pagination(len(page), size, cursor))


@post("/claims", opt=UPDATE, tags=TAGS)
async def add_claim(request: AnyRequest) -> ClaimDocument:
    """Add a claim; its attribute is there when this is answered."""
    claims, tenant = _call(request)
    draft = await _decode(request, ClaimDraft)
    return _render(await claims.add(tenant, Claim(**msgspec.structs.asdict(draft))))


@get("/claims/{name:str}", opt=VIEW, tags=TAGS)
async def read_claim(request: AnyRequest, name: FromPath[str]) -> ClaimDocument:
    """One claim."""
    claims, tenant = _call(request)
    return _render(await claims.find(tenant, name))


@patch("/claims/{name:str}", opt=UPDATE, tags=TAGS)
async def change_claim(request: AnyRequest, name: FromPath[str]) -> ClaimDocument:
    """Change a claim; its attribute keeps its id, and values that no longer fit are hidden, not lost."""
    claims, tenant = _call(request)
    changes = msgspec.structs.asdict(await _decode(request, ClaimPatch))
    given = {field: value for field, value in changes.items() if value is not msgspec.UNSET}
    return _render(await claims.change(tenant, name, given))


@delete("/claims/{name:str}", opt=UPDATE, tags=TAGS)
async def delete_claim(request: AnyRequest, name: FromPath[str]) -> None:
    """Delete a claim with its members; values stay, hidden, and come back with it."""
    claims, tenant = _call(request)
    await claims.delete(tenant, name)


@get("/claim-sync", opt=VIEW, tags=TAGS)
async def read_sync(request: AnyRequest) -> SyncDocument:
    """How far the identity server's claims are mirrored, and what could not be taken."""
    services, tenant = request.app.state.services, _call(request)[1]
    progress = await services.claim_sync.progress(tenant)
    return SyncDocument(progress, await services.skipped_claims.list(tenant))


ROUTES = [list_claims, add_claim, read_claim, change_claim, delete_claim, read_sync]


def _call(request: AnyRequest) -> tuple[Claims, Tenant]:
    call = request.scope["state"]["call"]
    return cast("Claims", request.app.state.services.claims), cast("Tenant", call.tenant)


def _render(claim: Claim) -> ClaimDocument:
    return ClaimDocument(**{name: getattr(claim, name) for name in ClaimDocument.__struct_fields__})


async def _decode(request: AnyRequest, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            "body", "Invalid request.", f"The body is not what is expected: {error}."
        ) from None


def _page_size(request: AnyRequest) -> int:
    given = request.query_params.get("page_size", str(PAGE_SIZE_DEFAULT))
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise InvalidInput("page_size", "Invalid request.", "page_size is a number from 0 to 200.")
    return min(int(given), PAGE_SIZE_MAX)


def _cursor(request: AnyRequest) -> str:
    try:
        return base64.urlsafe_b64decode(request.query_params.get("cursor", "")).decode()
    except (binascii.Error, ValueError):
        raise InvalidInput("cursor", "Invalid request.", "cursor is not one of ours.") from None


def _encoded(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()
