"""`oneself demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def demo(
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder to work in, emptied first. Default: a temporary one."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, metavar="NUMBER", help="Port of the service. Default: 8700, or any free."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when the story has been told.")] = False,
) -> None:
    """Play the registration story on a service of its own, and keep it running to be tried by hand.

    A bookshop's visitor browses anonymously, registers, comes back on another browser; a stranger borrows
    the laptop. Every request goes over public HTTP and is printed with what it changed. Afterwards there is
    a shop page to click through. Nothing of it touches other data of yours.
    """
    from oneself.demo.play import play

    raise typer.Exit(play(data_dir, port, once=once))
