"""`/identity-types`: which types of identifiers identify persons, the same in every dataset."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, patch, post
from litestar.params import FromPath
from msgspec import Meta, Struct

from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import CursorWord, PageSize, Pagination, named_page
from oneself.api.http.errors import INVALID_REQUEST, wire_error
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object, non_null
from oneself.api.http.openapi import Described, described, error_responses
from oneself.core.identity.identity_type import IdentityType

#: The wire's words for `is_unique`.
UNIQUENESS = {"Identity Namespace": True, "Not Unique": False}
WORDS = {is_unique: word for word, is_unique in UNIQUENESS.items()}

Uniqueness = Annotated[str, Meta(extra_json_schema={"enum": list(UNIQUENESS)})]


class IdentityTypeDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST. `blocked_values`: values that identify nobody, compared without case; the default
    blocklist applies as well, unless `blocks_default_values` is false. `proves_identity`: a user of whom a
    server said a value owns what servers began with it.
    """

    id: str | None = None
    label: str | None = None
    uniqueness: Uniqueness | None = None
    case_sensitive: bool | None = None
    trusted_only: bool | None = None
    proves_identity: bool | None = None
    conflict_blocks_merge: bool | None = None
    blocked_values: list[str] | None = None
    blocks_default_values: bool | None = None


class IdentityTypePatch(IdentityTypeDraft, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH. An absent field is unchanged, `[]` clears. Id, uniqueness and case sensitivity never
    change.
    """


class IdentityTypeDocument(Struct, frozen=True):
    """An identity type."""

    id: str
    label: str
    uniqueness: Uniqueness
    case_sensitive: bool
    built_in: bool
    trusted_only: bool
    proves_identity: bool
    conflict_blocks_merge: bool
    blocked_values: list[str]
    blocks_default_values: bool


class IdentityTypeList(Struct, frozen=True):
    """One page of identity types, the built-in ones first."""

    identity_types: list[IdentityTypeDocument]
    pagination: Pagination


DRAFT = Body("identity type", INVALID_REQUEST, IdentityTypeDraft)
PATCH = Body("identity type", INVALID_REQUEST, IdentityTypePatch)
VIEW = requires("identity_view")
UPDATE = requires("identity_update")
ONE = "/identity-types/{type_id:str}"


@get("/identity-types", opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403))
async def list_identity_types(
    request: AnyRequest, size: PageSize = None, cursor: CursorWord = None
) -> IdentityTypeList:
    """List the identity types of the organisation."""
    call = context_of(request)
    found = await call.services.schema.identity_types.list(call.dataset_ref)
    page, pagination = named_page(found, _order, size, cursor)
    return IdentityTypeList([_render(identity_type) for identity_type in page], pagination)


@post(
    "/identity-types",
    opt=UPDATE,
    operation_class=described(takes=IdentityTypeDraft, required=("id",)),
    responses=error_responses(400, 401, 403, 409, 413, 415),
)
async def create_identity_type(request: AnyRequest) -> IdentityTypeDocument:
    """Create an identity type. It matches in the datasets that bind an attribute to it."""
    call = context_of(request)
    document = await decode_object(request, DRAFT)
    given = read_identity_type_changes(document)
    type_id = given.pop("type_id", "")
    new = IdentityType(type_id, given.pop("label", type_id), **given)
    return _render(await call.services.schema.identity_types.create(call.dataset_ref, new))


@get(ONE, opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def read_identity_type(request: AnyRequest, type_id: FromPath[str]) -> IdentityTypeDocument:
    """Read one identity type."""
    call = context_of(request)
    return _render(await call.services.schema.identity_types.find(call.dataset_ref, type_id))


@patch(
    ONE,
    opt=UPDATE,
    operation_class=described(takes=IdentityTypePatch),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415),
)
async def change_identity_type(request: AnyRequest, type_id: FromPath[str]) -> IdentityTypeDocument:
    """Change the label, guards and blocked values of an identity type, built-in ones included."""
    call = context_of(request)
    given = read_identity_type_changes(await decode_object(request, PATCH))
    if given.pop("type_id", type_id) != type_id:
        raise wire_error(INVALID_REQUEST, "The id of an identity type never changes; make another type.")
    return _render(await call.services.schema.identity_types.change(call.dataset_ref, type_id, given))


@delete(ONE, opt=UPDATE, operation_class=Described, responses=error_responses(400, 401, 403, 404, 409))
async def delete_identity_type(request: AnyRequest, type_id: FromPath[str]) -> None:
    """Delete an identity type that no dataset binds and of which no profile has a value."""
    call = context_of(request)
    await call.services.schema.identity_types.delete(call.dataset_ref, type_id)


ROUTES = (
    list_identity_types,
    create_identity_type,
    read_identity_type,
    change_identity_type,
    delete_identity_type,
)


def read_identity_type_changes(document: Object) -> Object:
    """The fields of the body, by the names of IdentityType."""
    given = non_null(document)
    if (word := given.pop("uniqueness", None)) is not None:
        if word not in UNIQUENESS:
            raise wire_error(INVALID_REQUEST, f"uniqueness must be one of: {', '.join(UNIQUENESS)}.")
        given["is_unique"] = UNIQUENESS[word]
    if "id" in given:
        given["type_id"] = given.pop("id")
    if "blocked_values" in given:
        given["blocked_values"] = tuple(dict.fromkeys(given["blocked_values"]))
    return given


def _order(identity_type: IdentityType) -> str:
    """Sorts the built-in types first; an id has no blank."""
    return f"{'' if identity_type.built_in else '~'} {identity_type.type_id}"


def _render(identity_type: IdentityType) -> IdentityTypeDocument:
    return IdentityTypeDocument(
        id=identity_type.type_id,
        label=identity_type.label,
        uniqueness=WORDS[identity_type.is_unique],
        case_sensitive=identity_type.case_sensitive,
        built_in=identity_type.built_in,
        trusted_only=identity_type.trusted_only,
        proves_identity=identity_type.proves_identity,
        conflict_blocks_merge=identity_type.conflict_blocks_merge,
        blocked_values=list(identity_type.blocked_values),
        blocks_default_values=identity_type.blocks_default_values,
    )
