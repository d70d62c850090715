"""`oneself resolve`: returns the primary id of identities (*Resolve User ID*). Read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneself.cli.context import out, run
from oneself.cli.output import AsJson, Dataset, Org, ViewName, dataset_of, show, view_of
from oneself.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from oneself.service.profiles.ids import Resolved
    from oneself.services import Services

app = typer.Typer()

Identities = Annotated[
    list[str],
    typer.Argument(metavar="NAME=VALUE...", help="Identity attributes of the dataset and their values."),
]


@app.command()
def resolve(
    identities: Identities,
    dataset: Dataset = "default",
    org: Org = None,
    view: ViewName = None,
    as_json: AsJson = False,
) -> None:
    """Print the primary id of the profile that an event with these identities would be assigned to.

    The command writes nothing. Exit code 1 if no profile has any of the identities. With --view own or
    proven, only identities that servers said resolve.

    Example: oneself resolve --dataset web emailAddress=ann@acme.example
    """
    values = _read(identities)

    async def act(services: Services) -> Resolved | None:
        dataset_ref = await dataset_of(services, org, dataset)
        seen = await view_of(services, dataset_ref, view)
        return await services.profiles.lookup.resolve(dataset_ref, values, seen)

    resolved = run(act)
    if resolved is None:
        raise NotFound("No profile of this dataset has any of these identities.")
    if as_json:
        fields = {
            "primary_id": resolved.primary_id,
            "profile_id": str(resolved.profile_id),
            "matched": resolved.matched,
        }
        show(fields, as_json=True)
    else:
        out.print(resolved.primary_id, soft_wrap=True, markup=False)


def _read(identities: list[str]) -> dict[str, str]:
    """Return name → value. Raises InvalidInput for an argument that is not NAME=VALUE."""
    values: dict[str, str] = {}
    for identity in identities:
        name, equals, value = identity.partition("=")
        if not equals or not name:
            raise InvalidInput("identities", f"{identity!r} is not an identity. Write NAME=VALUE.")
        values[name] = value
    return values
