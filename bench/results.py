"""Stores measured figures with the machine and the commit.

Invariants: results are appended and never changed. Each question has one file in `results/`.
"""

import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil

FOLDER = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A measured number.

    `bare`: the same measurement with PostgreSQL alone, in the same unit. `target`: the value to reach, as
    text.
    """

    name: str
    value: float
    unit: str
    bare: float | None = None
    bare_means: str = ""
    target: str = ""


def figures_by_size(
    acts: Sequence[str], found: Mapping[int, Sequence[float]], *, what: str
) -> tuple[Figure, ...]:
    """What acts cost at several sizes, in ms, and how it grows from the smallest to the largest.

    `found`: size → the cost of each act, the smallest size first. `what`: that there are so many of.
    """
    sizes = [*found]
    costs = [
        Figure(f"{size:,} {what}: {act}".replace(",", " "), cost, "ms")
        for size in sizes
        for act, cost in zip(acts, found[size], strict=True)
    ]
    growth = [
        Figure(f"{act}, most to fewest", last / first, "×", target="≤ 2×")
        for act, first, last in zip(acts, found[sizes[0]], found[sizes[-1]], strict=True)
    ]
    return *costs, *growth


class Machine(msgspec.Struct, frozen=True):
    """The machine of a measurement.

    `load`: load average of one minute before the run, which shows other work.
    """

    cores: int
    memory_gb: float
    processor: str
    kernel: str
    postgresql: str
    python: str
    load: float


class Result(msgspec.Struct, frozen=True):
    """The result of one run of a question. `at`: time, RFC 3339."""

    question: str
    size: str
    at: str
    commit: str
    machine: Machine
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


def machine(postgresql: str) -> Machine:
    """Return the description of this machine."""
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
    """Return the commit of the work tree, with `+` if `src` has uncommitted changes."""
    head = _git("rev-parse", "--short=10", "HEAD")
    return head + ("+" if _git("status", "--porcelain", "--", "src") else "")


def now() -> str:
    """Return the current time as RFC 3339, UTC, with seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def append(result: Result) -> None:
    """Append a result to the file of its question."""
    stored = read(result.question)
    text = msgspec.json.format(msgspec.json.encode([*stored, result]), indent=1)
    path = FOLDER / f"{result.question}.json"
    draft = path.with_suffix(".tmp")
    draft.write_bytes(text + b"\n")
    draft.replace(path)


def read(question: str) -> list[Result]:
    """Return the stored results of a question, oldest first."""
    path = FOLDER / f"{question}.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Result]) if path.exists() else []


def percentile(values: Sequence[float], share: float) -> float:
    """Return the percentile of values. `share`: 0 to 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    """Return the median of values."""
    return statistics.median(values)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _git(*arguments: str) -> str:
    completed = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return completed.stdout.strip()
