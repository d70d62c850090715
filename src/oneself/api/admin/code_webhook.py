"""`/code-webhook`: where the codes that prove mobile numbers are sent to. The secret is returned once."""

from __future__ import annotations

from litestar import delete, get, put
from msgspec import Struct

from oneself.api.admin.requirements import requires
from oneself.api.http.errors import INVALID_REQUEST
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest, Body, decode_object, non_null
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.errors import NotFound
from oneself.service.directory.code_webhooks import CodeWebhook


class CodeWebhookDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PUT. `secret`: as in Standard Webhooks, such as `whsec_…`. Without it, the webhook keeps its
    secret, or gets a random one.
    """

    url: str | None = None
    secret: str | None = None


class CodeWebhookDocument(Struct, frozen=True, omit_defaults=True):
    """A webhook. Only the response to the PUT that made the secret has `secret`."""

    url: str
    updated_at: Timestamp
    secret: str | None = None


DRAFT = Body("webhook", INVALID_REQUEST, CodeWebhookDraft)
VIEW = requires("admin_config_view")
UPDATE = requires("admin_config_update")
PATH = "/code-webhook"


@get(PATH, opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def read_code_webhook(request: AnyRequest) -> CodeWebhookDocument:
    """Read the webhook that sends codes to mobile numbers."""
    call = context_of(request)
    webhook = await call.services.directory.code_webhooks.find(call.dataset_ref.org_id)
    if webhook is None:
        raise NotFound("This organisation has no webhook for codes.")
    return _render(webhook)


@put(
    PATH,
    opt=UPDATE,
    operation_class=described(takes=CodeWebhookDraft, required=("url",)),
    responses=error_responses(400, 401, 403, 413, 415),
)
async def put_code_webhook(request: AnyRequest) -> CodeWebhookDocument:
    """Set the webhook that sends codes to mobile numbers. People can confirm their numbers from then on."""
    call = context_of(request)
    given = non_null(await decode_object(request, DRAFT))
    webhook, is_new = await call.services.directory.code_webhooks.put(
        call.dataset_ref, given.get("url", "").strip(), given.get("secret")
    )
    return _render(webhook, webhook.secret if is_new else None)


@delete(PATH, opt=UPDATE, operation_class=Described, responses=error_responses(400, 401, 403))
async def delete_code_webhook(request: AnyRequest) -> None:
    """Delete the webhook. Codes are sent no more; confirmed numbers stay confirmed."""
    call = context_of(request)
    await call.services.directory.code_webhooks.delete(call.dataset_ref)


ROUTES = (read_code_webhook, put_code_webhook, delete_code_webhook)


def _render(webhook: CodeWebhook, secret: str | None = None) -> CodeWebhookDocument:
    return CodeWebhookDocument(webhook.url, rfc3339(webhook.updated_at), secret)
