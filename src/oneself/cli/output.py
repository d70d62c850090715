"""Shared options, selection of the organisation, and output of the commands.

Invariants: tables and JSON (`--json`) contain the same values. Only the command that creates a secret prints
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
from oneself.cli.files import decoded_input
from oneself.core.identity_graph.joins import VIEWS, View
from oneself.errors import InvalidInput

if TYPE_CHECKING:
    from oneself.service.context import DatasetRef
    from oneself.services import Services

Org = Annotated[
    str | None,
    typer.Option(
        "--org", "-o", metavar="HANDLE", help="The organisation. Required only if there are several."
    ),
]
Dataset = Annotated[str, typer.Option("--dataset", "-d", metavar="NAME", help="The dataset.")]
ViewName = Annotated[
    str | None,
    typer.Option(
        "--view",
        metavar="VIEW",
        help="own, proven or all: what the owner owns, what is proven, or what the business believes. "
        "Default: the default view of the dataset.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

# Width of tables that are not printed to a terminal, so that lines are not wrapped.
PIPE_WIDTH = 4_000
ONCE_NOTE = "The secret is shown only once. Only its hash is stored."


async def dataset_ref_of(services: Services, handle: str | None) -> DatasetRef:
    """Return the organisation with this handle, else the default one, else the only one.

    Raises NotFound if it is unknown, InvalidInput if there are none or several.
    """
    if named := handle or services.settings.organisation:
        return await services.directory.organisations.get(named)
    overviews = await services.directory.organisations.list()
    if len(overviews) == 1:
        return await services.directory.organisations.get(overviews[0].handle)
    if not overviews:
        sentence = "There is no organisation yet. Create one: oneself org create HANDLE"
    else:
        handles = ", ".join(overview.handle for overview in overviews)
        sentence = f"Select the organisation with --org: {handles}."
    raise InvalidInput("org", sentence)


async def dataset_of(services: Services, handle: str | None, name: str) -> DatasetRef:
    """Return a dataset of the organisation. Raises as `dataset_ref_of`, and NotFound if it is unknown."""
    return await services.schema.datasets.get(await dataset_ref_of(services, handle), name)


async def view_of(services: Services, dataset_ref: DatasetRef, name: str | None) -> View:
    """Return the view of this name, else the default one of the dataset. Raises InvalidInput."""
    if name is None:
        return (await services.configurations.current(dataset_ref.dataset_id)).dataset.default_view
    for view in VIEWS:
        if view == name:
            return view
    raise InvalidInput("view", f"{name[:100]!r} is not a view. Write own, proven or all.")


def show(fields: Mapping[str, Any], *, as_json: bool, note: str = "") -> None:
    """Print one object, one field per line. None is omitted. JSON contains all fields."""
    if as_json:
        out.print_json(_encoded(fields))
        return
    width = max(len(key) for key in fields)
    for key, value in fields.items():
        if value is not None:
            line = Text(f"{key.replace('_', ' '):<{width}}  ", style="dim")
            out.print(line.append(_text(value), style="not dim"), soft_wrap=True)
    if note:
        err.print(f"[yellow]{note}[/]" if err.is_terminal else note)


def show_list(name: str, rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print a table. `name`: key of the list in JSON. `empty`: printed if there are no rows."""
    if as_json:
        out.print_json(_encoded({name: rows}))
        return
    if not rows:
        out.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column, key in enumerate(rows[0]):
        # Other commands take the first column as an argument, so it is not wrapped.
        table.add_column(key.replace("_", " "), overflow="fold", no_wrap=column == 0)
    for row in rows:
        table.add_row(*(Text(_text(value)) for value in row.values()))
    if out.is_terminal:
        out.print(table)
    else:
        out.print(table, width=PIPE_WIDTH, crop=False)


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation. Aborts the command if the answer is no."""
    if yes:
        return
    with decoded_input():
        if not typer.confirm(question):
            raise typer.Abort


def timestamp(microseconds: int) -> str:
    """Format a time as RFC 3339, UTC, with seconds."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def escaped(text: str) -> str:
    """The text with escape sequences for characters that are not printable."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{key}={part}" for key, part in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()
