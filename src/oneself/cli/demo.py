"""`oneself demo`: plays the registration story on a service of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def demo(
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Data folder, emptied first. Default: a temporary folder."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, metavar="NUMBER", help="Port of the service. Default: 8700, or a free port."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Exit after the story.")] = False,
) -> None:
    """Play the registration story on a service of its own, then keep the service running.

    A visitor of a bookshop browses anonymously, registers, and returns on another browser; another person
    uses the laptop. The demo sends every request over HTTP and prints what it changed. Afterwards you can use
    the shop page. The demo does not touch other data.
    """
    from oneself.demo.play import play

    raise typer.Exit(play(data_dir, port, once=once))
