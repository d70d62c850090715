"""`oneself verify`: replay the log and compare the result with the live state.

Source: docs/concepts/log-and-fold.md.
"""

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
    """Replay the log into temporary tables and compare them with the live state.

    The service may run and write meanwhile: everything is compared as of one point in time. Exit code 0 if
    both are equal; otherwise 1, and the first difference is printed.
    """
    from oneself.core.fold.replay import Diverged
    from oneself.service.log.verify import verify as fold_and_compare

    try:
        with progress_bar("Replaying the log") as progress:
            report = run(lambda services: fold_and_compare(services.database, progress))
    except Diverged as problem:
        err.print(str(problem))
        raise typer.Exit(1) from None
    _print_report(report)


def _print_report(report: VerifyReport) -> None:
    if report.difference is None:
        out.print(f"The replay of {_entries(report.entries)} gives the same {_profiles(report.profiles)}.")
        return
    err.print(f"The live state differs from the replay of {_entries(report.entries)}.")
    err.print(str(report.difference))
    err.print("`oneself rebuild` replaces it by the replayed state.")
    raise typer.Exit(1)


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _profiles(count: int) -> str:
    return f"{count:,} {'profile' if count == 1 else 'profiles'}"
