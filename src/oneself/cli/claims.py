"""`oneself claims`: the claims of the directory, which identity attributes mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_ref_of, show, show_list, timestamp

if TYPE_CHECKING:
    from oneself.service.identity_provider.directory_claims import DirectoryClaim
    from oneself.services import Services

app = typer.Typer(
    help="Claims: user attributes of the directory. An identity attribute mirrors each of them.",
    epilog="Example: oneself claims add country --value CH --value LI",
    no_args_is_help=True,
)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The name, such as country; address.city is a member of address."),
]
Type = Annotated[
    str | None,
    typer.Option(
        "--type", help="string, integer, decimal, boolean, date, date_time or epoch. Default: string."
    ),
]
Display = Annotated[str | None, typer.Option("--display-name", help="The display name.")]
Multi = Annotated[
    bool | None,
    typer.Option("--multi-valued/--single-valued", help="Whether the claim can have several values."),
]
ReadOnly = Annotated[
    bool | None,
    typer.Option("--read-only/--read-write", help="Whether the claim is read-only for applications."),
]
Values = Annotated[
    list[str] | None, typer.Option("--value", metavar="VALUE", help="An allowed value. Repeat for more.")
]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the claims of an organisation, of the embedded directory or the identity server."""

    async def act(services: Services) -> list[dict[str, Any]]:
        return [
            _fields(claim)
            for claim in await services.identity_provider.directory_claims.list(
                await dataset_ref_of(services, org)
            )
        ]

    show_list(
        "claims", run(act), as_json=as_json, empty="There is no claim. Create one: oneself claims add NAME"
    )


@app.command()
def add(
    name: Name,
    org: Org = None,
    value_type: Type = None,
    display_name: Display = None,
    multi_valued: Multi = None,
    read_only: ReadOnly = None,
    value: Values = None,
    as_json: AsJson = False,
) -> None:
    """Add a claim to the embedded directory. Adding a deleted claim restores its attribute and values."""
    changes = _set_options(value_type, display_name, multi_valued, read_only, value)

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.identity_provider.directory_claims import DirectoryClaim

        return _fields(
            await services.identity_provider.directory_claims.add(
                await dataset_ref_of(services, org), DirectoryClaim(name, **_claim_fields(changes))
            )
        )

    show(run(act), as_json=as_json)


@app.command()
def change(
    name: Name,
    org: Org = None,
    value_type: Type = None,
    display_name: Display = None,
    multi_valued: Multi = None,
    read_only: ReadOnly = None,
    value: Values = None,
    as_json: AsJson = False,
) -> None:
    """Change a claim of the embedded directory. Values that become invalid are hidden, not deleted."""
    changes = _set_options(value_type, display_name, multi_valued, read_only, value)

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _fields(
            await services.identity_provider.directory_claims.change(
                dataset_ref, name, _claim_fields(changes)
            )
        )

    show(run(act), as_json=as_json)


@app.command()
def delete(name: Name, org: Org = None, yes: Yes = False) -> None:
    """Delete a claim of the embedded directory and its members.

    Values on profiles are hidden, not deleted.
    """
    confirm(f"Delete the claim {name}? Its rules and consents are also deleted.", yes=yes)

    async def act(services: Services) -> bool:
        return await services.identity_provider.directory_claims.delete(
            await dataset_ref_of(services, org), name
        )

    show({"deleted" if run(act) else "not found": name}, as_json=False)


@app.command()
def sync(org: Org = None, as_json: AsJson = False) -> None:
    """Read the claims of the identity server now and apply the changes.

    A running service also does this periodically and when the identity server reports a change. Without an
    identity server, the command changes nothing: the claims of the embedded directory need no
    synchronisation.
    """

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        connection = await services.identity_provider.servers.find(dataset_ref)
        mirrored = await services.identity_provider.claim_sync.run_now(dataset_ref) if connection else None
        return {
            "organisation": dataset_ref.handle,
            "identity_server": connection.url if connection else None,
            "added": _names(mirrored.added if mirrored else ()),
            "changed": _names(mirrored.changed if mirrored else ()),
            "removed": _names(mirrored.removed if mirrored else ()),
        }

    show(run(act), as_json=as_json)


@app.command()
def skipped(org: Org = None, as_json: AsJson = False) -> None:
    """List the values that an identity server reported and that are invalid for their attribute."""

    async def act(services: Services) -> list[dict[str, Any]]:
        return [
            {
                "attribute": rejected.path,
                "problem": rejected.problem,
                "times": rejected.times,
                "first_at": timestamp(rejected.first_at),
                "last_at": timestamp(rejected.last_at),
            }
            for rejected in await services.identity_provider.rejected_claims.list(
                await dataset_ref_of(services, org)
            )
        ]

    show_list("skipped", run(act), as_json=as_json, empty="No reported claim was skipped.")


def _set_options(*options: Any) -> dict[str, Any]:
    """The options that were set, by field name of DirectoryClaim."""
    names = ("value_type", "display_name", "multi_valued", "read_only", "canonical_values")
    return {name: option for name, option in zip(names, options, strict=True) if option not in (None, [])}


def _claim_fields(changes: dict[str, Any]) -> dict[str, Any]:
    from oneself.core.values.attribute import CanonicalValue

    values = changes.get("canonical_values")
    return {**changes, **({"canonical_values": tuple(map(CanonicalValue, values))} if values else {})}


def _names(attributes: tuple[str, ...]) -> list[str]:
    return [name.partition(".")[2] for name in attributes]


def _fields(claim: DirectoryClaim) -> dict[str, Any]:
    return {
        "name": claim.name,
        "display_name": claim.display_name,
        "type": claim.value_type,
        "multi_valued": claim.multi_valued,
        "read_only": claim.read_only,
        "values": [canonical.value for canonical in claim.canonical_values],
        "attribute_id": claim.attribute_id,
    }
