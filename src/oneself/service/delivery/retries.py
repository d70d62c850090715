"""When what could not be sent is tried again."""

from __future__ import annotations

#: What is stored of a failure.
FAILURE_CHARACTERS_MAX = 300


def wait_s(first_s: float, attempts: int, longest_s: float) -> float:
    """The time to the next attempt, in seconds. It doubles with each, up to the longest."""
    return float(min(first_s * 2 ** min(attempts - 1, 20), longest_s))
