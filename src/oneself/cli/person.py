"""`oneself person`: explains, exports and erases a person."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from oneself.cli.context import run
from oneself.cli.decisions import merge, split
from oneself.cli.files import write_bytes
from oneself.cli.output import (
    AsJson,
    Dataset,
    Org,
    ViewName,
    Yes,
    confirm,
    dataset_of,
    show,
    show_list,
    timestamp,
    view_of,
)
from oneself.cli.person_why import why
from oneself.core.units import SEQ_MAX
from oneself.errors import NotFound

if TYPE_CHECKING:
    from oneself.service.privacy.erasure import Receipt
    from oneself.services import Services

app = typer.Typer(
    help="The data of a person: explain, split, merge, export, erase; list erasures.",
    epilog="Example, an access request: oneself person export ID > person.json",
    no_args_is_help=True,
)

PersonId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="A current or former id: profile id, primary id, alias or namespace:value."
    ),
]
RECEIPTS_MAX = 100

app.command()(why)


@app.command()
def export(
    person_id: PersonId,
    org: Org = None,
    dataset: Dataset = "default",
    view: ViewName = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="The file to write. Default: standard output.")
    ] = None,
) -> None:
    """Write all stored data about a person in a view as one JSON document.

    --view all also writes what is only believed to be theirs.
    """

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_of(services, org, dataset)
        seen = await view_of(services, dataset_ref, view)
        export = await services.privacy.persons.export(dataset_ref, person_id, seen)
        if export is None:
            raise _unknown(person_id, dataset)
        return export.document

    text = msgspec.json.format(msgspec.json.encode(run(act)), indent=2)
    if file is not None:
        write_bytes(file, text + b"\n")
    else:
        sys.stdout.buffer.write(text + b"\n")


@app.command()
def erase(
    person_id: PersonId,
    org: Org = None,
    dataset: Dataset = "default",
    view: Annotated[
        str,
        typer.Option(
            metavar="VIEW",
            help="own: what the user owns; proven: what is proven to be one person; "
            "all: also what is only believed.",
        ),
    ] = "proven",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show whose parts would be erased, and erase nothing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase a person and show the receipt. This cannot be undone.

    The profile id of a merged profile erases only the data of that profile.
    """

    async def look(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_of(services, org, dataset)
        seen = await view_of(services, dataset_ref, view)
        found = await services.privacy.persons.preview_erasure(dataset_ref, person_id, seen)
        if found is None:
            raise _unknown(person_id, dataset)
        return {
            "view": seen,
            "profiles": len(found.profile_ids),
            "users": list(found.users),
            "log_entries": found.entries,
            "identifiers": found.identifiers,
        }

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.context import Actor

        dataset_ref = await dataset_of(services, org, dataset)
        seen = await view_of(services, dataset_ref, view)
        receipt = await services.privacy.persons.erase(dataset_ref, Actor("cli"), person_id, seen)
        if receipt is None:
            raise _unknown(person_id, dataset)
        return _fields(receipt)

    if dry_run:
        show(run(look), as_json=as_json)
        return
    if not yes:
        show(run(look), as_json=False)
    confirm(f"Erase everything about {person_id}?", yes=yes)
    show(run(act), as_json=as_json)


@app.command()
def receipts(org: Org = None, dataset: Dataset = "default", as_json: AsJson = False) -> None:
    """List the receipts of the last 100 erasures."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_of(services, org, dataset)
        return [
            _fields(receipt)
            for receipt in await services.privacy.erasure.list_receipts(dataset_ref, SEQ_MAX, RECEIPTS_MAX)
        ]

    show_list("erasures", run(act), as_json=as_json, empty="There are no erasures.")


app.command()(split)
app.command()(merge)


def _unknown(person_id: str, dataset: str) -> NotFound:
    return NotFound(f"No profile of the dataset {dataset!r} has the id {person_id!r}.")


def _fields(receipt: Receipt) -> dict[str, Any]:
    return {
        "receipt_id": str(receipt.receipt_id),
        "erased_at": timestamp(receipt.erased_at),
        "profiles": len(receipt.profile_ids),
        "log_entries": receipt.entries,
        "identifiers": receipt.identifiers,
    }
