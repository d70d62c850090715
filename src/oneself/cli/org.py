"""`oneself org`: the organisations of this deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import run
from oneself.cli.output import ONCE_NOTE, AsJson, Yes, confirm, show, show_list, timestamp
from oneself.errors import NotFound

if TYPE_CHECKING:
    from oneself.service.context import DatasetRef
    from oneself.services import Services

app = typer.Typer(
    help="Organisations: the tenants. Each has its own users, applications and profiles.",
    epilog="Example: oneself org create acme. Its path is then /t/acme.",
    no_args_is_help=True,
)

#: Under a new secret.
WEBHOOK_NOTE = "The secret is shown only once. The receiver needs it to check signatures."
Handle = Annotated[
    str, typer.Argument(metavar="HANDLE", help="The name in the path /t/HANDLE: a-z, 0-9, '.', '_' and '-'.")
]


@app.command()
def create(
    handle: Handle,
    name: Annotated[str | None, typer.Option(help="The display name. Default: the handle.")] = None,
    client_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Client id of the system application. Default: a random id."),
    ] = None,
    client_secret: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET", help="Client secret of the system application. Default: random, shown once."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create an organisation that is ready for use.

    It has the dataset `default`, identity attributes for the claims of its users, the customer data service
    enabled, and a system application with all permissions.
    """

    async def act(services: Services) -> dict[str, Any]:
        created = await services.setup.provisioning.create(
            handle, name=name, client_id=client_id, client_secret=client_secret
        )
        return {
            "organisation": handle,
            "address": services.directory.tokens.issuer(created.dataset_ref),
            "client_id": created.client_id,
            "client_secret": created.client_secret,
        }

    show(run(act), as_json=as_json, note=ONCE_NOTE)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the organisations and the number of their applications and users."""

    async def act(services: Services) -> list[dict[str, Any]]:
        return [
            {
                "handle": overview.handle,
                "name": overview.name,
                "applications": overview.applications,
                "users": overview.accounts,
                "created_at": timestamp(overview.created_at),
            }
            for overview in await services.directory.organisations.list()
        ]

    empty = "There is no organisation yet. Create one: oneself org create HANDLE"
    show_list("organisations", run(act), as_json=as_json, empty=empty)


@app.command("show")
def show_(handle: Handle, as_json: AsJson = False) -> None:
    """Show one organisation: its URLs, settings, keys and console users."""

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await services.directory.organisations.get(handle)
        config = await services.configurations.current(dataset_ref.dataset_id)
        key_ring = await services.directory.signing_keys.key_ring(dataset_ref)
        issuer = services.directory.tokens.issuer(dataset_ref)
        return {
            "organisation": dataset_ref.handle,
            "address": issuer,
            "discovery": f"{issuer}/.well-known/openid-configuration",
            "cds_enabled": config.settings.cds_enabled,
            "system_applications": config.settings.system_applications,
            "detach_on_sign_out": config.settings.detach_on_sign_out,
            "code_webhook": await _webhook_url(services, dataset_ref),
            "verified_address_first": config.settings.verified_address_first,
            "email_verified_by": config.settings.email_verified_by,
            "mobile_verified_by": config.settings.mobile_verified_by,
            "attributes": len(config.schema.attributes),
            "signing_key": key_ring.current_id,
            "keys_that_verify": len(key_ring.public),
            "console_users": await services.directory.console_users.find_of(dataset_ref),
        }

    show(run(act), as_json=as_json)


@app.command()
def change(
    handle: Handle,
    verified_address_first: Annotated[
        bool | None,
        typer.Option(
            "--verified-address-first/--sign-in-at-once",
            help="Whether people must verify their e-mail address before they sign in.",
        ),
    ] = None,
    email_verified_by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE",
            help="Who verifies e-mail addresses from now on: mail, provider, administrator, or none. "
            "Repeat for more.",
        ),
    ] = None,
    mobile_verified_by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE",
            help="Who verifies mobile numbers from now on: code, provider, administrator, or none. "
            "Repeat for more.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the settings of an organisation. What is verified stays verified."""

    async def act(services: Services) -> dict[str, Any]:
        from oneself.core.config.changes import PutSettings

        dataset_ref = await services.directory.organisations.get(handle)
        change = PutSettings(
            verified_address_first=verified_address_first,
            email_verified_by=_sources(email_verified_by),
            mobile_verified_by=_sources(mobile_verified_by),
        )
        settings = (await services.setup.activation.change(dataset_ref, change)).settings
        return {
            "organisation": dataset_ref.handle,
            "verified_address_first": settings.verified_address_first,
            "email_verified_by": settings.email_verified_by,
            "mobile_verified_by": settings.mobile_verified_by,
        }

    show(run(act), as_json=as_json)


@app.command("rotate-keys")
def rotate_keys(handle: Handle, as_json: AsJson = False) -> None:
    """Create a new signing key for tokens.

    The previous key verifies tokens for one more day, so users stay signed in. Running services use the new
    key within 30 seconds.
    """

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await services.directory.organisations.get(handle)
        return {
            "organisation": handle,
            "signing_key": await services.directory.signing_keys.rotate(dataset_ref),
        }

    show(run(act), as_json=as_json)


@app.command("set-code-webhook")
def set_code_webhook(
    handle: Handle,
    url: Annotated[str, typer.Argument(metavar="URL", help="Begins with https://, except on this machine.")],
    secret: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET",
            help="What requests are signed with: whsec_ and 24 to 64 bytes in base64. Default: the secret "
            "that the webhook has, else a random one, shown once.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set the webhook that sends codes to mobile numbers. People can confirm their numbers from then on.

    The guide "Mobile numbers" describes the requests and shows a receiver.
    """

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await services.directory.organisations.get(handle)
        webhook, is_new = await services.directory.code_webhooks.put(dataset_ref, url.strip(), secret)
        visible = {"organisation": handle, "url": webhook.url}
        return {**visible, "secret": webhook.secret} if is_new else visible

    result = run(act)
    show(result, as_json=as_json, note=WEBHOOK_NOTE if "secret" in result else "")


@app.command("delete-code-webhook")
def delete_code_webhook(handle: Handle, yes: Yes = False) -> None:
    """Delete the webhook that sends codes to mobile numbers. Confirmed numbers stay confirmed."""
    confirm(f"Delete the webhook of {handle}, so that no codes are sent?", yes=yes)

    async def act(services: Services) -> None:
        dataset_ref = await services.directory.organisations.get(handle)
        if not await services.directory.code_webhooks.delete(dataset_ref):
            raise NotFound(f"{handle} has no webhook for codes.")

    run(act)
    show({"deleted": f"code webhook of {handle}"}, as_json=False)


async def _webhook_url(services: Services, dataset_ref: DatasetRef) -> str | None:
    row = await services.directory.code_webhooks.find(dataset_ref.org_id)
    return row.url if row else None


def _sources(given: list[str] | None) -> tuple[str, ...] | None:
    """The sources that an option names; None if it is not given."""
    return tuple(name for name in given if name != "none") if given else None
