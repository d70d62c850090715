"""Runs questions and stores the results: `make bench ARGS="--quick resolution_cost"`."""

import importlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from oneself.store.embedded.server import Embedded

from . import report, results
from .results import Figure, Result
from .stage import Stage

QUESTIONS = (
    "single_ingest",
    "batched_ingest",
    "http_events",
    "http_events_million",
    "http_writes",
    "late_event",
    "profile_reads",
    "consented_reads",
    "longest_answer",
    "large_merges",
    "explain_cost",
    "console_pages",
    "split_cost",
    "as_of_cost",
    "feed_cost",
    "feed_publication",
    "merge_cost",
    "resolution_cost",
    "rule_match",
    "start_up",
    "verify_speed",
)
console = Console()


def main() -> None:
    """Entry point of `python -m bench`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(_run)
    app()


def _run(
    questions: Annotated[list[str] | None, typer.Argument(help="The questions. Default: all.")] = None,
    quick: Annotated[bool, typer.Option(help="Use small sizes and store no results.")] = False,
    database_url: Annotated[
        str | None, typer.Option(help="URL of a server. Default: the embedded one.")
    ] = None,
    note: Annotated[list[str] | None, typer.Option(help="A note to store with the results.")] = None,
    table: Annotated[bool, typer.Option(help="Only update the table in README.md.")] = False,
) -> None:
    if not table:
        unknown = set(questions or ()) - set(QUESTIONS)
        if unknown:
            raise typer.BadParameter(
                f"Unknown questions: {', '.join(unknown)}. Choose from: {', '.join(QUESTIONS)}."
            )
        _measure_all(
            questions or list(QUESTIONS),
            is_full=not quick,
            database_url=database_url,
            notes=tuple(note or ()),
        )
    if not quick:
        report.write()


def _measure_all(
    names: list[str], *, is_full: bool, database_url: str | None, notes: tuple[str, ...]
) -> None:
    with _folder() as folder, _server(folder, database_url) as url, _bar() as bar:
        for name in names:
            task = bar.add_task(name, total=1)
            stage = Stage(url, folder, is_full, partial(_show, bar, task))
            figures = _measure(name, stage, notes)
            bar.update(task, completed=1, total=1)
            for figure in figures:
                bar.console.print(f"  {report.sentence(figure)}", highlight=False)


def _measure(name: str, stage: Stage, notes: tuple[str, ...]) -> tuple[Figure, ...]:
    question = _question(name)
    machine = results.machine(uvloop.run(stage.version()))
    figures: tuple[Figure, ...] = uvloop.run(question.measure(stage))
    if stage.is_full:
        results.append(Result(name, "full", results.now(), results.commit(), machine, figures, notes))
    return figures


def _question(name: str) -> ModuleType:
    return importlib.import_module(f"bench.questions.{name}")


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="oneself-bench-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _server(folder: Path, database_url: str | None) -> Iterator[str]:
    if database_url is not None:
        yield database_url
        return
    embedded = Embedded.attach(folder / "server")
    try:
        yield embedded.url
    finally:
        embedded.stop()


def _show(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console)
