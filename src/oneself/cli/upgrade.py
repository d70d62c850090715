"""`oneself upgrade`, and the same before any other command that uses the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from oneself.cli.context import database_url, err, load_settings, out
from oneself.cli.progress_bar import progress_bar

if TYPE_CHECKING:
    from oneself.service.setup.upgrade import Upgraded

app = typer.Typer()


@app.command()
def upgrade() -> None:
    """Apply pending migrations and rebuild outdated state from the log.

    `oneself serve` does the same at start. Run this command before the start if the log is large, while no
    process of the earlier version runs. Does nothing on an up-to-date database. An interrupted upgrade is
    continued by the next one.
    """
    with database_url(load_settings().settings) as url:
        _print_outcome(asyncio.run(upgrade_database(url)))


async def upgrade_database(url: str) -> Upgraded:
    """Bring a database to this version; shows a rebuild on standard error."""
    from oneself.service.setup.upgrade import upgrade as apply_and_rebuild

    return await apply_and_rebuild(url, _show_rebuild, _print_wait)


def _print_wait() -> None:
    err.print("Waiting: another process upgrades the database.")


@contextmanager
def _show_rebuild() -> Iterator[Callable[[int, int], None]]:
    err.print("An earlier version wrote the state; it is rebuilt from the log once.")
    with progress_bar("Replaying the log") as progress:
        yield progress


def _print_outcome(upgraded: Upgraded) -> None:
    out.print(f"Migrations applied: {', '.join(upgraded.migrations) or 'none'}.")
    if upgraded.rebuilt is None:
        out.print("The state is up to date.")
        return
    entries, profiles = upgraded.rebuilt.entries, upgraded.rebuilt.profiles
    out.print(f"State rebuilt: {entries:,} entries of the log folded to {profiles:,} profiles.")
