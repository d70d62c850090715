"""Measured figures, the machine they were measured on, and the file that keeps them.

Law of this module: a result is appended, never changed; one file per question under `results/`.
"""

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil

FOLDER = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One measured number. `bare`: what PostgreSQL alone needs or does for the same rows, in the same unit.
    `target`: the figure to reach, in words."""

    name: str
    value: float
    unit: str
    bare: float | None = None
    bare_means: str = ""
    target: str = ""


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured. `load`: the one-minute average before the run, which shows other work."""

    cores: int
    memory_gb: float
    processor: str
    kernel: str
    postgresql: str
    python: str
    load: float


class Result(msgspec.Struct, frozen=True):
    """The answer of one run to one question."""

    question: str
    size: str
    at: str
    commit: str
    machine: Machine
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


def machine(postgresql: str) -> Machine:
    """This machine, now."""
    return Machine(
        cores=os.cpu_count() or 0,
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        processor=_processor(),
        kernel=platform.release(),
        postgresql=postgresql,
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2),
    )


def commit() -> str:
    """The commit of the tree, marked `+` if `src` differs from it."""
    head = _git("rev-parse", "--short=10", "HEAD")
    return head + ("+" if _git("status", "--porcelain", "--", "src") else "")


def now() -> str:
    """The current time, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def keep(result: Result) -> None:
    """Append a result to its question's file."""
    found = read(result.question)
    text = msgspec.json.format(msgspec.json.encode([*found, result]), indent=1)
    path = FOLDER / f"{result.question}.json"
    draft = path.with_suffix(".tmp")
    draft.write_bytes(text + b"\n")
    draft.replace(path)


def read(question: str) -> list[Result]:
    """Every stored result of a question, oldest first."""
    path = FOLDER / f"{question}.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Result]) if path.exists() else []


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share (0 to 1) of all values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip()
