"""What the write path tells whoever counts (`api.metrics`): figures only, nothing about anybody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from oneself.core.resolution.plan import Plan


class Telemetry(Protocol):
    """Counts what the write path did."""

    def batch_committed(self, size: int, duration_s: float) -> None:
        """So many observations became durable together; `duration_s` from the first lock to the commit."""

    def batch_retried(self, cause: str) -> None:
        """A batch lost a race, or its configuration had moved, and was repeated."""

    def plans_carried_out(self, plans: Iterable[Plan]) -> None:
        """Merges and refusals are among these."""


class NullTelemetry:
    """Nobody counts: commands, and tests that do not ask."""

    def batch_committed(self, size: int, duration_s: float) -> None: ...

    def batch_retried(self, cause: str) -> None: ...

    def plans_carried_out(self, plans: Iterable[Plan]) -> None: ...
