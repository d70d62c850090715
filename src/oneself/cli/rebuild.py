"""`oneself rebuild`: put what the log folds to in the place of the live state (DESIGN §2)."""

from __future__ import annotations

import typer

from oneself.cli.context import err, out, run
from oneself.cli.output import Yes, confirm
from oneself.cli.progress_bar import progress_bar

app = typer.Typer()

QUESTION = "Replace the live state of every dataset by what its log folds to? Writes wait meanwhile."


@app.command()
def rebuild(yes: Yes = False) -> None:
    """Fold the log again and replace the live state by the outcome.

    Works beside a running service: reads are answered from the old state until the new one is committed,
    writes to a dataset wait while it is rebuilt. Only rows that differ are touched.
    """
    from oneself.core.fold.replay import Diverged
    from oneself.service.log.rebuild import rebuild as fold_and_replace

    confirm(QUESTION, yes=yes)
    try:
        with progress_bar("Folding the log") as progress:
            rebuilt = run(lambda services: fold_and_replace(services.database, progress))
    except Diverged as problem:
        err.print(str(problem))
        raise typer.Exit(1) from None
    out.print(f"{rebuilt.entries:,} entries of the log folded to {rebuilt.profiles:,} profiles.")
    out.print(_corrections(rebuilt.corrected))


def _corrections(corrected: dict[str, int]) -> str:
    corrections = [f"{count:,} in {table}" for table, count in corrected.items() if count]
    return (
        f"Rows corrected: {', '.join(corrections)}."
        if corrections
        else "The live state was the same already."
    )
