"""`oneself serve`: runs the service."""

from __future__ import annotations

import typer

from oneself.cli.context import load_settings
from oneself.cli.progress_bar import progress_bar

app = typer.Typer()


@app.command()
def serve() -> None:
    """Run the service until it is stopped.

    Without ONESELF_DATABASE_URL it starts an embedded PostgreSQL in the data folder. All settings have a
    default. Every flag is also an environment variable and a line of the settings file; see: oneself
    settings.
    """
    from oneself.processes.supervisor import serve as run_service

    run_service(load_settings(), progress_bar)
