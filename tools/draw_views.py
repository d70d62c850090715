"""Draws docs/pictures/three-views.svg: the views of a profile, each within the next one.

`make pictures` runs it. A test fails if the drawing is outdated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from draw_request import text

DRAWING = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "three-views.svg"
WIDTH, HEIGHT, MARGIN, HEADING = 860, 392, 18, 74


class View(NamedTuple):
    """A view: its name, who reads it, what it adds, and the colour of its box."""

    name: str
    reader: str
    adds: str
    fill: str


#: From the outside to the inside.
VIEWS = (
    View(
        "all",
        "the event wires, and ?view=all with its permission",
        "+ what pages and people assert: identities of events, anonymous ids, unverified addresses",
        "#fdf3e1",
    ),
    View(
        "proven",
        "applications, by id, in lists and filters",
        "+ identifiers that servers said of both, users whom a report names",
        "#e8f0fb",
    ),
    View(
        "own",
        "the person, at /profiles/Me",
        "what one user owns: signed in on, created for them, begun with an address that they verified",
        "#e9f5ee",
    ),
    View(
        "by tracker",
        "whoever brings the tracker",
        "what this browser itself said, the owner's user_id",
        "#f3ecf8",
    ),
)


def main() -> int:
    """Write the drawing."""
    DRAWING.write_text(drawing(), "utf-8")
    return 0


def drawing() -> str:
    """Return the drawing as SVG."""
    return "\n".join(lines()) + "\n"


def lines() -> Iterator[str]:
    """Generate the elements of the SVG."""
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="The views of a profile, each within the next one" font-family="system-ui, sans-serif">'
    )
    yield '<rect width="100%" height="100%" fill="#ffffff"/>'
    for depth, view in enumerate(VIEWS):
        yield from box(depth, view)
    yield "</svg>"


def box(depth: int, view: View) -> Iterator[str]:
    """Generate the box of a view, within those around it."""
    x, y = MARGIN * (depth + 1), MARGIN + HEADING * depth
    width, height = WIDTH - 2 * x, HEIGHT - MARGIN * (depth + 1) - y
    yield (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="10" '
        f'fill="{view.fill}" stroke="#9aa3ad"/>'
    )
    yield text(x + 16, y + 26, 15, view.name, 'font-weight="600"')
    yield text(x + width - 16, y + 26, 12.5, view.reader, 'text-anchor="end"')
    yield text(x + 16, y + 50, 12.5, view.adds)


if __name__ == "__main__":
    sys.exit(main())
