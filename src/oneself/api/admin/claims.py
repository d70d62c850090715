"""`/claims`: the claims that the identity attributes mirror. Decode, one use-case, render."""

from __future__ import annotations

from typing import Any

from litestar import delete, get, patch, post
from litestar.params import FromPath
from msgspec import Struct

from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import CursorWord, PageSize, Pagination, named_page
from oneself.api.http.errors import INVALID_REQUEST
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object, non_null
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.core.values.attribute import CanonicalValue
from oneself.service.identity_provider.directory_claims import DirectoryClaim
from oneself.store.tables.claim_sync import ClaimSyncProgress


class ClaimCanonicalValueDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """One allowed value and its label."""

    value: str | None = None
    label: str | None = None


class ClaimPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH. An absent field is unchanged, `[]` clears."""

    display_name: str | None = None
    value_type: str | None = None
    multi_valued: bool | None = None
    read_only: bool | None = None
    canonical_values: list[ClaimCanonicalValueDraft] | None = None


class ClaimDraft(ClaimPatch, frozen=True, forbid_unknown_fields=True):
    """Body of POST. `name`: what follows `identity_attributes.`; `address.city` is a member of `address`."""

    name: str | None = None


class ClaimCanonicalValueDocument(Struct, frozen=True):
    """One allowed value and its label."""

    value: str
    label: str


class ClaimDocument(Struct, frozen=True):
    """A claim, and the id of the attribute that mirrors it."""

    name: str
    display_name: str
    value_type: str
    multi_valued: bool
    read_only: bool
    canonical_values: list[ClaimCanonicalValueDocument]
    attribute_id: str


class ClaimList(Struct, frozen=True):
    """One page of claims, by name."""

    claims: list[ClaimDocument]
    pagination: Pagination


class RejectedClaimDocument(Struct, frozen=True):
    """A claim that the identity server reported `times` times and no attribute could store."""

    attribute: str
    problem: str
    times: int
    first_at: Timestamp
    last_at: Timestamp


class SyncDocument(Struct, frozen=True, omit_defaults=True):
    """State of the synchronisation of claims.

    `failures`: since the last success. `next_at` and `succeeded_at` are absent if no claims were ever read,
    as without an identity server.
    """

    requested: int
    done: int
    failures: int
    skipped: list[RejectedClaimDocument]
    failure: str | None = None
    next_at: Timestamp | None = None
    succeeded_at: Timestamp | None = None


DRAFT = Body("claim", INVALID_REQUEST, ClaimDraft)
PATCH = Body("claim", INVALID_REQUEST, ClaimPatch)


@get(
    "/claims",
    opt=requires("admin_config_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def list_claims(
    request: AnyRequest,
    size: PageSize = None,
    cursor: CursorWord = None,
) -> ClaimList:
    """List every claim, by name."""
    call = context_of(request)
    found = await call.services.identity_provider.directory_claims.list(call.dataset_ref)
    page, pagination = named_page(found, lambda claim: claim.name, size, cursor)
    return ClaimList([_render(claim) for claim in page], pagination)


@post(
    "/claims",
    opt=requires("admin_config_update"),
    operation_class=described(takes=ClaimDraft, required=("name",)),
    responses=error_responses(400, 401, 403, 409, 413, 415),
)
async def add_claim(request: AnyRequest) -> ClaimDocument:
    """Add a claim of the embedded directory. Its attribute exists when this returns."""
    call = context_of(request)
    changes = _decode(await decode_object(request, DRAFT))
    claim = DirectoryClaim(changes.pop("name", ""), **changes)
    return _render(await call.services.identity_provider.directory_claims.add(call.dataset_ref, claim))


@get(
    "/claims/{name:str}",
    opt=requires("admin_config_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404),
)
async def read_claim(request: AnyRequest, name: FromPath[str]) -> ClaimDocument:
    """Read one claim."""
    call = context_of(request)
    return _render(await call.services.identity_provider.directory_claims.find(call.dataset_ref, name))


@patch(
    "/claims/{name:str}",
    opt=requires("admin_config_update"),
    operation_class=described(takes=ClaimPatch),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415),
)
async def change_claim(request: AnyRequest, name: FromPath[str]) -> ClaimDocument:
    """Change a claim. Its attribute keeps its id; values that become invalid are hidden, not deleted."""
    call = context_of(request)
    changes = _decode(await decode_object(request, PATCH))
    return _render(
        await call.services.identity_provider.directory_claims.change(call.dataset_ref, name, changes)
    )


@delete(
    "/claims/{name:str}",
    opt=requires("admin_config_update"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 409),
)
async def delete_claim(request: AnyRequest, name: FromPath[str]) -> None:
    """Delete a claim with its members, and the rules and consent entries on them. Values stay stored, hidden,
    and reappear with it; rules and consent entries do not.
    """
    call = context_of(request)
    await call.services.identity_provider.directory_claims.delete(call.dataset_ref, name)


@get(
    "/claim-sync",
    opt=requires("admin_config_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def read_claim_sync(request: AnyRequest) -> SyncDocument:
    """Read the state of the claim synchronisation, and the reported claims that were rejected."""
    call = context_of(request)
    progress = (
        await call.services.identity_provider.claim_sync.progress(call.dataset_ref) or ClaimSyncProgress()
    )
    return SyncDocument(
        requested=progress.requested,
        done=progress.done,
        failures=progress.failures,
        failure=progress.failure,
        next_at=_instant(progress.next_at),
        succeeded_at=_instant(progress.succeeded_at),
        skipped=[
            RejectedClaimDocument(
                rejected.path,
                rejected.problem,
                rejected.times,
                rfc3339(rejected.first_at),
                rfc3339(rejected.last_at),
            )
            for rejected in await call.services.identity_provider.rejected_claims.list(call.dataset_ref)
        ],
    )


ROUTES = (list_claims, add_claim, read_claim, change_claim, delete_claim, read_claim_sync)


def _decode(document: Object) -> dict[str, Any]:
    """The fields of the body that are not null."""
    changes = non_null(document)
    if "canonical_values" in changes:
        changes["canonical_values"] = tuple(
            CanonicalValue(entry.get("value") or "", entry.get("label"))
            for entry in changes["canonical_values"]
        )
    return changes


def _render(claim: DirectoryClaim) -> ClaimDocument:
    return ClaimDocument(
        name=claim.name,
        display_name=claim.display_name,
        value_type=claim.value_type,
        multi_valued=claim.multi_valued,
        read_only=claim.read_only,
        canonical_values=[
            ClaimCanonicalValueDocument(v.value, v.label or "") for v in claim.canonical_values
        ],
        attribute_id=claim.attribute_id,
    )


def _instant(instant: int | None) -> str | None:
    return None if instant is None else rfc3339(instant)
