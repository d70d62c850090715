"""`oneself issuer`: the external token issuers that an organisation trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_ref_of, show, show_list, timestamp
from oneself.errors import NotFound

if TYPE_CHECKING:
    from oneself.service.directory.issuers import TrustedIssuer
    from oneself.services import Services

app = typer.Typer(
    help="Trusted issuers: external issuers whose access tokens an organisation accepts.",
    epilog="Example, a Keycloak realm: oneself issuer add https://login.acme.example/realms/shop",
    no_args_is_help=True,
)

IssuerId = Annotated[
    UUID, typer.Argument(metavar="ISSUER_ID", help="The id. List them: oneself issuer list.")
]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the trusted issuers of an organisation."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [_fields(issuer) for issuer in await services.directory.issuers.list(dataset_ref)]

    empty = "No issuer is trusted. Trust one: oneself issuer add URL"
    show_list("trusted_issuers", run(act), as_json=as_json, empty=empty)


@app.command()
def add(
    issuer: Annotated[
        str, typer.Argument(metavar="URL", help="The iss claim of its tokens, compared exactly.")
    ],
    org: Org = None,
    audience: Annotated[
        str | None,
        typer.Option(help="A value that the aud claim of its tokens must contain. Default: iam-cds."),
    ] = None,
    jwks_uri: Annotated[
        str | None,
        typer.Option(
            "--jwks-uri", metavar="URL", help="The URL of its keys. Default: from its discovery document."
        ),
    ] = None,
    permission: Annotated[
        list[str] | None,
        typer.Option(
            "--permission",
            "-p",
            metavar="NAME",
            help="A permission of all its tokens, in addition to their scope. Repeat for more.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a trusted issuer. A running service accepts its tokens within one second."""
    options = {
        "audience": audience,
        "jwks_uri": jwks_uri,
        "permissions": tuple(dict.fromkeys(permission or ())),
    }
    fields = {name: value for name, value in options.items() if value}

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _fields(await services.directory.issuers.add(dataset_ref, issuer=issuer.strip(), **fields))

    show(run(act), as_json=as_json)


@app.command()
def remove(issuer_id: IssuerId, org: Org = None, yes: Yes = False) -> None:
    """Remove a trusted issuer. Its tokens are rejected within one second."""
    confirm(f"Remove the trusted issuer {issuer_id} and reject its tokens?", yes=yes)

    async def act(services: Services) -> None:
        if not await services.directory.issuers.remove(await dataset_ref_of(services, org), issuer_id):
            raise NotFound("No trusted issuer has this id. List them: oneself issuer list")

    run(act)
    show({"removed": str(issuer_id)}, as_json=False)


def _fields(issuer: TrustedIssuer) -> dict[str, Any]:
    return {
        "issuer_id": str(issuer.issuer_id),
        "issuer": issuer.issuer,
        "audience": issuer.audience,
        "jwks_uri": issuer.jwks_uri,
        "permissions": issuer.permissions,
        "created_at": timestamp(issuer.created_at),
    }
