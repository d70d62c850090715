"""`oneself protection`: values that identify nobody, and how much one observation may merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from oneself.cli.change_preview import Preview, preview_change
from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, dataset_ref_of, show
from oneself.errors import InvalidInput

if TYPE_CHECKING:
    from oneself.service.configuration import PlannedChange
    from oneself.service.context import DatasetRef
    from oneself.services import Services

app = typer.Typer(
    help="Protection: values that identify nobody, and limits on merges, in the dataset default.",
    epilog="Preview a change first: oneself protection change --block desk@acme.example --preview",
    no_args_is_help=True,
)


@app.command("show")
def show_(org: Org = None, as_json: AsJson = False) -> None:
    """Show the blocked values and the limits."""

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return msgspec.structs.asdict(await services.profiles.refusals.protection(dataset_ref))

    show(run(act), as_json=as_json)


@app.command()
def change(
    block: Annotated[
        list[str] | None,
        typer.Option(
            "--block",
            metavar="VALUE",
            help="A value that never identifies a profile, in any case. Replaces the list. Repeat for more.",
        ),
    ] = None,
    block_pattern: Annotated[
        list[str] | None,
        typer.Option(
            "--block-pattern",
            metavar="PATTERN",
            help="A shell pattern of such values: '*@test.example'. Replaces the list. Repeat for more.",
        ),
    ] = None,
    profiles_per_merge_max: Annotated[
        int | None, typer.Option(help="How many profiles one observation merges at most. Default: 100.")
    ] = None,
    values_per_namespace_max: Annotated[
        int | None,
        typer.Option(help="How many values of one attribute identify a profile at most. Default: 100."),
    ] = None,
    preview: Preview = False,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Change blocked values and limits. Others keep their values. --block '' alone clears the list.

    Example: oneself protection change --block 000 --block-pattern '*@test.example' --preview
    """
    options = {
        "blocked_values": tuple(value for value in block if value) if block else None,
        "blocked_patterns": tuple(value for value in block_pattern if value) if block_pattern else None,
        "profiles_per_merge_max": profiles_per_merge_max,
        "values_per_namespace_max": values_per_namespace_max,
    }
    changes: dict[str, Any] = {name: value for name, value in options.items() if value is not None}

    async def plan(services: Services) -> tuple[DatasetRef, list[PlannedChange]]:
        from oneself.service.profiles.refusals import plan_protection

        _check(changes)
        return await dataset_ref_of(services, org), [plan_protection(**changes)]

    async def act(services: Services) -> dict[str, Any]:
        _check(changes)
        dataset_ref = await dataset_ref_of(services, org)
        return msgspec.structs.asdict(await services.profiles.refusals.protect(dataset_ref, **changes))

    if preview:
        preview_change(plan, as_json=as_json)
    else:
        show(run(act), as_json=as_json)


def _check(changes: dict[str, Any]) -> None:
    from oneself.service.profiles.refusals import find_problem

    if (problem := find_problem(changes)) is not None:
        raise InvalidInput("protection", problem)
