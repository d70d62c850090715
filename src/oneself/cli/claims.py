"""`oneself claims`: what the identity attributes mirror, a directory of ours or an identity server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_ref_of, show, show_list, timestamp

if TYPE_CHECKING:
    from oneself.service.identity_provider.directory_claims import DirectoryClaim
    from oneself.services import Services

app = typer.Typer(
    help="Claims: what a directory knows about people. Each is an identity attribute of the same name.",
    epilog="A claim of the embedded directory: oneself claims add country --value CH --value LI",
    no_args_is_help=True,
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Such as country; address.city is a member of address.")
]
Type = Annotated[
    str | None,
    typer.Option(
        "--type", help="string, integer, decimal, boolean, date, date_time or epoch. Default: string."
    ),
]
Display = Annotated[str | None, typer.Option("--display-name", help="What people call it.")]
Multi = Annotated[
    bool | None, typer.Option("--multi-valued/--single-valued", help="Several values at a time.")
]
ReadOnly = Annotated[
    bool | None, typer.Option("--read-only/--read-write", help="Applications cannot change it.")
]
Values = Annotated[
    list[str] | None, typer.Option("--value", metavar="VALUE", help="An allowed value; repeat for more.")
]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the claims of an organisation, wherever they come from."""

    async def act(services: Services) -> list[dict[str, Any]]:
        return [
            _facts(claim)
            for claim in await services.identity_provider.directory_claims.list(
                await dataset_ref_of(services, org)
            )
        ]

    show_list(
        "claims", run(act), as_json=as_json, empty="There is no claim. Add one: oneself claims add NAME"
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
    """Add a claim to the embedded directory. One that was deleted gets its attribute and its values back."""
    given = _given(value_type, display_name, multi_valued, read_only, value)

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.identity_provider.directory_claims import DirectoryClaim

        return _facts(
            await services.identity_provider.directory_claims.add(
                await dataset_ref_of(services, org), DirectoryClaim(name, **_changes(given))
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
    """Change a claim of the embedded directory; values that no longer fit are hidden, not lost."""
    given = _given(value_type, display_name, multi_valued, read_only, value)

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _facts(
            await services.identity_provider.directory_claims.change(dataset_ref, name, _changes(given))
        )

    show(run(act), as_json=as_json)


@app.command()
def delete(name: Name, org: Org = None, yes: Yes = False) -> None:
    """Delete a claim of the embedded directory with its members; values stay on profiles, hidden."""
    confirm(f"Delete the claim {name}? Rules and consents on it go with it.", yes=yes)

    async def act(services: Services) -> bool:
        return await services.identity_provider.directory_claims.delete(
            await dataset_ref_of(services, org), name
        )

    show({"deleted" if run(act) else "was not there": name}, as_json=False)


@app.command()
def sync(org: Org = None, as_json: AsJson = False) -> None:
    """Read the claims of the identity server now and mirror what has changed.

    The service does so by itself when the identity server reports a change, and every so often besides.
    Without an identity server there is nothing to read: the directory's claims are the identity attributes.
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
    """List what an identity server reported about people that no attribute could take."""

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

    show_list("skipped", run(act), as_json=as_json, empty="Every claim that was reported was taken.")


def _given(*options: Any) -> dict[str, Any]:
    """The options of a command that were given, by the names of a claim's fields."""
    names = ("value_type", "display_name", "multi_valued", "read_only", "canonical_values")
    return {name: option for name, option in zip(names, options, strict=True) if option not in (None, [])}


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    from oneself.core.values.attribute import CanonicalValue

    values = given.get("canonical_values")
    return {**given, **({"canonical_values": tuple(map(CanonicalValue, values))} if values else {})}


def _names(attributes: tuple[str, ...]) -> list[str]:
    return [name.partition(".")[2] for name in attributes]


def _facts(claim: DirectoryClaim) -> dict[str, Any]:
    return {
        "name": claim.name,
        "display_name": claim.display_name,
        "type": claim.value_type,
        "multi_valued": claim.multi_valued,
        "read_only": claim.read_only,
        "values": [canonical.value for canonical in claim.canonical_values],
        "attribute_id": claim.attribute_id,
    }
