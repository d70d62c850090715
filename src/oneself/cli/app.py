"""`oneself app`: the applications of an organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from oneself.cli.context import run
from oneself.cli.output import (
    ONCE_NOTE,
    AsJson,
    Org,
    Yes,
    confirm,
    dataset_ref_of,
    show,
    show_list,
    timestamp,
)

if TYPE_CHECKING:
    from oneself.service.context import DatasetRef
    from oneself.service.directory.applications import Application
    from oneself.services import Services

app = typer.Typer(
    help="Applications: the OAuth clients of an organisation and their permissions.",
    epilog="Example, a back end: oneself app create crm --permission internal_cds_profile_view",
    no_args_is_help=True,
)

ClientId = Annotated[
    str, typer.Argument(metavar="CLIENT_ID", help="The client id. List them: oneself app list.")
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The display name, shown on sign-in pages.")],
    org: Org = None,
    kind: Annotated[
        Literal["machine", "web", "browser"],
        typer.Option(
            help="machine: a back end with a secret. web: signs users in and has a secret on its server. "
            "browser: signs users in from a page, has no secret, must use PKCE."
        ),
    ] = "machine",
    permission: Annotated[
        list[str] | None,
        typer.Option(
            "--permission", "-p", metavar="NAME", help="A permission of the application. Repeat for more."
        ),
    ] = None,
    every_permission: Annotated[
        bool, typer.Option("--every-permission", help="Grant all permissions.")
    ] = False,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option(
            "--redirect-uri", "-r", metavar="URI", help="A redirect URI, compared exactly. Repeat for more."
        ),
    ] = None,
    post_logout_redirect_uri: Annotated[
        list[str] | None,
        typer.Option(
            "--post-logout-redirect-uri",
            metavar="URI",
            help="A redirect URI after sign-out. Repeat for more.",
        ),
    ] = None,
    system: Annotated[
        bool, typer.Option("--system", help="A system application: reads the data of all applications.")
    ] = False,
    client_id: Annotated[str | None, typer.Option(metavar="ID", help="Default: a random id.")] = None,
    client_secret: Annotated[
        str | None, typer.Option(metavar="SECRET", help="Default: a random secret, shown once.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create an application. Prints its client id and its secret; the secret is shown only once.

    Permissions are OAuth scopes such as internal_cds_profile_view; `oneself app permissions` lists them. A
    token contains the requested scopes that the application holds.
    """

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.directory.applications import NewApplication

        dataset_ref, applications = await dataset_ref_of(services, org), services.directory.applications
        new = NewApplication(
            name=name,
            kind=kind,
            redirect_uris=redirect_uri or (),
            post_logout_redirect_uris=post_logout_redirect_uri or (),
            permissions=applications.known if every_permission else permission or (),
            client_id=client_id,
            client_secret=client_secret,
        )
        application, secret = await applications.create(dataset_ref, new)
        if system:
            await services.setup.provisioning.add_system_application(dataset_ref, application.client_id)
        return {**_fields(dataset_ref, application), "client_secret": secret}

    fields = run(act)
    show(fields, as_json=as_json, note=ONCE_NOTE if fields["client_secret"] else "")


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the applications of an organisation."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [
            {
                "client_id": application.client_id,
                "name": application.name,
                "kind": application.kind,
                "permissions": len(application.permissions),
                "created_at": timestamp(application.created_at),
            }
            for application in await services.directory.applications.list(dataset_ref)
        ]

    empty = "There is no application yet. Create one: oneself app create NAME"
    show_list("applications", run(act), as_json=as_json, empty=empty)


@app.command("show")
def show_(client_id: ClientId, org: Org = None, as_json: AsJson = False) -> None:
    """Show one application: its kind, redirect URIs and permissions."""

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _fields(dataset_ref, await services.directory.applications.get(dataset_ref, client_id))

    show(run(act), as_json=as_json)


@app.command()
def delete(client_id: ClientId, org: Org = None, yes: Yes = False) -> None:
    """Delete an application. Its tokens are rejected within one second."""
    confirm(f"Delete the application {client_id}?", yes=yes)

    async def act(services: Services) -> None:
        await services.directory.applications.delete(await dataset_ref_of(services, org), client_id)

    run(act)
    show({"deleted": client_id}, as_json=False)


@app.command("rotate-secret")
def rotate_secret(client_id: ClientId, org: Org = None, as_json: AsJson = False) -> None:
    """Replace the secret of an application.

    The new secret is shown only once; the old one is invalid at once.
    """

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        secret = await services.directory.applications.rotate_secret(dataset_ref, client_id)
        return {"client_id": client_id, "client_secret": secret}

    show(run(act), as_json=as_json, note=ONCE_NOTE)


@app.command()
def permissions(as_json: AsJson = False) -> None:
    """List all permissions."""
    from oneself.auth.callers.permissions import PERMISSIONS

    show_list("permissions", [{"permission": name} for name in PERMISSIONS], as_json=as_json, empty="")


def _fields(dataset_ref: DatasetRef, application: Application) -> dict[str, Any]:
    return {
        "organisation": dataset_ref.handle,
        "name": application.name,
        "kind": application.kind,
        "permissions": application.permissions,
        "redirect_uris": application.redirect_uris or None,
        "post_logout_redirect_uris": application.post_logout_redirect_uris or None,
        "created_at": timestamp(application.created_at),
        "client_id": application.client_id,
    }
