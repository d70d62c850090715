"""`/users`: the users of the embedded directory. Passwords are never returned."""

from __future__ import annotations

from uuid import UUID

from litestar import delete, get, patch, post
from litestar.params import FromPath
from msgspec import Struct

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
from oneself.api.http.request_options import decode_profile_id
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.errors import NotFound
from oneself.service.directory.accounts import Account, Registration


class UserFields(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be set when a user is created and afterwards."""

    password: str | None = None
    given_name: str | None = None
    last_name: str | None = None
    mobile: str | None = None


class UserPatch(UserFields, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH. An absent field is unchanged, "" clears `mobile`. A new password ends every session.

    `email_verified`, `mobile_verified`: true verifies the address or number, false withdraws it.
    """

    email_verified: bool | None = None
    mobile_verified: bool | None = None


class UserDraft(UserFields, frozen=True, forbid_unknown_fields=True):
    """Body of POST. `username` is an e-mail address. A new user has nothing verified."""

    username: str | None = None


class UserDocument(Struct, frozen=True):
    """A user of the embedded directory. `user_id` is also the user id of the profile.

    `email_verified_at`, `mobile_verified_at`: since when the address or number is verified, or null.
    """

    user_id: UUID
    username: str
    given_name: str
    last_name: str
    mobile: str
    email_verified: bool
    email_verified_at: Timestamp | None
    mobile_verified: bool
    mobile_verified_at: Timestamp | None
    created_at: Timestamp


class UserCursor(Struct, frozen=True):
    """The last user of a page."""

    username: str
    user_id: UUID


class UserList(Struct, frozen=True):
    """One page of users, by username."""

    users: list[UserDocument]
    pagination: Pagination


DRAFT = Body("user", INVALID_REQUEST, UserDraft)
PATCH = Body("user", INVALID_REQUEST, UserPatch)
VIEW = requires("admin_config_view")
UPDATE = requires("admin_config_update")
#: Before every user id.
FIRST_ID = UUID(int=0)
_VERIFIED = {"email_verified": "emailaddress", "mobile_verified": "mobile"}
ONE = "/users/{user_id:str}"


@get("/users", opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403))
async def list_users(
    request: AnyRequest,
    size: PageSize = None,
    cursor: CursorWord = None,
) -> UserList:
    """List the users of the embedded directory."""
    call = context_of(request)
    limit, after = page_size(size), requested_position(cursor, UserCursor("", FIRST_ID))
    found = await call.services.directory.accounts.list(
        call.dataset_ref, after.username, limit + 1, after_id=after.user_id
    )
    page, pagination = cut_page(found, limit, lambda last: UserCursor(last.username, last.user_id))
    return UserList([_render(account) for account in page], pagination)


@post(
    "/users",
    opt=UPDATE,
    operation_class=described(takes=UserDraft, required=("username", "password", "given_name", "last_name")),
    responses=error_responses(400, 401, 403, 409, 413, 415),
)
async def create_user(request: AnyRequest) -> UserDocument:
    """Create a user. The profile is created at the first sign-in."""
    call = context_of(request)
    document = await decode_object(request, DRAFT)
    given = {name: document.get(name) or "" for name in Registration.__struct_fields__}
    return _render(await call.services.directory.accounts.create(call.dataset_ref, Registration(**given)))


@get(ONE, opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def read_user(request: AnyRequest, user_id: FromPath[str]) -> UserDocument:
    """Read one user."""
    call = context_of(request)
    return _render(await call.services.directory.users.get(call.dataset_ref, _id(user_id)))


@patch(
    ONE,
    opt=UPDATE,
    operation_class=described(takes=UserPatch),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415),
)
async def change_user(request: AnyRequest, user_id: FromPath[str]) -> UserDocument:
    """Change a user's names, mobile number or password, or what is verified.

    The profile has the change at once. A mobile number that changes is no longer verified.
    """
    call = context_of(request)
    document = await decode_object(request, PATCH)
    given = non_null(document)
    verified = {claim: given.pop(name) for name, claim in _VERIFIED.items() if name in given}
    changed = await call.services.directory.users.change(
        call.dataset_ref, call.actor, _id(user_id), given, verified
    )
    return _render(changed)


@delete(ONE, opt=UPDATE, operation_class=Described, responses=error_responses(400, 401, 403))
async def delete_user(request: AnyRequest, user_id: FromPath[str]) -> None:
    """Delete a user: account, sessions, tokens and the full profile. Returns 204 if it does not exist."""
    call = context_of(request)
    if (known_id := decode_profile_id(user_id)) is not None:
        await call.services.directory.users.delete(call.dataset_ref, call.actor, known_id)


ROUTES = (list_users, create_user, read_user, change_user, delete_user)


def _id(text: str) -> UUID:
    known_id = decode_profile_id(text)
    if known_id is None:
        raise NotFound("There is no user of this id.")
    return known_id


def _render(account: Account) -> UserDocument:
    return UserDocument(
        user_id=account.user_id,
        username=account.username,
        given_name=account.claims.get("givenname", ""),
        last_name=account.claims.get("lastname", ""),
        mobile=account.claims.get("mobile", ""),
        email_verified="emailaddress" in account.verified,
        email_verified_at=_verified_at(account, "emailaddress"),
        mobile_verified="mobile" in account.verified,
        mobile_verified_at=_verified_at(account, "mobile"),
        created_at=rfc3339(account.created_at),
    )


def _verified_at(account: Account, claim: str) -> Timestamp | None:
    at = account.verified.get(claim)
    return None if at is None else rfc3339(at)
