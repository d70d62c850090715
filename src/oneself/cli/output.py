"""What the commands of the directory share: which organisation is meant, and how things are shown.

Law of this module: people get a table, programs get JSON (`--json`), both the same facts. A secret is shown
by the command that made it and by no other.
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
from oneself.errors import InvalidInput

if TYPE_CHECKING:
    from oneself.service.context import DatasetRef
    from oneself.services import Services

Org = Annotated[
    str | None,
    typer.Option(
        "--org", "-o", metavar="HANDLE", help="The organisation; needed only when there are several."
    ),
]
Dataset = Annotated[str, typer.Option("--dataset", "-d", metavar="NAME", help="The dataset.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

# A pipe has no width: lines are as long as what they say.
PIPE_WIDTH = 4_000
ONCE_NOTE = "The secret is shown this once; it is stored as a hash only."


async def dataset_ref_of(services: Services, handle: str | None) -> DatasetRef:
    """The organisation that is meant: the named one, the default one, or the only one.

    Raises NotFound for an unknown one, InvalidInput when it cannot be told.
    """
    if named := handle or services.settings.organisation:
        return await services.directory.organisations.get(named)
    known = await services.directory.organisations.list()
    if len(known) == 1:
        return await services.directory.organisations.get(known[0].handle)
    if not known:
        sentence = "There is no organisation yet. Make one: oneself org create HANDLE"
    else:
        sentence = f"Say which organisation with --org: {', '.join(o.handle for o in known)}."
    raise InvalidInput("org", sentence)


async def dataset_of(services: Services, handle: str | None, name: str) -> DatasetRef:
    """A dataset of the organisation that is meant; raises as `tenant_of`, NotFound for an unknown one."""
    return await services.schema.datasets.get(await dataset_ref_of(services, handle), name)


def show(facts: Mapping[str, Any], *, as_json: bool, note: str = "") -> None:
    """One thing: a line per fact. Keys are snake_case in JSON, words for people; None is left out."""
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
    """Several things: a table; `empty` is what is said when there are none."""
    if as_json:
        out.print_json(_encoded({name: rows}))
        return
    if not rows:
        out.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column, key in enumerate(rows[0]):
        # The first column is what other commands take: it stays in one piece.
        table.add_column(key.replace("_", " "), overflow="fold", no_wrap=column == 0)
    for row in rows:
        table.add_row(*(Text(_words(value)) for value in row.values()))
    if out.is_terminal:
        out.print(table)
    else:
        out.print(table, width=PIPE_WIDTH, crop=False)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is gone; ends the command on no."""
    if yes:
        return
    with decoded_input():
        if not typer.confirm(question):
            raise typer.Abort


def timestamp(microseconds: int) -> str:
    """An instant as RFC 3339, UTC, to the second."""
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
