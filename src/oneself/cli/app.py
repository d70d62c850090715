"""`oneself app`: the applications that may call an organisation."""

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
    help="Applications: who may call an organisation, and what each may do.",
    epilog="A back end: oneself app create crm --permission internal_cds_profile_view",
    no_args_is_help=True,
)

ClientId = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="Its client id; see: oneself app list.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it; sign-in pages show it.")],
    org: Org = None,
    kind: Annotated[
        Literal["machine", "web", "browser"],
        typer.Option(
            help="machine: a back end with a secret. web: signs people in, keeps a secret on its server. "
            "browser: signs people in from a page, has no secret, must use PKCE."
        ),
    ] = "machine",
    permission: Annotated[
        list[str] | None,
        typer.Option("--permission", "-p", metavar="NAME", help="A permission it holds; repeat for more."),
    ] = None,
    every_permission: Annotated[
        bool, typer.Option("--every-permission", help="It holds every permission there is.")
    ] = False,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option("--redirect-uri", "-r", metavar="URI", help="Where people return to; compared exactly."),
    ] = None,
    post_logout_redirect_uri: Annotated[
        list[str] | None,
        typer.Option(
            "--post-logout-redirect-uri", metavar="URI", help="Where people may return to after signing out."
        ),
    ] = None,
    system: Annotated[
        bool, typer.Option("--system", help="A system application: sees every application's data.")
    ] = False,
    client_id: Annotated[str | None, typer.Option(metavar="ID", help="Default: drawn.")] = None,
    client_secret: Annotated[
        str | None, typer.Option(metavar="SECRET", help="Default: drawn, shown once.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an application and show its client id and, this once, its secret.

    Permissions are OAuth scopes such as internal_cds_profile_view; `oneself app permissions` lists them.
    A token carries those that it asks for and holds.
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
        made, secret = await applications.create(dataset_ref, new)
        if system:
            await services.setup.provisioning.add_system_application(dataset_ref, made.client_id)
        return {**_facts(dataset_ref, made), "client_secret": secret}

    facts = run(act)
    show(facts, as_json=as_json, note=ONCE_NOTE if facts["client_secret"] else "")


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the applications of an organisation."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [
            {
                "client_id": found.client_id,
                "name": found.name,
                "kind": found.kind,
                "permissions": len(found.permissions),
                "created_at": timestamp(found.created_at),
            }
            for found in await services.directory.applications.list(dataset_ref)
        ]

    empty = "There is no application yet. Make one: oneself app create NAME"
    show_list("applications", run(act), as_json=as_json, empty=empty)


@app.command("show")
def show_(client_id: ClientId, org: Org = None, as_json: AsJson = False) -> None:
    """Show one application: its kind, redirect URIs and permissions."""

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _facts(dataset_ref, await services.directory.applications.get(dataset_ref, client_id))

    show(run(act), as_json=as_json)


@app.command()
def delete(client_id: ClientId, org: Org = None, yes: Yes = False) -> None:
    """Remove an application; its tokens stop within a second."""
    confirm(f"Remove the application {client_id}?", yes=yes)

    async def act(services: Services) -> None:
        await services.directory.applications.delete(await dataset_ref_of(services, org), client_id)

    run(act)
    show({"removed": client_id}, as_json=False)


@app.command("rotate-secret")
def rotate_secret(client_id: ClientId, org: Org = None, as_json: AsJson = False) -> None:
    """Give an application a new secret, shown this once; the old one stops at once."""

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        secret = await services.directory.applications.rotate_secret(dataset_ref, client_id)
        return {"client_id": client_id, "client_secret": secret}

    show(run(act), as_json=as_json, note=ONCE_NOTE)


@app.command()
def permissions(as_json: AsJson = False) -> None:
    """List every permission that an application can hold."""
    from oneself.auth.callers.permissions import PERMISSIONS

    show_list("permissions", [{"permission": name} for name in PERMISSIONS], as_json=as_json, empty="")


def _facts(dataset_ref: DatasetRef, found: Application) -> dict[str, Any]:
    return {
        "organisation": dataset_ref.handle,
        "name": found.name,
        "kind": found.kind,
        "permissions": found.permissions,
        "redirect_uris": found.redirect_uris or None,
        "post_logout_redirect_uris": found.post_logout_redirect_uris or None,
        "created_at": timestamp(found.created_at),
        "client_id": found.client_id,
    }
