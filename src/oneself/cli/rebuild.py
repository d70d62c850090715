"""`oneself rebuild`: replaces the live state with the result of replaying the log."""

from __future__ import annotations

import typer

from oneself.cli.context import err, out, run
from oneself.cli.output import Yes, confirm
from oneself.cli.progress_bar import progress_bar

app = typer.Typer()

QUESTION = (
    "Replace the live state of all datasets with the result of replaying the log? Writes wait meanwhile."
)


@app.command()
def rebuild(yes: Yes = False) -> None:
    """Replay the log and replace the live state with the result.

    Works while the service runs: reads use the previous state until the new one is committed; writes to a
    dataset wait while it is rebuilt. Only rows that differ are changed.
    """
    from oneself.core.fold.replay import Diverged
    from oneself.service.log.rebuild import rebuild as replay_and_replace

    confirm(QUESTION, yes=yes)
    try:
        with progress_bar("Replaying the log") as progress:
            rebuilt = run(lambda services: replay_and_replace(services.database, progress))
    except Diverged as problem:
        err.print(str(problem))
        raise typer.Exit(1) from None
    out.print(f"Replayed {rebuilt.entries:,} log entries to {rebuilt.profiles:,} profiles.")
    out.print(_corrections(rebuilt.corrected))


def _corrections(corrected: dict[str, int]) -> str:
    corrections = [f"{count:,} in {table}" for table, count in corrected.items() if count]
    return (
        f"Rows corrected: {', '.join(corrections)}." if corrections else "The live state was already correct."
    )
