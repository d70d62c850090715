"""Customer Data → Change feed: the webhooks of an organisation, what was sent to them, and what failed.

Invariants: a page calls the use-cases that `/webhooks` of the admin interface calls. A secret is shown once,
in the answer to the form that made it. A change names the version of the webhook that its author saw.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response

from oneself.adapters.change_event import decode_position, encode_position
from oneself.console.context import ConsoleContext, NoSuchPage, console_context, requires
from oneself.console.formats import api_request
from oneself.console.forms import accepted_form, first, page, see_done
from oneself.console.handlers import form_at, page_at
from oneself.console.query import InvalidParameter, query_choice, query_id, query_text
from oneself.console.webhook_form import WebhookFields, fields_of, read_fields
from oneself.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from oneself.service.feed.webhooks import WEBHOOKS_MAX, Webhook
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
SEE, CHANGE = requires("see_change_feed"), requires("change_webhooks")
DELIVERIES_PER_PAGE = 25
#: State → what its tab is called.
STATES = {"": "All", "waiting": "Waiting", "delivered": "Delivered", "dead": "Dead letters"}
URL_CHARACTERS_MAX = 2_000
#: Fields of the form that a problem can be about.
FIELDS = frozenset({"url", "dataset", "view", "types"})


class ListedDelivery(msgspec.Struct, frozen=True):
    """A delivery in a list. Instants in µs since 1970."""

    delivery_id: UUID
    #: The type of the change.
    kind: str
    state: str
    attempts: int
    created_at: int
    #: When it is tried again, or was finished.
    next_at: int
    #: Why the last attempt failed.
    failure: str
    #: What is sent, as JSON for people.
    body: str


@page_at("/webhooks", SEE)
async def webhook_list(request: AnyRequest) -> AnyResponse:
    """List the webhooks."""
    context = console_context(request)
    return page(
        context,
        "webhooks.html",
        webhooks=await context.services.feed.webhooks.find_all(context.dataset_ref),
        is_full_at=WEBHOOKS_MAX,
        api=api_request(context, "webhooks"),
    )


@page_at("/webhooks/new", CHANGE)
async def new_webhook(request: AnyRequest) -> AnyResponse:
    """Show the form of a new webhook."""
    return await _form(console_context(request), WebhookFields())


@form_at("/webhooks/new", CHANGE)
async def create_webhook(request: AnyRequest) -> AnyResponse:
    """Create a webhook and show its secret, once."""
    context, fields = console_context(request), WebhookFields()
    try:
        async with accepted_form(context) as form:
            fields = read_fields(form)
            if not fields.types:
                raise InvalidInput("types", "Choose at least one type of change.")
            at = await context.services.schema.datasets.find(context.dataset_ref, fields.dataset)
            if at is None:
                raise InvalidInput("dataset", "There is no such dataset any more. Choose another one.")
            webhook = await context.services.feed.webhooks.create(at, fields.new())
    except InvalidInput as invalid:
        return await _form(context, fields, _problems(invalid), status=400)
    except Conflict as conflict:
        return await _form(context, fields, {"form": conflict.description}, status=409)
    return _secret_page(context, webhook)


@page_at("/webhooks/webhook", SEE)
async def show_webhook(request: AnyRequest) -> AnyResponse:
    """Show a webhook with its deliveries, the last change first."""
    context = console_context(request)
    return await _webhook_page(context, await _asked(context))


@form_at("/webhooks/test", CHANGE)
async def test_webhook(request: AnyRequest) -> AnyResponse:
    """Send a test, and say what the receiver did with it."""
    context = console_context(request)
    webhook = await _asked(context)
    async with accepted_form(context):
        tested = await context.services.feed.webhooks.test(context.dataset_ref, webhook.row.webhook_id)
    done = "The test was not accepted" if tested.failure else "The test was accepted."
    return see_done(context, webhook_url(context, webhook.row.webhook_id), done, problem=tested.failure or "")


@form_at("/webhooks/again", CHANGE)
async def send_again(request: AnyRequest) -> AnyResponse:
    """Send a delivery again, or every dead one."""
    context = console_context(request)
    webhook = await _asked(context)
    async with accepted_form(context) as form:
        named = _delivery_id(first(form, "delivery"))
        ids = None if named is None else [named]
        number = await context.services.feed.webhooks.send_again(
            context.dataset_ref, webhook.row.webhook_id, ids
        )
    done = f"{number} deliver{'y is' if number == 1 else 'ies are'} sent again."
    return see_done(context, webhook_url(context, webhook.row.webhook_id), done)


@page_at("/webhooks/edit", CHANGE)
async def edit_webhook(request: AnyRequest) -> AnyResponse:
    """Show the form of a stored webhook."""
    context = console_context(request)
    webhook = await _asked(context)
    return await _form(context, fields_of(webhook), webhook=webhook)


@form_at("/webhooks/edit", CHANGE)
async def change_webhook(request: AnyRequest) -> AnyResponse:
    """Change a webhook, unless somebody else did since the form was opened."""
    context = console_context(request)
    webhook = await _asked(context)
    fields = fields_of(webhook)
    try:
        async with accepted_form(context) as form:
            fields = msgspec.structs.replace(read_fields(form), dataset=webhook.row.dataset)
            if not fields.types:
                raise InvalidInput("types", "Choose at least one type of change.")
            await context.services.feed.webhooks.change(
                context.dataset_ref,
                webhook.row.webhook_id,
                fields.changes(),
                version=_version(first(form, "version")),
            )
    except InvalidInput as invalid:
        return await _form(context, fields, _problems(invalid), webhook=webhook, status=400)
    except PreconditionFailed:
        return await _form(context, fields, webhook=await _asked(context), status=409)
    return see_done(context, webhook_url(context, webhook.row.webhook_id), "The webhook was changed.")


@form_at("/webhooks/rotate", CHANGE)
async def rotate_secret(request: AnyRequest) -> AnyResponse:
    """Make a new secret and show it, once."""
    context = console_context(request)
    asked = await _asked(context)
    async with accepted_form(context):
        webhook, _ = await context.services.feed.webhooks.change(
            context.dataset_ref, asked.row.webhook_id, {}, rotates=True
        )
    return _secret_page(context, webhook, is_rotated=True)


@page_at("/webhooks/delete", CHANGE)
async def confirm_webhook_deletion(request: AnyRequest) -> AnyResponse:
    """Say what a deletion does, and ask for confirmation."""
    context = console_context(request)
    webhook = await _asked(context)
    back = webhook_url(context, webhook.row.webhook_id)
    return page(context, "webhook_delete.html", webhook=webhook.row, back=back)


@form_at("/webhooks/delete", CHANGE)
async def delete_webhook(request: AnyRequest) -> AnyResponse:
    """Delete a webhook with its deliveries."""
    context = console_context(request)
    webhook = await _asked(context)
    async with accepted_form(context):
        await context.services.feed.webhooks.delete(context.dataset_ref, webhook.row.webhook_id)
    return see_done(context, f"{context.home}/webhooks", "The webhook was deleted.")


def webhook_url(context: ConsoleContext, webhook_id: UUID, step: str = "webhook", **query: str) -> str:
    """The URL of a page about a webhook."""
    return f"{context.home}/webhooks/{step}?{urlencode({'id': str(webhook_id), **query})}"


async def _asked(context: ConsoleContext) -> Webhook:
    """The webhook that a page is about. Raises InvalidParameter, NoSuchPage."""
    try:
        return await context.services.feed.webhooks.get(context.dataset_ref, query_id(context.request, "id"))
    except NotFound:
        raise NoSuchPage from None


async def _webhook_page(context: ConsoleContext, webhook: Webhook) -> AnyResponse:
    request, webhook_id = context.request, webhook.row.webhook_id
    state, before = query_choice(request, "state", STATES, ""), query_text(request, "before")
    position = decode_position(before) if before else None
    if before and position is None:
        raise InvalidParameter("before", "It is what the link to earlier deliveries has.")
    after = {} if position is None else {"before": position}
    found = await context.services.feed.webhooks.deliveries(
        context.dataset_ref, webhook_id, state or None, **after, limit=DELIVERIES_PER_PAGE + 1
    )
    listed, further = found[:DELIVERIES_PER_PAGE], ""
    if len(found) > len(listed):
        further = webhook_url(context, webhook_id, state=state, before=encode_position(listed[-1].position))
    return page(
        context,
        "webhook.html",
        webhook=webhook.row,
        states=STATES,
        state=state,
        deliveries=[
            ListedDelivery(
                item.delivery_id,
                item.type,
                item.state,
                item.attempts,
                item.created_at,
                item.finished_at or item.due_at,
                item.failure or "",
                msgspec.json.format(item.body, indent=2),
            )
            for item in listed
        ],
        further=further,
        start=webhook_url(context, webhook_id, state=state) if position is not None else "",
        days=context.services.settings.change_retention_days,
        url_of=lambda step, **query: webhook_url(context, webhook_id, step, **query),
        api=api_request(context, f"webhooks/{webhook_id}/deliveries", state=state),
    )


async def _form(
    context: ConsoleContext,
    fields: WebhookFields,
    problems: dict[str, str] | None = None,
    *,
    webhook: Webhook | None = None,
    status: int = 200,
) -> AnyResponse:
    """The form of a new webhook, or of a stored one. Status 409: somebody else changed it meanwhile."""
    datasets = await context.services.schema.datasets.list(context.dataset_ref)
    return page(
        context,
        "webhook_form.html",
        status=status,
        fields=fields,
        problems=problems or {},
        webhook=webhook.row if webhook else None,
        stored=fields_of(webhook) if webhook and status == 409 else None,
        datasets=sorted(item.name for item in datasets),
        url_characters_max=URL_CHARACTERS_MAX,
        days=context.services.settings.change_retention_days,
        back=webhook_url(context, webhook.row.webhook_id) if webhook else f"{context.home}/webhooks",
    )


def _secret_page(context: ConsoleContext, webhook: Webhook, *, is_rotated: bool = False) -> AnyResponse:
    return page(
        context,
        "webhook_secret.html",
        webhook=webhook.row,
        secret=webhook.secrets[0].text,
        is_rotated=is_rotated,
        back=webhook_url(context, webhook.row.webhook_id),
    )


def _problems(invalid: InvalidInput) -> dict[str, str]:
    """What is wrong: field → sentence."""
    return {invalid.code if invalid.code in FIELDS else "form": invalid.description}


def _version(text: str) -> int:
    """The version in a form; none that any webhook has if the text is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def _delivery_id(text: str) -> UUID | None:
    """The delivery that a form names; None: every dead one. Raises NoSuchPage."""
    try:
        return UUID(text) if text else None
    except ValueError:
        raise NoSuchPage from None


ROUTES = (
    webhook_list,
    new_webhook,
    create_webhook,
    show_webhook,
    test_webhook,
    send_again,
    edit_webhook,
    change_webhook,
    rotate_secret,
    confirm_webhook_deletion,
    delete_webhook,
)
