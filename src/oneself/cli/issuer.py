"""`oneself issuer`: whose access tokens an organisation honours besides its own (DESIGN §10)."""

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
    help="Trusted issuers: whose access tokens an organisation honours besides its own.",
    epilog="A Keycloak realm: oneself issuer add https://login.acme.example/realms/shop",
    no_args_is_help=True,
)

IssuerId = Annotated[UUID, typer.Argument(metavar="ISSUER_ID", help="Its id; see: oneself issuer list.")]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the issuers that an organisation trusts."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [_facts(issuer) for issuer in await services.directory.issuers.list(dataset_ref)]

    empty = "No issuer is trusted. Trust one: oneself issuer add URL"
    show_list("trusted_issuers", run(act), as_json=as_json, empty=empty)


@app.command()
def add(
    issuer: Annotated[str, typer.Argument(metavar="URL", help="The iss of its tokens, compared exactly.")],
    org: Org = None,
    audience: Annotated[
        str | None, typer.Option(help="What the aud of its tokens has to contain. Default: iam-cds.")
    ] = None,
    jwks_uri: Annotated[
        str | None,
        typer.Option("--jwks-uri", metavar="URL", help="Where its keys are. Default: where discovery says."),
    ] = None,
    permission: Annotated[
        list[str] | None,
        typer.Option(
            "--permission",
            "-p",
            metavar="NAME",
            help="What every holder of its tokens may do, beside their scope; repeat for more.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Trust an issuer: its tokens are honoured from now on, within a second by a running service."""
    given = {
        "audience": audience,
        "jwks_uri": jwks_uri,
        "permissions": tuple(dict.fromkeys(permission or ())),
    }
    fields = {name: value for name, value in given.items() if value}

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _facts(await services.directory.issuers.add(dataset_ref, issuer=issuer.strip(), **fields))

    show(run(act), as_json=as_json)


@app.command()
def remove(issuer_id: IssuerId, org: Org = None, yes: Yes = False) -> None:
    """Trust an issuer no more; its tokens are refused within a second."""
    confirm(f"Refuse every token of the issuer {issuer_id}?", yes=yes)

    async def act(services: Services) -> None:
        if not await services.directory.issuers.remove(await dataset_ref_of(services, org), issuer_id):
            raise NotFound("No trusted issuer has this id; see: oneself issuer list")

    run(act)
    show({"removed": str(issuer_id)}, as_json=False)


def _facts(issuer: TrustedIssuer) -> dict[str, Any]:
    return {
        "issuer_id": str(issuer.issuer_id),
        "issuer": issuer.issuer,
        "audience": issuer.audience,
        "jwks_uri": issuer.jwks_uri,
        "permissions": issuer.permissions,
        "created_at": timestamp(issuer.created_at),
    }
