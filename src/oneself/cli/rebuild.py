"""`oneself rebuild`: replace the live state by the replay of the log.

Source: docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

import typer

from oneself.cli.context import err, out, run
from oneself.cli.output import Yes, confirm
from oneself.cli.progress_bar import progress_bar

app = typer.Typer()

QUESTION = "Replace the live state of every dataset by the replay of its log? Writes wait meanwhile."


@app.command()
def rebuild(yes: Yes = False) -> None:
    """Replay the log and replace the live state by the result.

    The service may run meanwhile. Reads see the old state until the new one is committed; writes to a dataset
    wait while it is rebuilt. Only rows that differ are written.
    """
    from oneself.core.fold.replay import Diverged
    from oneself.service.log.rebuild import rebuild as fold_and_replace

    confirm(QUESTION, yes=yes)
    try:
        with progress_bar("Replaying the log") as progress:
            rebuilt = run(lambda services: fold_and_replace(services.database, progress))
    except Diverged as problem:
        err.print(str(problem))
        raise typer.Exit(1) from None
    out.print(f"Replayed {rebuilt.entries:,} log entries into {rebuilt.profiles:,} profiles.")
    out.print(_corrections(rebuilt.corrected))


def _corrections(corrected: dict[str, int]) -> str:
    tables = [f"{count:,} in {table}" for table, count in corrected.items() if count]
    return f"Rows corrected: {', '.join(tables)}." if tables else "The live state was already the same."
