"""`oneself webhook`: where changes of profiles are sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_ref_of, show, show_list, timestamp
from oneself.errors import NotFound

if TYPE_CHECKING:
    from oneself.service.feed.webhooks import Webhook
    from oneself.services import Services

app = typer.Typer(
    help="Webhooks: where changes of profiles are sent to, signed as Standard Webhooks.",
    epilog="Example: oneself webhook add https://crm.acme.example/changes --type profile.merged",
    no_args_is_help=True,
)

WebhookId = Annotated[
    UUID, typer.Argument(metavar="WEBHOOK_ID", help="The id. List them: oneself webhook list.")
]
TypeNames = Annotated[
    list[str] | None,
    typer.Option(
        "--type", metavar="TYPE", help="A type of changes, such as profile.merged. Repeat for more."
    ),
]
ViewName = Annotated[str | None, typer.Option("--view", help="own, proven or all. Default: proven.")]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the webhooks of an organisation."""

    async def act(services: Services) -> list[dict[str, Any]]:
        found = await services.feed.webhooks.find_all(await dataset_ref_of(services, org))
        return [_fields(webhook) for webhook in found]

    show_list("webhooks", run(act), as_json=as_json, empty="No webhook. Add one: oneself webhook add URL")


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where changes are sent to.")],
    org: Org = None,
    dataset: Annotated[str | None, typer.Option(help="The dataset. Default: default.")] = None,
    view: ViewName = None,
    type_: TypeNames = None,
    as_json: AsJson = False,
) -> None:
    """Add a webhook. It receives changes from now on. Prints the secret, once."""
    from oneself.service.feed.webhooks import NewWebhook

    async def act(services: Services) -> dict[str, Any]:
        at = await dataset_ref_of(services, org)
        if dataset is not None:
            at = await services.schema.datasets.get(at, dataset)
        new = NewWebhook(url.strip(), _view(view or "proven"), tuple(type_ or ()))
        webhook = await services.feed.webhooks.create(at, new)
        return _fields(webhook) | {"secret": webhook.secrets[0].text}

    show(run(act), as_json=as_json)


@app.command()
def change(
    webhook_id: WebhookId,
    org: Org = None,
    url: Annotated[str | None, typer.Option("--url", help="Where changes are sent to.")] = None,
    view: ViewName = None,
    type_: TypeNames = None,
    active: Annotated[
        bool | None, typer.Option("--active/--paused", help="Whether it is sent anything.")
    ] = None,
    rotate_secret: Annotated[
        bool,
        typer.Option("--rotate-secret", help="Make a new secret; the former one signs for 24 hours as well."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change a webhook. Options that are not given stay as they are."""
    changes: dict[str, Any] = {} if view is None else {"view": _view(view)}
    changes |= {} if url is None else {"url": url.strip()}
    changes |= {"types": type_} if type_ else {}
    changes |= {} if active is None else {"is_active": active}

    async def act(services: Services) -> dict[str, Any]:
        at = await dataset_ref_of(services, org)
        webhook, is_new = await services.feed.webhooks.change(at, webhook_id, changes, rotates=rotate_secret)
        return _fields(webhook) | ({"secret": webhook.secrets[0].text} if is_new else {})

    show(run(act), as_json=as_json)


@app.command()
def remove(webhook_id: WebhookId, org: Org = None, yes: Yes = False) -> None:
    """Remove a webhook, with what waits for it."""
    confirm(f"Remove the webhook {webhook_id} with all its deliveries?", yes=yes)

    async def act(services: Services) -> None:
        if not await services.feed.webhooks.delete(await dataset_ref_of(services, org), webhook_id):
            raise NotFound("No webhook has this id. List them: oneself webhook list")

    run(act)
    show({"removed": str(webhook_id)}, as_json=False)


@app.command("test")
def send_test(webhook_id: WebhookId, org: Org = None, as_json: AsJson = False) -> None:
    """Send a test now. Exit code 1 if the receiver does not accept it."""

    async def act(services: Services) -> str | None:
        at = await dataset_ref_of(services, org)
        return (await services.feed.webhooks.test(at, webhook_id)).failure

    failure = run(act)
    show({"accepted": failure is None, "failure": failure or ""}, as_json=as_json)
    if failure is not None:
        raise typer.Exit(1)


@app.command()
def deliveries(
    webhook_id: WebhookId,
    org: Org = None,
    state: Annotated[str | None, typer.Option(help="waiting, delivered or dead. Default: any.")] = None,
    lines: Annotated[int, typer.Option(min=1, max=1000, help="Deliveries at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what is sent to a webhook, the last change first."""

    async def act(services: Services) -> list[dict[str, Any]]:
        at = await dataset_ref_of(services, org)
        found = await services.feed.webhooks.deliveries(at, webhook_id, state, limit=lines)
        return [
            {
                "delivery_id": str(item.delivery_id),
                "type": item.type,
                "state": item.state,
                "attempts": item.attempts,
                "created_at": timestamp(item.created_at),
                "failure": item.failure or "",
            }
            for item in found
        ]

    show_list("deliveries", run(act), as_json=as_json, empty="Nothing was sent yet.")


@app.command("send-again")
def send_again(
    webhook_id: WebhookId,
    delivery_id: Annotated[
        list[UUID] | None, typer.Argument(metavar="[DELIVERY_ID]...", help="Default: all dead deliveries.")
    ] = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Send deliveries again that were delivered or are dead. A running service sends them."""

    async def act(services: Services) -> int:
        at = await dataset_ref_of(services, org)
        return await services.feed.webhooks.send_again(at, webhook_id, delivery_id or None)

    show({"deliveries": run(act)}, as_json=as_json)


def _view(text: str) -> Any:
    """A view as it is typed; what stores it checks it."""
    return text


def _fields(webhook: Webhook) -> dict[str, Any]:
    row = webhook.row
    return {
        "id": str(row.webhook_id),
        "url": row.url,
        "dataset": row.dataset,
        "view": row.view,
        "types": row.types,
        "active": row.is_active,
        "waiting": row.waiting,
        "dead": row.dead,
        "created_at": timestamp(row.created_at),
    }
