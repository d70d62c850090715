"""`oneself verify`: replays the log and compares the result with the live state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from oneself.cli.context import err, out, run
from oneself.cli.progress_bar import progress_bar

if TYPE_CHECKING:
    from oneself.service.log.verify import VerifyReport

app = typer.Typer()


@app.command()
def verify() -> None:
    """Replay the log in temporary tables and compare the result with the live state.

    Works while the service runs and writes, because it compares one snapshot. Exit code 0 if both are equal,
    1 if not; the first difference is printed.
    """
    from oneself.core.fold.replay import Diverged
    from oneself.service.log.verify import verify as replay_and_compare

    try:
        with progress_bar("Replaying the log") as progress:
            report = run(lambda services: replay_and_compare(services.database, progress))
    except Diverged as problem:
        err.print(str(problem))
        raise typer.Exit(1) from None
    _print_report(report)


def _print_report(report: VerifyReport) -> None:
    if report.difference is None:
        out.print(f"{_entries(report.entries)} fold to the same {_profiles(report.profiles)}.")
        return
    err.print(f"The live state differs from what the {_entries(report.entries)} fold to.")
    err.print(str(report.difference))
    err.print("Run `oneself rebuild` to replace it with the result of replaying the log.")
    raise typer.Exit(1)


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _profiles(count: int) -> str:
    return f"{count:,} {'profile' if count == 1 else 'profiles'}"
