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
        typer.Option(
            metavar="FOLDER", help="The folder to work in; it is emptied first. Default: a temporary folder."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, metavar="NUMBER", help="The port of the service. Default: 8700, or a free port."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop after the story.")] = False,
) -> None:
    """Start a separate service, play a registration story on it, and keep it running.

    A visitor of a bookshop browses anonymously, registers, and returns on another browser; then another
    person uses the laptop. Every HTTP request is printed with its effect. Afterwards you can use a shop page
    in a browser. The demo does not touch other data.
    """
    from oneself.demo.play import play

    raise typer.Exit(play(data_dir, port, once=once))
