"""The vendor's look-up and delete calls: `/api/dataset/{dataset}/…` and `/api/audit/list`, also under
`/t/{org}`.

They require Basic credentials of an application that holds `internal_cds_event_create`. They show what the
business believes (the view `all`); in the dataset `default`, where people sign in, reading that takes
`internal_cds_profile_view_all`. Attributes are disclosed as on every wire (`api.documents.person`). An error
is `{"errorCode": 5, "message": …}`, as for an event. Calls that would read a full dataset are rejected:
filters, segments, and pages far down the list.
Source: docs/wire/interactions.md §4.
"""

from __future__ import annotations

import asyncio
import csv
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.enums import MediaType
from litestar.exceptions import HTTPException

from oneself.api.http.guard import RequestContext
from oneself.api.interactions.credentials import SEND_CREDENTIALS, authenticate_sender
from oneself.api.interactions.errors import RequestRejected
from oneself.api.interactions.render import BUSY, INVALID, render_failure
from oneself.api.interactions.user_record import UserRecord, render_csv, render_user
from oneself.auth.callers.permissions import PROFILE_VIEW_ALL
from oneself.core.config.configuration import Config
from oneself.core.units import MILLISECOND_US
from oneself.errors import ServiceError
from oneself.service.context import DEFAULT_DATASET, DatasetRef
from oneself.service.log.audit import AuditEntry
from oneself.service.privacy.selection import ErasureTarget
from oneself.service.profiles.ids import AliasedProfile, AmbiguousId

if TYPE_CHECKING:
    from oneself.services import Services

AnyRequest = Request[Any, Any, Any]

INTERFACE = "interactions"
PAGE_SIZE, PAGE_SIZE_MAX = 100, 1000
#: The last user that pages reach: a page costs as much as all pages before it.
USERS_LISTED_MAX = 100_000
AUDIT_PAGE_SIZE_MAX = 2000
AUDIT_DAYS_MAX = 50
DAY_MS = 24 * 3600 * 1000
ROWS_MAX = 100_000
#: ROWS_MAX ids of 64 characters, with room for quotes and the multipart form.
FILE_BYTES_MAX = 16 * 1024 * 1024
#: An erasure holds a connection; events need connections as well.
ERASED_AT_ONCE = 4
_NUMBER = re.compile(r"[0-9]{1,15}")
_UNSUPPORTED = {
    "filter": "filter is not supported: no index answers it. Look a user up by an id, or resolve identities.",
    "start": "start and end are not supported: users are listed by when they were made, not by activity.",
    "end": "start and end are not supported: users are listed by when they were made, not by activity.",
    "segmentationId": "There are no segments here; leave segmentationId out.",
    "segmentId": "There are no segments here; leave segmentId out.",
}


class UserPage(msgspec.Struct, frozen=True):
    """One page of users, newest first. `page` counts from 1."""

    users: list[UserRecord]
    page: int
    pageSize: int
    hasMore: bool


class AuditedChange(msgspec.Struct, frozen=True):
    """A setting of `subject` with its values before and after; null: there was none, or there is none."""

    subject: str
    name: str
    before: Any
    after: Any


class AuditRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An audit entry. `time` in ms. `details`: kinds of changes, the number of erased profiles, the number of
    parts that a person split or merged, or the claims that were verified (true) or whose verification was
    withdrawn (false). `changed`: what was changed from what to what.
    """

    id: str
    time: int
    dataset: str
    action: str
    interface: str = msgspec.field(name="face")
    user: str | None
    details: dict[str, Any]
    consoleUser: str | None = None
    changed: list[AuditedChange] = []


class AuditPage(msgspec.Struct, frozen=True):
    """One page of audit entries, newest first. `page` counts from 1."""

    audits: list[AuditRecord]
    page: int
    pageSize: int
    hasMore: bool


def _paths(path: str) -> list[str]:
    return [path, f"/t/{{org:str}}{path}"]


@get(_paths("/api/dataset/{dataset:str}/user/{user_id:path}"))
async def read_user(request: AnyRequest) -> Response[bytes]:
    """Read one user by primary id, anonymous id or alias."""
    call, at = await _enter_to_read(request)
    view = await call.services.profiles.lookup.find(at, _last_step(request))
    if view is None:
        raise RequestRejected(404, "There is no such user in this dataset.")
    person = await call.services.profiles.lookup.person(at, view.survivor)
    return _json(render_user(call, person, view.config))


@get(_paths("/api/dataset/{dataset:str}/users.json"))
async def list_users(request: AnyRequest) -> Response[bytes]:
    """List users, newest first."""
    call, at = await _enter_to_read(request)
    number, size, persons, has_more = await _page_of_persons(request, call, at)
    config = await _config(call, at)
    return _json(UserPage([render_user(call, person, config) for person in persons], number, size, has_more))


@get(_paths("/api/dataset/{dataset:str}/users.csv"))
async def list_users_csv(request: AnyRequest) -> Response[bytes]:
    """List users as CSV, newest first."""
    call, at = await _enter_to_read(request)
    _, _, persons, _ = await _page_of_persons(request, call, at)
    config = await _config(call, at)
    text = render_csv((render_user(call, person, config) for person in persons), config)
    headers = {"Content-Disposition": 'attachment; filename="users.csv"'}
    return Response(text.encode(), media_type="text/csv", headers=headers)


@post(
    _paths("/api/dataset/{dataset:str}/users/delete"), status_code=200, request_max_body_size=FILE_BYTES_MAX
)
async def delete_users(request: AnyRequest) -> Response[str]:
    """Erase the users in the rows of a file, each named by any id."""
    call, at = await _enter(request)
    ids = await _rows(request)
    turns = asyncio.Semaphore(ERASED_AT_ONCE)
    erased = await asyncio.gather(*(_erase(call, at, text, turns) for text in dict.fromkeys(ids)))
    return Response(f"Deleted {sum(erased)} users ({len(ids)} requested)", media_type=MediaType.TEXT)


@get(_paths("/api/audit/list"))
async def list_audit(request: AnyRequest) -> Response[bytes]:
    """List changes of configuration, erasures and verifications, newest first."""
    call = await _call(request)
    now = time.time_ns() // 1_000_000
    until = _number(request, "end", now)
    since = _number(request, "start", until - AUDIT_DAYS_MAX * DAY_MS)
    if until - since > AUDIT_DAYS_MAX * DAY_MS:
        raise RequestRejected(400, f"From start to end are at most {AUDIT_DAYS_MAX} days, in milliseconds.")
    number, size = _page(request, AUDIT_PAGE_SIZE_MAX)
    found = await call.services.log.audit.list_entries(
        call.dataset_ref,
        since * MILLISECOND_US,
        (until + 1) * MILLISECOND_US,
        limit=size + 1,
        offset=(number - 1) * size,
    )
    return _json(AuditPage([_render_entry(entry) for entry in found[:size]], number, size, len(found) > size))


def _last_step(request: AnyRequest) -> str:
    """The last step of the path as it was sent. A named id of a legacy dataset has any form, slashes at its
    ends included (docs/wire/interactions.md §11); the router would remove those.
    """
    raw: bytes = request.scope["raw_path"]
    return unquote_to_bytes(raw.rstrip(b"/").rpartition(b"/")[2]).decode(errors="replace")


async def _enter(request: AnyRequest) -> tuple[RequestContext, DatasetRef]:
    """The caller, and the dataset in the path."""
    call = await _call(request)
    at = await call.services.schema.datasets.find(call.dataset_ref, request.path_params["dataset"])
    if at is None:
        raise RequestRejected(404, "There is no such dataset here. Check the names in the path.")
    return call, at


async def _enter_to_read(request: AnyRequest) -> tuple[RequestContext, DatasetRef]:
    """The same, if the caller may read what the business believes of people in that dataset."""
    call, at = await _enter(request)
    if at.dataset == DEFAULT_DATASET and not call.caller.holds(PROFILE_VIEW_ALL):
        sentence = f"Reading the dataset {at.dataset} takes the permission {PROFILE_VIEW_ALL}."
        raise RequestRejected(403, sentence)
    return call, at


async def _call(request: AnyRequest) -> RequestContext:
    services: Services = request.app.state.services
    handle = request.path_params.get("org") or services.settings.organisation or ""
    dataset_ref = await services.directory.organisations.find(handle)
    if dataset_ref is None:
        raise RequestRejected(401, SEND_CREDENTIALS)
    address = request.client.host if request.client else ""
    authorization = request.headers.get("authorization")
    caller = await authenticate_sender(services, dataset_ref, authorization, address)
    config = await services.configurations.current(dataset_ref.dataset_id)
    return RequestContext(services, dataset_ref, caller, config, INTERFACE)


async def _config(call: RequestContext, at: DatasetRef) -> Config:
    return await call.services.configurations.current(at.dataset_id)


async def _page_of_persons(
    request: AnyRequest, call: RequestContext, at: DatasetRef
) -> tuple[int, int, list[AliasedProfile], bool]:
    for name, sentence in _UNSUPPORTED.items():
        if request.query_params.get(name):
            raise RequestRejected(400, sentence)
    number, size = _page(request, PAGE_SIZE_MAX)
    if number * size > USERS_LISTED_MAX:
        sentence = f"Pages reach the newest {USERS_LISTED_MAX} users; GET /profiles has cursors beyond that."
        raise RequestRejected(400, sentence)
    found = await call.services.profiles.lookup.page(at, size + 1, (number - 1) * size)
    return number, size, found[:size], len(found) > size


def _page(request: AnyRequest, size_max: int) -> tuple[int, int]:
    """Page number and size. The first page is 1; 0 is read as 1."""
    number, size = _number(request, "page", 1), _number(request, "pageSize", PAGE_SIZE)
    if not 0 < size <= size_max:
        raise RequestRejected(400, f"pageSize must be between 1 and {size_max}.")
    return min(max(number, 1), USERS_LISTED_MAX + 1), size


def _number(request: AnyRequest, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not _NUMBER.fullmatch(text):
        raise RequestRejected(400, f"{name} must be a whole number.")
    return int(text)


async def _rows(request: AnyRequest) -> list[str]:
    """The ids in the file, one per row that has one."""
    form = await request.form()
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise RequestRejected(400, "Send the ids as the file of a multipart form: file=@users.csv.")
    try:
        lines = (await file.read()).decode("utf-8-sig").splitlines()
        rows = [row for row in csv.reader(lines) if row]
    except (UnicodeDecodeError, csv.Error):
        raise RequestRejected(400, "The file is no CSV in UTF-8.") from None
    if not rows or "name" not in rows[0]:
        raise RequestRejected(400, "The first line of the file must be the header: name")
    column = rows[0].index("name")
    if len(rows) - 1 > ROWS_MAX:
        raise RequestRejected(400, f"The file has more than {ROWS_MAX} rows; send several.")
    return [row[column].strip() for row in rows[1:] if len(row) > column and row[column].strip()]


async def _erase(call: RequestContext, at: DatasetRef, text: str, turns: asyncio.Semaphore) -> bool:
    """Whether there was a profile to erase. An id that may mean several erases none."""
    async with turns:
        try:
            view = await call.services.profiles.lookup.find_certain(at, text, "all")
        except AmbiguousId:
            return False
        if view is None:
            return False
        target = ErasureTarget(profile_id=view.survivor.profile_id, as_person=True)
        receipt = await call.services.privacy.erasure.erase(at, call.actor, target)
        return receipt is not None


def _render_entry(entry: AuditEntry) -> AuditRecord:
    return AuditRecord(
        id=str(entry.entry_id),
        time=entry.at // MILLISECOND_US,
        dataset=entry.dataset,
        action=entry.kind,
        interface=entry.interface,
        user=entry.application,
        details={**_details(entry), "version": entry.version},
        consoleUser=entry.console_user,
        changed=[
            AuditedChange(item.subject, item.name, item.before, item.after) for item in entry.differences
        ],
    )


def _details(entry: AuditEntry) -> dict[str, Any]:
    match entry.kind:
        case "erase":
            return {"profiles": entry.profiles}
        case "split" | "merge":
            return {"parts": entry.parts}
        case "verify":
            return {"claims": entry.claims}
        case "configure":
            return {"changes": list(entry.changes)}
        case _:
            return {}


def _json(document: msgspec.Struct) -> Response[bytes]:
    return Response(msgspec.json.encode(document), media_type=MediaType.JSON)


def _failed(status: int, code: int, sentence: str, headers: dict[str, str] | None = None) -> Response[bytes]:
    body = render_failure(code, sentence)
    return Response(body, status_code=status, media_type=MediaType.JSON, headers=headers)


def answer_refused(_: AnyRequest, refused: RequestRejected) -> Response[bytes]:
    """The same response as from the event endpoints (docs/wire/interactions.md §6)."""
    challenge = {"WWW-Authenticate": 'Basic realm="events"'} if refused.status == 401 else None
    return _failed(refused.status, INVALID, refused.sentence, challenge)


def answer_busy(_: AnyRequest, error: ServiceError) -> Response[bytes]:
    """Nothing was done, or only a part of a file."""
    headers = {"Retry-After": str(error.retry_after_s)}
    return _failed(503, BUSY, "The service is busy. Send the request again later.", headers)


def answer_unreadable(_: AnyRequest, error: HTTPException) -> Response[bytes]:
    """A request that cannot be read: an invalid form, a file that is too large."""
    too_large = f"The file is larger than {FILE_BYTES_MAX // 1024**2} MiB; send several."
    sentence = too_large if error.status_code == 413 else "The request could not be read."
    return _failed(error.status_code, INVALID, sentence)


_HANDLERS: Sequence[Any] = (read_user, list_users, list_users_csv, delete_users, list_audit)

lookup_routes = Router(
    "/",
    route_handlers=_HANDLERS,
    exception_handlers={
        RequestRejected: answer_refused,
        ServiceError: answer_busy,
        HTTPException: answer_unreadable,
    },
    include_in_schema=False,
)
