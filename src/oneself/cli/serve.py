"""`oneself serve`."""

from __future__ import annotations

import typer

from oneself.cli.context import load_settings

app = typer.Typer()


@app.command()
def serve() -> None:
    """Run the service until it is stopped.

    Without ONESELF_DATABASE_URL it starts an embedded PostgreSQL in the data folder. Every setting has a
    default. Every flag is also an environment variable and a line of the settings file; see: oneself
    settings.

    Example: oneself serve --port 9000 --bootstrap-org acme
    """
    from oneself.processes.supervisor import serve as run_service

    run_service(load_settings())
