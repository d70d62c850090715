"""Waiting for what happens elsewhere: until something holds, and never longer than a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_S = 60.0
POLL_S = 0.05


def until(condition: Callable[[], object], otherwise: str, deadline_s: float = DEADLINE_S) -> None:
    """Return as soon as the condition holds; raises AssertionError with `otherwise` when it is too late."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(POLL_S)
