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


Audience = Annotated[
    str | None, typer.Option(help="A value that the aud claim of its tokens must contain. Default: iam-cds.")
]
JwksUri = Annotated[
    str | None,
    typer.Option(
        "--jwks-uri", metavar="URL", help="The URL of its keys. Default: from its discovery document."
    ),
]
Permission = Annotated[
    list[str] | None,
    typer.Option(
        "--permission",
        "-p",
        metavar="NAME",
        help="A permission of all its tokens, in addition to their scope. Repeat for more.",
    ),
]
WhichVerified = Annotated[
    str | None,
    typer.Option(
        "--verified-claims",
        metavar="WHICH",
        help="Which e-mail addresses and phone numbers in its tokens are verified: as_stated, those with "
        "email_verified or phone_number_verified; always; never. Default: as_stated.",
    ),
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
    audience: Audience = None,
    jwks_uri: JwksUri = None,
    permission: Permission = None,
    verified_claims: WhichVerified = None,
    as_json: AsJson = False,
) -> None:
    """Add a trusted issuer. A running service accepts its tokens within one second."""
    fields = _set_options(audience, jwks_uri, permission, verified_claims)

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _fields(await services.directory.issuers.add(dataset_ref, issuer=issuer.strip(), **fields))

    show(run(act), as_json=as_json)


@app.command()
def change(
    issuer_id: IssuerId,
    org: Org = None,
    audience: Audience = None,
    jwks_uri: JwksUri = None,
    permission: Permission = None,
    verified_claims: WhichVerified = None,
    as_json: AsJson = False,
) -> None:
    """Change a trusted issuer. Options that are not given stay as they are. Its users stay the same."""
    fields = _set_options(audience, jwks_uri, permission, verified_claims)

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _fields(await services.directory.issuers.change(dataset_ref, issuer_id, **fields))

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


def _set_options(
    audience: str | None, jwks_uri: str | None, permission: list[str] | None, verified_claims: str | None
) -> dict[str, Any]:
    """The options that were set, by field name of TrustedIssuer."""
    options = {
        "audience": audience,
        "jwks_uri": jwks_uri,
        "permissions": tuple(dict.fromkeys(permission or ())),
        "verified_claims": verified_claims,
    }
    return {name: value for name, value in options.items() if value}


def _fields(issuer: TrustedIssuer) -> dict[str, Any]:
    return {
        "issuer_id": str(issuer.issuer_id),
        "issuer": issuer.issuer,
        "audience": issuer.audience,
        "jwks_uri": issuer.jwks_uri,
        "permissions": issuer.permissions,
        "verified_claims": issuer.verified_claims,
        "created_at": timestamp(issuer.created_at),
    }
