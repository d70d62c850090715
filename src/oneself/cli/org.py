"""`oneself org`: the organisations of this deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import run
from oneself.cli.output import ONCE_NOTE, AsJson, show, show_list, timestamp

if TYPE_CHECKING:
    from oneself.services import Services

app = typer.Typer(
    help="Organisations: the tenants, each with its own people, applications and profiles.",
    epilog="First one: oneself org create acme. Its address is then /t/acme.",
    no_args_is_help=True,
)

Handle = Annotated[
    str, typer.Argument(metavar="HANDLE", help="What stands in /t/HANDLE: a-z, 0-9, '.', '_' and '-'.")
]


@app.command()
def create(
    handle: Handle,
    name: Annotated[str | None, typer.Option(help="What people call it. Default: the handle.")] = None,
    client_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Client id of its system application. Default: drawn.")
    ] = None,
    client_secret: Annotated[
        str | None, typer.Option(metavar="SECRET", help="Client secret of it. Default: drawn, shown once.")
    ] = None,
    admin_password: Annotated[
        str | None, typer.Option(metavar="PASSWORD", help="Makes the console user `admin`, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an organisation that can be used at once.

    It gets the dataset `default`, the claims of its people as identity attributes, the customer data service
    switched on, and a system application that holds every permission.
    """

    async def act(services: Services) -> dict[str, Any]:
        created = await services.setup.provisioning.create(
            handle, name=name, client_id=client_id, client_secret=client_secret
        )
        if admin_password:
            await services.directory.administrators.set_password(created.dataset_ref, "admin", admin_password)
        return {
            "organisation": handle,
            "address": services.directory.tokens.issuer(created.dataset_ref),
            "client_id": created.client_id,
            "client_secret": created.client_secret,
            "console_user": "admin" if admin_password else None,
        }

    show(run(act), as_json=as_json, note=ONCE_NOTE)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the organisations with how many applications and users each has."""

    async def act(services: Services) -> list[dict[str, Any]]:
        return [
            {
                "handle": found.handle,
                "name": found.name,
                "applications": found.applications,
                "users": found.accounts,
                "created_at": timestamp(found.created_at),
            }
            for found in await services.directory.organisations.list()
        ]

    empty = "There is no organisation yet. Make one: oneself org create HANDLE"
    show_list("organisations", run(act), as_json=as_json, empty=empty)


@app.command("show")
def show_(handle: Handle, as_json: AsJson = False) -> None:
    """Show one organisation: its addresses, settings, keys and console users."""

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
            "attributes": len(config.schema.attributes),
            "signing_key": key_ring.current_id,
            "keys_that_verify": len(key_ring.public),
            "console_users": await services.directory.administrators.list(dataset_ref),
        }

    show(run(act), as_json=as_json)


@app.command("rotate-keys")
def rotate_keys(handle: Handle, as_json: AsJson = False) -> None:
    """Make a new key that signs tokens.

    The old one verifies for another day, so nobody is signed out. Running services change over within half
    a minute.
    """

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await services.directory.organisations.get(handle)
        return {
            "organisation": handle,
            "signing_key": await services.directory.signing_keys.rotate(dataset_ref),
        }

    show(run(act), as_json=as_json)


@app.command("set-admin")
def set_admin(
    handle: Handle,
    username: Annotated[str, typer.Option(help="Name of the console user.")] = "admin",
    password: Annotated[
        str,
        typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for if not given."),
    ] = "",
) -> None:
    """Make a console user, or give one a new password."""

    async def act(services: Services) -> None:
        dataset_ref = await services.directory.organisations.get(handle)
        await services.directory.administrators.set_password(dataset_ref, username, password)

    run(act)
    show({"organisation": handle, "console_user": username}, as_json=False)
