"""`oneself person`: everything about one person, and the way to forget them (DESIGN §8)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
import typer

from oneself.cli.context import run
from oneself.cli.directory import (
    AsJson,
    Dataset,
    Org,
    Yes,
    confirm,
    dataset_of,
    instant,
    show,
    show_list,
)
from oneself.errors import NotFound

if TYPE_CHECKING:
    from oneself.serve import Services
    from oneself.service.erase import Receipt

app = typer.Typer(
    help="People: export what is kept about one, erase it, show the receipts.",
    epilog="For a request of access: oneself person export PROFILE_ID > person.json",
    no_args_is_help=True,
)

ProfileId = Annotated[UUID, typer.Argument(metavar="PROFILE_ID", help="Any id that the person ever had.")]
RECEIPTS_SHOWN = 100
_LAST_SEQ = 2**62


@app.command()
def export(
    profile_id: ProfileId,
    org: Org = None,
    dataset: Dataset = "default",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Default: standard output.")] = None,
) -> None:
    """Write everything that is kept about a person as one JSON document."""

    async def act(services: Services) -> dict[str, Any]:
        document = await services.exports.export(await dataset_of(services, org, dataset), profile_id)
        if document is None:
            raise NotFound(f"There is no profile {profile_id}.")
        return document

    text = msgspec.json.format(msgspec.json.encode(run(act)), indent=2)
    if file is not None:
        file.write_bytes(text + b"\n")
    else:
        sys.stdout.buffer.write(text + b"\n")


@app.command()
def erase(
    profile_id: ProfileId,
    org: Org = None,
    dataset: Dataset = "default",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase a person, or what one absorbed profile brought, and show the receipt. There is no way back."""
    confirm(f"Erase everything about {profile_id}?", yes=yes)

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.actor import Actor

        at = await dataset_of(services, org, dataset)
        receipt = await services.erasure.erase(at, Actor("cli"), profile_id)
        if receipt is None:
            raise NotFound(f"There is no profile {profile_id}.")
        return _facts(receipt)

    show(run(act), as_json=as_json)


@app.command()
def receipts(org: Org = None, dataset: Dataset = "default", as_json: AsJson = False) -> None:
    """Show the receipts of the last erasures."""

    async def act(services: Services) -> list[dict[str, Any]]:
        at = await dataset_of(services, org, dataset)
        return [_facts(each) for each in await services.erasure.list_receipts(at, _LAST_SEQ, RECEIPTS_SHOWN)]

    show_list("erasures", run(act), as_json=as_json, empty="Nobody was erased.")


def _facts(receipt: Receipt) -> dict[str, Any]:
    return {
        "receipt_id": str(receipt.receipt_id),
        "erased_at": instant(receipt.erased_at),
        "profiles": len(receipt.profile_ids),
        "log_entries": receipt.entries,
        "identifiers": receipt.identifiers,
    }
