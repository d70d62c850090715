"""`oneself resolve`: identities in, primary id out; the seed's *Resolve User ID* (DESIGN §9). Read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneself.cli.context import out, run
from oneself.cli.output import AsJson, Dataset, Org, dataset_of, show
from oneself.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from oneself.service.profiles.lookup import Resolved
    from oneself.services import Services

app = typer.Typer()

Identities = Annotated[
    list[str],
    typer.Argument(metavar="NAME=VALUE...", help="Identity attributes of the dataset, each with its value."),
]


@app.command()
def resolve(
    identities: Identities, dataset: Dataset = "default", org: Org = None, as_json: AsJson = False
) -> None:
    """Print the primary id of the person whom the next event with these identities would go to.

    Nothing is written. Exit code 1 if nobody has any of them.

    Example: oneself resolve --dataset web emailAddress=ann@acme.example
    """
    values = _read(identities)

    async def act(services: Services) -> Resolved | None:
        dataset_ref = await dataset_of(services, org, dataset)
        return await services.profiles.lookup.resolve(dataset_ref, values)

    found = run(act)
    if found is None:
        raise NotFound("Nobody in this dataset has any of these identities.")
    if as_json:
        facts = {
            "primary_id": found.primary_id,
            "profile_id": str(found.profile_id),
            "matched": found.matched,
        }
        show(facts, as_json=True)
    else:
        out.print(found.primary_id, soft_wrap=True, markup=False)


def _read(identities: list[str]) -> dict[str, str]:
    """Name → value; raises InvalidInput for what has no equals sign."""
    values: dict[str, str] = {}
    for identity in identities:
        name, equals, value = identity.partition("=")
        if not equals or not name:
            raise InvalidInput("identities", f"Write an identity as NAME=VALUE, not {identity!r}.")
        values[name] = value
    return values
