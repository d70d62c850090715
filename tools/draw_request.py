"""Draws docs/pictures/one-request.svg: the path of a request from the socket to the commit, with file names.

`make pictures` runs it. A test fails if the drawing is outdated or if a file does not exist.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DRAWING = ROOT / "docs" / "pictures" / "one-request.svg"
WIDTH, LEFT, BOX, SPACING, TOP = 860, 190, 640, 62, 52
COLOURS = {"api": "#e8f0fb", "service": "#e9f5ee", "core": "#fdf3e1", "store": "#f3ecf8"}


class Step(NamedTuple):
    """A step of the request: package, file, title and description."""

    package: str
    file: str
    title: str
    description: str


STEPS = (
    Step(
        "api", "processes/worker.py", "socket", "uvicorn on uvloop, with the socket that the supervisor bound"
    ),
    Step("api", "api/http/transport.py", "transport", "CORS, OPTIONS, HEAD, trailing slash, metrics"),
    Step(
        "api", "api/http/guard.py", "guard", "authentication (401), permission (403), service enabled (400)"
    ),
    Step("api", "api/cds/profiles.py", "handler", "decodes the body strictly, calls one service, renders"),
    Step(
        "service",
        "service/profiles/profiles.py",
        "service",
        "creates one Observation with new ids",
    ),
    Step(
        "service",
        "service/ingest/batcher.py",
        "batcher",
        "collects up to 500 observations while the previous batch runs",
    ),
    Step(
        "service",
        "store/working_set.py",
        "lock, load",
        "locks identifiers in one order; loads profiles and claims",
    ),
    Step(
        "core", "core/resolution/resolve.py", "resolve", "evidence → candidates → refusals → survivor: a Plan"
    ),
    Step("core", "core/fold/apply.py", "fold", "validates values, merges profiles, records sources"),
    Step(
        "service", "store/working_set.py", "save", "log, profiles, claims, merges, refusals, stored responses"
    ),
    Step(
        "store",
        "store/database.py",
        "COMMIT",
        "the transaction is durable; all requests of the batch are answered",
    ),
)


def main() -> int:
    """Write the drawing."""
    DRAWING.parent.mkdir(exist_ok=True)
    DRAWING.write_text(drawing(), "utf-8")
    return 0


def drawing() -> str:
    """Return the drawing as SVG."""
    for step in STEPS:
        assert (ROOT / "src" / "oneself" / step.file).is_file(), step.file
    return "\n".join(lines()) + "\n"


def lines() -> Iterator[str]:
    """Generate the elements of the SVG."""
    height = TOP + SPACING * len(STEPS) + 8
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="One request from the socket to the commit" font-family="system-ui, sans-serif">'
    )
    yield '<rect width="100%" height="100%" fill="#ffffff"/>'
    yield text(LEFT, 30, 15, "PATCH /t/acme/cds/api/v1/profiles/0b6e…")
    for number, step in enumerate(STEPS):
        yield from box(number, step)
    yield bracket(6, 10, "one transaction")
    yield "</svg>"


def box(number: int, step: Step) -> Iterator[str]:
    """Generate the box of a step, with an arrow from the previous one."""
    y = TOP + number * SPACING
    fill = COLOURS[step.package]
    yield f'<rect x="{LEFT}" y="{y}" width="{BOX}" height="44" rx="7" fill="{fill}" stroke="#9aa3ad"/>'
    yield text(LEFT + 14, y + 19, 14, step.title, 'font-weight="600"')
    mono = 'text-anchor="end" font-family="ui-monospace, monospace"'
    yield text(LEFT + BOX - 14, y + 19, 12, step.file, mono)
    yield text(LEFT + 14, y + 36, 12.5, step.description)
    if number:
        middle = LEFT + 40
        yield f'<path d="M{middle} {y - 18} V{y - 4} m-4 -5 l4 5 l4 -5" fill="none" stroke="#4a525b"/>'


def bracket(first: int, last: int, label: str) -> str:
    """Return a bracket beside the steps `first` to `last`."""
    top, bottom = TOP + first * SPACING, TOP + last * SPACING + 44
    middle = (top + bottom) // 2
    line = f'<path d="M{LEFT - 12} {top} h-10 V{bottom} h10" fill="none" stroke="#4a525b"/>'
    return line + text(LEFT - 32, middle, 13, label, 'text-anchor="end"')


def text(x: float, y: float, size: float, content: str, attributes: str = "") -> str:
    """Return a text element."""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="#21252b" {attributes}>{escape(content)}</text>'


if __name__ == "__main__":
    sys.exit(main())
