"""What the write path and the publisher report to metrics: numbers only, nothing about persons.

What lives here: the protocol, and the implementation for processes without metrics. The Prometheus
implementation is `api.http.metrics.Metrics`.
Invariants: telemetry is passed to a constructor and never assigned afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from oneself.core.resolution.plan import Plan


class Telemetry(Protocol):
    """Counts what the write path and the publisher do."""

    def batch_committed(self, size: int, duration_s: float) -> None:
        """A batch of `size` observations was committed. `duration_s`: from the first lock to the commit."""

    def batch_retried(self, cause: str) -> None:
        """A batch was rolled back and repeated. `cause`: a lost race, or `configuration_moved`."""

    def plans_applied(self, plans: Iterable[Plan]) -> None:
        """Plans were committed; their merges and refusals are counted."""

    def changes_published(self, number: int) -> None:
        """So many changes of profiles were stored by the message broker."""

    def publication_failed(self, cause: str) -> None:
        """Changes could not be published. `cause`: a word."""

    def publication_behind(self, seconds: float) -> None:
        """How long the oldest change that is not published has waited; 0: there is none."""


class NullTelemetry:
    """Counts nothing: for commands."""

    def batch_committed(self, size: int, duration_s: float) -> None: ...

    def batch_retried(self, cause: str) -> None: ...

    def plans_applied(self, plans: Iterable[Plan]) -> None: ...

    def changes_published(self, number: int) -> None: ...

    def publication_failed(self, cause: str) -> None: ...

    def publication_behind(self, seconds: float) -> None: ...
