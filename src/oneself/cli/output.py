"""What commands share: finding the organisation and dataset, and printing results.

Invariants: a table and JSON (`--json`) contain the same facts. Only the command that creates a secret prints
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from oneself.cli.context import err, out
from oneself.errors import InvalidInput

if TYPE_CHECKING:
    from oneself.service.context import DatasetRef
    from oneself.service.rules.preview import Preview
    from oneself.services import Services

Org = Annotated[
    str | None,
    typer.Option("--org", "-o", metavar="HANDLE", help="The organisation. Required if there are several."),
]
Dataset = Annotated[str, typer.Option("--dataset", "-d", metavar="NAME", help="The dataset.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

# A pipe has no width, so lines are not wrapped.
PIPE_WIDTH = 4_000
ONLY_ONCE = "The secret is shown only once, because only its hash is stored."


async def dataset_ref_of(services: Services, handle: str | None) -> DatasetRef:
    """The named organisation, else the default one, else the only one.

    Raises NotFound for an unknown organisation, InvalidInput if there are several and none is named.
    """
    if named := handle or services.settings.organisation:
        return await services.directory.organisations.get(named)
    known = await services.directory.organisations.list()
    if len(known) == 1:
        return await services.directory.organisations.get(known[0].handle)
    if not known:
        sentence = "There is no organisation. Create one: oneself org create HANDLE"
    else:
        sentence = f"Name the organisation with --org: {', '.join(o.handle for o in known)}."
    raise InvalidInput("org", sentence)


async def dataset_of(services: Services, handle: str | None, name: str) -> DatasetRef:
    """A dataset of the organisation. Raises NotFound, and what `dataset_ref_of` raises."""
    return await services.schema.datasets.get(await dataset_ref_of(services, handle), name)


def show(facts: Mapping[str, Any], *, as_json: bool, note: str = "") -> None:
    """Print one thing, a line per fact. JSON has snake_case keys; the table has words and omits None."""
    if as_json:
        out.print_json(_encoded(facts))
        return
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        if value is not None:
            line = Text(f"{key.replace('_', ' '):<{width}}  ", style="dim")
            out.print(line.append(_words(value), style="not dim"), soft_wrap=True)
    if note:
        err.print(f"[yellow]{note}[/]" if err.is_terminal else note)


def show_list(name: str, rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print several things as a table. `empty`: printed if there are none."""
    if as_json:
        out.print_json(_encoded({name: rows}))
        return
    if not rows:
        out.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, key in enumerate(rows[0]):
        # Other commands take the first column as an argument: it is not wrapped.
        table.add_column(key.replace("_", " "), overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(_words(value)) for value in row.values()))
    if out.is_terminal:
        out.print(table)
    else:
        out.print(table, width=PIPE_WIDTH, crop=False)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is deleted; the answer no ends the command."""
    if not yes and not typer.confirm(question):
        raise typer.Abort


def print_preview(preview: Preview, subject: str) -> None:
    """Print on standard error what a change would do to the profiles that exist."""
    err.print(
        f"{subject}: {preview.profiles_indexed} profiles have a value. {preview.profiles_absorbed} of them "
        f"would be merged into {preview.groups} others; the largest group has {preview.largest_group}. "
        f"{preview.values_changed_count} values would change. {preview.refusals_count} pairs stay apart."
    )


def timestamp(microseconds: int) -> str:
    """A time as RFC 3339, UTC, in seconds. `microseconds`: since 1970."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{key}={part}" for key, part in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()
