"""Plots of the overview: what templates draw, and the table behind each.

Invariants: a picture contains no text and fits any width. Lengths are in percent of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from oneself.console.formats import when
from oneself.core.units import MINUTE_US
from oneself.service.overview.counts import MINUTES, DatasetCounts

#: Series beyond so many share the last colour.
COLOURS = 6
#: The largest size of a group → what the bar is called.
GROUP_SIZES: Sequence[tuple[int, str]] = (
    (1, "1 part"),
    (2, "2 parts"),
    (5, "3 to 5 parts"),
    (10, "6 to 10 parts"),
    (20, "11 to 20 parts"),
    (50, "21 to 50 parts"),
)
LARGEST_GROUPS = "more than 50 parts"


class Bar(msgspec.Struct, frozen=True):
    """A number with a name, as a bar. `length`: of the longest one."""

    name: str
    number: int
    length: float
    colour: int


class Block(msgspec.Struct, frozen=True):
    """A rectangle of stacked columns."""

    left: float
    top: float
    width: float
    height: float
    colour: int


class Columns(msgspec.Struct, frozen=True):
    """Stacked columns, one for each minute, the oldest first."""

    blocks: list[Block]
    #: Name of the series → colour, total.
    series: dict[str, tuple[int, int]]
    #: The largest column.
    largest: int
    #: Minute → the number of each series, of minutes that have any, the newest first.
    rows: list[tuple[str, list[int]]]


def bars(numbers: Iterable[tuple[str, int]]) -> list[Bar]:
    """Bars in the given order."""
    listed = list(numbers)
    longest = max((number for _, number in listed), default=0) or 1
    return [
        Bar(name, number, round(100 * number / longest, 2), min(index, COLOURS - 1))
        for index, (name, number) in enumerate(listed)
    ]


def plain_bars(numbers: Iterable[tuple[str, int]]) -> list[Bar]:
    """Bars of one colour, in the given order."""
    return [msgspec.structs.replace(bar, colour=0) for bar in bars(numbers)]


def ranked(numbers: Mapping[str, int], name_of: Callable[[str], str] = str) -> list[Bar]:
    """Bars of one colour, the longest first."""
    ordered = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    return plain_bars((name_of(name), number) for name, number in ordered)


def group_sizes(counts: DatasetCounts) -> list[Bar]:
    """How many profiles consist of how many parts."""
    found: Counter[str] = Counter()
    for parts, number in counts.sizes.items():
        found[next((name for limit, name in GROUP_SIZES if parts <= limit), LARGEST_GROUPS)] += number
    names = [name for _, name in GROUP_SIZES] + [LARGEST_GROUPS]
    return plain_bars((name, found[name]) for name in names)


def by_minute(counts: DatasetCounts, name_of: Callable[[str], str]) -> Columns:
    """The observations of the last hour, stacked by interface."""
    first = counts.counted_at // MINUTE_US - (MINUTES - 1)
    interfaces = sorted({item.interface for item in counts.minutes})
    numbers = {(item.minute, item.interface): item.number for item in counts.minutes}
    minutes = sorted({item.minute for item in counts.minutes if item.minute >= first})
    largest = max((sum(numbers.get((minute, i), 0) for i in interfaces) for minute in minutes), default=0)
    blocks: list[Block] = []
    for minute in minutes:
        top, width = 100.0, 100 / MINUTES
        for index, interface in enumerate(interfaces):
            height = 100 * numbers.get((minute, interface), 0) / largest
            top -= height
            if height:
                left = (minute - first) * width
                blocks.append(
                    Block(
                        round(left, 3),
                        round(top, 3),
                        round(width * 0.85, 3),
                        round(height, 3),
                        min(index, COLOURS - 1),
                    )
                )
    totals = {
        interface: sum(numbers.get((minute, interface), 0) for minute in minutes) for interface in interfaces
    }
    series = {name_of(i): (min(index, COLOURS - 1), totals[i]) for index, i in enumerate(interfaces)}
    rows = [
        (when(minute * MINUTE_US)[:-3], [numbers.get((minute, i), 0) for i in interfaces])
        for minute in reversed(minutes)
    ]
    return Columns(blocks, series, largest, rows)
