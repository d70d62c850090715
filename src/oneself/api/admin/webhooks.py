"""`/webhooks`: where changes of profiles are sent to, and what became of them. A secret is returned once."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from oneself.api.admin.profiles import dataset_of
from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import (
    CursorWord,
    PageSize,
    Pagination,
    cut_page,
    page_size,
    requested_position,
)
from oneself.api.http.errors import INVALID_REQUEST, forbidden, wire_error
from oneself.api.http.guard import RequestContext, context_of
from oneself.api.http.json_body import AnyRequest, Body, decode_object, non_null
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.request_options import decode_profile_id as decode_uuid
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.auth.callers.permissions import PROFILE_VIEW
from oneself.core.identity_graph.joins import VIEWS, View
from oneself.errors import NotFound
from oneself.service.feed.webhooks import NewWebhook, Webhook
from oneself.store.tables.profile_change import END
from oneself.store.tables.webhook import DeliveryRow

ViewName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(VIEWS)})]


class WebhookDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST and PATCH. `dataset`: `default` by default; PATCH cannot change it. `view`: by default
    `proven`.

    `types`: the types of changes that it receives; all by default. `secret`: as in Standard Webhooks, such as
    `whsec_…`; a random one by default. `rotate_secret`: of PATCH: make a random one. A former secret signs
    for 24 hours beside the new one.
    """

    url: str | None = None
    dataset: str | None = None
    view: ViewName | None = None
    types: list[str] | None = None
    active: bool | None = None
    secret: str | None = None
    rotate_secret: bool | None = None


class WebhookDocument(Struct, frozen=True, omit_defaults=True):
    """A webhook. `waiting`, `dead`: deliveries. `lost_at`: when changes that it had not received were
    deleted, because they were too old. Only the response that made the secret has `secret`.
    """

    id: UUID
    url: str
    dataset: str
    view: View
    types: list[str]
    active: bool
    created_at: Timestamp
    updated_at: Timestamp
    waiting: int
    dead: int
    lost_at: Timestamp | None = None
    secret: str | None = None


class WebhookList(Struct, frozen=True):
    """One page of webhooks, the oldest first."""

    webhooks: list[WebhookDocument]
    pagination: Pagination


class DeliveryDocument(Struct, frozen=True, omit_defaults=True):
    """A change that is sent. `failure`: why the last attempt failed. `change`: what is sent."""

    delivery_id: UUID
    type: str
    state: str
    attempts: int
    created_at: Timestamp
    change: dict[str, Any]
    due_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    failure: str | None = None


class DeliveryList(Struct, frozen=True):
    """One page of deliveries, the last change first."""

    deliveries: list[DeliveryDocument]
    pagination: Pagination


class RepeatDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST. `delivery_ids`: finished deliveries; by default all dead ones."""

    delivery_ids: list[str] | None = None


class RepeatDocument(Struct, frozen=True):
    """How many deliveries are sent again."""

    deliveries: int


class WebhookTestDocument(Struct, frozen=True, omit_defaults=True):
    """What the receiver did with a test."""

    accepted: bool
    failure: str | None = None


class WebhookPosition(Struct, frozen=True):
    created_at: int
    webhook_id: str


DRAFT = Body("webhook", INVALID_REQUEST, WebhookDraft)
REPEAT = Body("repetition", INVALID_REQUEST, RepeatDraft)
READ = requires("admin_config_view")
UPDATE = requires("admin_config_update")
ONE = "/webhooks/{webhook_id:str}"
_BEGINNING = WebhookPosition(0, "")
InState = Annotated[
    str | None,
    QueryParameter(name="state", description="`waiting`, `delivered` or `dead`; by default any."),
]


@get("/webhooks", opt=READ, operation_class=Described, responses=error_responses(400, 401, 403))
async def list_webhooks(request: AnyRequest, size: PageSize = None, cursor: CursorWord = None) -> WebhookList:
    """List the webhooks that receive changes of profiles."""
    call, limit, after = context_of(request), page_size(size), requested_position(cursor, _BEGINNING)
    found = await call.services.feed.webhooks.find_all(call.dataset_ref)
    following = [item for item in found if _order(item) > (after.created_at, after.webhook_id)]
    page, pagination = cut_page(following, limit, lambda last: WebhookPosition(*_order(last)))
    return WebhookList([_render(item) for item in page], pagination)


@post(
    "/webhooks",
    opt=UPDATE,
    operation_class=described(takes=WebhookDraft, required=("url",)),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415),
)
async def create_webhook(request: AnyRequest) -> WebhookDocument:
    """Create a webhook, which receives changes from now on. The response has the secret, once."""
    call = context_of(request)
    given = non_null(await decode_object(request, DRAFT))
    at = await dataset_of(call, given["dataset"]) if "dataset" in given else call.dataset_ref
    view = _permitted(call, given.get("view", "proven"))
    new = NewWebhook(given.get("url", "").strip(), view, given.get("types", ()), given.get("secret"))
    webhook = await call.services.feed.webhooks.create(at, new)
    return _render(webhook, webhook.secrets[0].text)


@get(ONE, opt=READ, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def read_webhook(request: AnyRequest, webhook_id: FromPath[str]) -> WebhookDocument:
    """Read a webhook."""
    call = context_of(request)
    return _render(await call.services.feed.webhooks.get(call.dataset_ref, _id(webhook_id)))


@patch(
    ONE,
    opt=UPDATE,
    operation_class=described(takes=WebhookDraft),
    responses=error_responses(400, 401, 403, 404, 413, 415),
)
async def change_webhook(request: AnyRequest, webhook_id: FromPath[str]) -> WebhookDocument:
    """Change a webhook. With a new secret, requests are signed with both for 24 hours."""
    call = context_of(request)
    given = non_null(await decode_object(request, DRAFT))
    known = await call.services.feed.webhooks.get(call.dataset_ref, _id(webhook_id))
    given["view"] = _permitted(call, given.get("view", known.row.view))
    if given.pop("dataset", known.row.dataset) != known.row.dataset:
        raise wire_error(
            INVALID_REQUEST, "The dataset of a webhook cannot be changed. Create another webhook."
        )
    rotates = bool(given.pop("rotate_secret", False))
    if "active" in given:
        given["is_active"] = given.pop("active")
    webhook, is_new = await call.services.feed.webhooks.change(
        call.dataset_ref, _id(webhook_id), given, rotates=rotates
    )
    return _render(webhook, webhook.secrets[0].text if is_new else None)


@delete(ONE, opt=UPDATE, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def delete_webhook(request: AnyRequest, webhook_id: FromPath[str]) -> None:
    """Delete a webhook and its deliveries. Returns 204 if it does not exist."""
    call = context_of(request)
    await call.services.feed.webhooks.delete(call.dataset_ref, _id(webhook_id))


@get(f"{ONE}/deliveries", opt=READ, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def list_deliveries(
    request: AnyRequest,
    webhook_id: FromPath[str],
    size: PageSize = None,
    cursor: CursorWord = None,
    in_state: InState = None,
) -> DeliveryList:
    """List what is sent to a webhook, the last change first."""
    call, limit, before = context_of(request), page_size(size), requested_position(cursor, END)
    await _reach(call, webhook_id)
    found = await call.services.feed.webhooks.deliveries(
        call.dataset_ref, _id(webhook_id), in_state, before, limit=limit + 1
    )
    page, pagination = cut_page(list(found), limit, lambda last: last.position)
    return DeliveryList([_render_delivery(item) for item in page], pagination)


@post(
    f"{ONE}/deliveries",
    opt=UPDATE,
    operation_class=described(takes=RepeatDraft),
    status_code=200,
    responses=error_responses(400, 401, 403, 404, 413, 415),
)
async def repeat_deliveries(request: AnyRequest, webhook_id: FromPath[str]) -> RepeatDocument:
    """Send finished deliveries again, by default all dead ones."""
    call = context_of(request)
    await _reach(call, webhook_id)
    named = non_null(await decode_object(request, REPEAT)).get("delivery_ids")
    ids = None if named is None else [found for item in named if (found := decode_uuid(item)) is not None]
    return RepeatDocument(
        await call.services.feed.webhooks.send_again(call.dataset_ref, _id(webhook_id), ids)
    )


@post(
    f"{ONE}/test",
    opt=UPDATE,
    operation_class=Described,
    status_code=200,
    responses=error_responses(400, 401, 403, 404),
)
async def test_webhook(request: AnyRequest, webhook_id: FromPath[str]) -> WebhookTestDocument:
    """Send a test of the type `webhook.test` now, past everything that waits."""
    call = context_of(request)
    await _reach(call, webhook_id)
    outcome = await call.services.feed.webhooks.test(call.dataset_ref, _id(webhook_id))
    return WebhookTestDocument(outcome.failure is None, outcome.failure)


ROUTES = (
    list_webhooks,
    create_webhook,
    read_webhook,
    change_webhook,
    delete_webhook,
    list_deliveries,
    repeat_deliveries,
    test_webhook,
)


def _permitted(call: RequestContext, view: str) -> View:
    """The view of a webhook, if the caller may read it; raises WireError 400, 403."""
    if not call.caller.holds(PROFILE_VIEW):
        raise forbidden(f"A webhook that receives changes needs the permission {PROFILE_VIEW}.")
    return call.requested_view(view)


async def _reach(call: RequestContext, webhook_id: str) -> None:
    """Raise WireError 403 unless the caller may read the changes that a webhook receives; NotFound."""
    known = await call.services.feed.webhooks.get(call.dataset_ref, _id(webhook_id))
    _permitted(call, known.row.view)


def _id(text: str) -> UUID:
    found = decode_uuid(text)
    if found is None:
        raise NotFound("No webhook has this id.")
    return found


def _order(webhook: Webhook) -> tuple[int, str]:
    return webhook.row.created_at, str(webhook.row.webhook_id)


def _render(webhook: Webhook, secret: str | None = None) -> WebhookDocument:
    row = webhook.row
    return WebhookDocument(
        row.webhook_id,
        row.url,
        row.dataset,
        row.view,
        row.types,
        row.is_active,
        rfc3339(row.created_at),
        rfc3339(row.updated_at),
        row.waiting,
        row.dead,
        None if row.lost_at is None else rfc3339(row.lost_at),
        secret,
    )


def _render_delivery(row: DeliveryRow) -> DeliveryDocument:
    return DeliveryDocument(
        row.delivery_id,
        row.type,
        row.state,
        row.attempts,
        rfc3339(row.created_at),
        msgspec.json.decode(row.body),
        rfc3339(row.due_at) if row.state == "waiting" else None,
        None if row.finished_at is None else rfc3339(row.finished_at),
        row.failure,
    )
