"""Where the nodes and edges of a drawn identity graph are: parts on the left, what ties them on the right.

Invariants: pure and deterministic. No two nodes of a column overlap; the left column has the order of its
input, so that the strongest evidence is at the top. Units: px.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

NODE_WIDTH = 324
NODE_HEIGHT = 52
ROW_HEIGHT = 64
GAP = 190
MARGIN = 8
#: A node on the right is at most so far below the first one that it ties.
SIGHT = 4 * ROW_HEIGHT
RIGHT_X = MARGIN + NODE_WIDTH + GAP
WIDTH = RIGHT_X + NODE_WIDTH + MARGIN


class GraphLayout(msgspec.Struct, frozen=True):
    """The tops of the nodes of both columns, in the order of the input, a path for each edge, and the height
    of the picture."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    paths: tuple[str, ...]
    height: int


def lay_out(left: int, right: int, edges: Sequence[tuple[int, int]]) -> GraphLayout:
    """Lay out two columns of nodes. `edges`: pairs of a node on the left and one on the right."""
    lefts = tuple(MARGIN + number * ROW_HEIGHT for number in range(left))
    height = MARGIN + max(left, right, 1) * ROW_HEIGHT
    middles = [_middle([lefts[one] for one, other in edges if other == number]) for number in range(right)]
    rights = _without_overlap(middles, height - ROW_HEIGHT)
    paths = tuple(_path(lefts[one], rights[other]) for one, other in edges)
    return GraphLayout(lefts, rights, paths, height)


def _middle(tops: Sequence[int]) -> float:
    """Where edges from nodes at these tops are short, and which is in sight of the first of them."""
    return min(sum(tops) / len(tops), min(tops) + SIGHT) if tops else MARGIN


def _without_overlap(middles: Sequence[float], last: int) -> tuple[int, ...]:
    """Tops near these, a row apart, the last one at most at `last`."""
    order = sorted(range(len(middles)), key=lambda number: (middles[number], number))
    tops = dict.fromkeys(order, 0)
    top = MARGIN - ROW_HEIGHT
    for number in order:
        top = tops[number] = max(round(middles[number]), top + ROW_HEIGHT)
    limit = last
    for number in reversed(order):
        tops[number] = min(tops[number], limit)
        limit = tops[number] - ROW_HEIGHT
    return tuple(tops[number] for number in range(len(middles)))


def _path(left: int, right: int) -> str:
    """A curve from the right side of a node on the left to the left side of one on the right."""
    begin, end, middle = MARGIN + NODE_WIDTH, RIGHT_X, MARGIN + NODE_WIDTH + GAP // 2
    one, other = left + NODE_HEIGHT // 2, right + NODE_HEIGHT // 2
    return f"M{begin} {one} C{middle} {one} {middle} {other} {end} {other}"
