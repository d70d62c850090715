"""Draw docs/pictures/one-request.svg: one request from the socket to the commit, with the files it meets.

`make pictures` runs it; a test fails when the drawing is not what it would draw, or names a lost file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DRAWING = ROOT / "docs" / "pictures" / "one-request.svg"
WIDTH, LEFT, BOX, STEP, TOP = 860, 190, 640, 62, 52
ROOMS = {"api": "#e8f0fb", "service": "#e9f5ee", "core": "#fdf3e1", "store": "#f3ecf8"}


class Stop(NamedTuple):
    """A place that the request passes: its room, its file, what happens there."""

    room: str
    file: str
    title: str
    sentence: str


STOPS = (
    Stop("api", "processes/worker.py", "socket", "uvicorn on uvloop, on a socket that the supervisor bound"),
    Stop("api", "api/http/transport.py", "transport", "CORS, OPTIONS, HEAD, trailing slash, metrics"),
    Stop("api", "api/http/guard.py", "guard", "who calls (401), may they (403), is the service on (400)"),
    Stop("api", "api/cds/profiles.py", "handler", "decodes the body strictly; one use-case; renders"),
    Stop(
        "service",
        "service/profiles/profiles.py",
        "use-case",
        "the request becomes one Observation; ids are drawn here",
    ),
    Stop(
        "service",
        "service/ingest/batcher.py",
        "batcher",
        "waits while a batch is in the database; then a batch of ≤ 500",
    ),
    Stop(
        "service",
        "store/working_set.py",
        "lock, gather",
        "identifiers locked in one order; profiles and claims",
    ),
    Stop(
        "core", "core/resolution/resolve.py", "resolve", "evidence → candidates → refusals → survivor: a Plan"
    ),
    Stop("core", "core/fold/apply.py", "fold", "checks the values, merges, writes them with their source"),
    Stop("service", "store/working_set.py", "save", "log, profiles, claims, merges, refusals, kept answers"),
    Stop(
        "store",
        "store/database.py",
        "COMMIT",
        "one transaction, on disk; now every request of the batch is answered",
    ),
)


def main() -> int:
    DRAWING.parent.mkdir(exist_ok=True)
    DRAWING.write_text(drawing(), "utf-8")
    return 0


def drawing() -> str:
    """The drawing, as it should be."""
    for stop in STOPS:
        assert (ROOT / "src" / "oneself" / stop.file).is_file(), stop.file
    return "\n".join(lines()) + "\n"


def lines() -> Iterator[str]:
    height = TOP + STEP * len(STOPS) + 8
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="One request from the socket to the commit" font-family="system-ui, sans-serif">'
    )
    yield '<rect width="100%" height="100%" fill="#ffffff"/>'
    yield text(LEFT, 30, 15, "PATCH /t/acme/cds/api/v1/profiles/0b6e…")
    for number, stop in enumerate(STOPS):
        yield from box(number, stop)
    yield bracket(6, 10, "one transaction")
    yield "</svg>"


def box(number: int, stop: Stop) -> Iterator[str]:
    y = TOP + number * STEP
    fill = ROOMS[stop.room]
    yield f'<rect x="{LEFT}" y="{y}" width="{BOX}" height="44" rx="7" fill="{fill}" stroke="#9aa3ad"/>'
    yield text(LEFT + 14, y + 19, 14, stop.title, 'font-weight="600"')
    mono = 'text-anchor="end" font-family="ui-monospace, monospace"'
    yield text(LEFT + BOX - 14, y + 19, 12, stop.file, mono)
    yield text(LEFT + 14, y + 36, 12.5, stop.sentence)
    if number:
        middle = LEFT + 40
        yield f'<path d="M{middle} {y - 18} V{y - 4} m-4 -5 l4 5 l4 -5" fill="none" stroke="#4a525b"/>'


def bracket(first: int, last: int, words: str) -> str:
    top, bottom = TOP + first * STEP, TOP + last * STEP + 44
    middle = (top + bottom) // 2
    line = f'<path d="M{LEFT - 12} {top} h-10 V{bottom} h10" fill="none" stroke="#4a525b"/>'
    return line + text(LEFT - 32, middle, 13, words, 'text-anchor="end"')


def text(x: float, y: float, size: float, words: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="#21252b" {more}>{escape(words)}</text>'


if __name__ == "__main__":
    sys.exit(main())
