"""`oneself verify`: fold the log again and say whether the live state is what it folds to (DESIGN §2)."""

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
    """Fold the log again in scratch tables and compare the outcome with the live state.

    Works beside a running service, which goes on writing: everything is compared as of one instant.
    Exit code 0 when both are the same, 1 with the first difference.
    """
    from oneself.core.fold.replay import Diverged
    from oneself.service.log.verify import verify as fold_and_compare

    try:
        with progress_bar("Folding the log") as progress:
            report = run(lambda services: fold_and_compare(services.database, progress))
    except Diverged as problem:
        err.print(str(problem))
        raise typer.Exit(1) from None
    _print_report(report)


def _print_report(report: VerifyReport) -> None:
    if report.difference is None:
        out.print(f"{_entries(report.entries)} fold to the same {_profiles(report.profiles)}.")
        return
    err.print(f"The live state is not what the {_entries(report.entries)} fold to.")
    err.print(str(report.difference))
    err.print("`oneself rebuild` puts what the log folds to in its place.")
    raise typer.Exit(1)


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _profiles(count: int) -> str:
    return f"{count:,} {'profile' if count == 1 else 'profiles'}"
