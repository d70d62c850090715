"""Counters for `/metrics`. Labels are routes, never paths: a path may name a person, and a client can make
it up.

Several worker processes count together: each writes its counters to a file in the folder of
`PROMETHEUS_MULTIPROC_DIR`, and the process that answers adds them up. A single process needs no files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from oneself.api.http.slow_requests import SLOW_S, SlowRequests
from oneself.core.resolution.plan import Plan

CONTENT_TYPE = CONTENT_TYPE_LATEST
#: Around the targets: a read in 2 ms, an event in 25 ms.
BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
#: A batch holds at most 500 observations (`service.ingest.batcher`).
BUCKETS_OBSERVATIONS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
#: The client library reads it when it is imported, so it is set before a worker starts.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Children(dict[Any, Any]):
    """The children of a family by their labels. Looking them up in the family costs more than counting."""

    def __init__(self, family: Any) -> None:
        super().__init__()
        self._family = family

    def __missing__(self, labels: Any) -> Any:
        """`labels`: a tuple, or the value of the only label."""
        every = labels if isinstance(labels, tuple) else (labels,)
        child = self[labels] = self._family.labels(*every)
        return child


class Metrics:
    """Counts requests, events, and what the write path did (`telemetry.Telemetry`)."""

    def __init__(self) -> None:
        self.slow_requests = SlowRequests()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = self._counter("http_requests", "Requests answered.", "method", "route", "status")
        self._seconds = _Children(
            Histogram(
                "oneself_http_request_seconds",
                "Time from the request's head to the end of the answer.",
                ("route",),
                buckets=BUCKETS_S,
                registry=self._registry,
            )
        )
        self._events = self._counter("events", "Events answered, by what became of them.", "outcome")
        self._warnings = self._counter("event_warnings", "What events were warned about.", "code")

        self._batch_sizes = Histogram(
            "oneself_batch_observations",
            "Observations that became durable together.",
            buckets=BUCKETS_OBSERVATIONS,
            registry=self._registry,
        )
        self._batch_seconds = Histogram(
            "oneself_batch_seconds",
            "Time from the first lock of a batch to its commit.",
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._retries = self._counter("batch_retries", "Batches that were repeated, by cause.", "cause")
        self._merges = self._counter("merges", "Profiles absorbed, by reason.", "reason")
        self._refusals = self._counter("refusals", "Merges and claims refused, by code.", "code")
        self._published = Counter(
            "oneself_nats_changes", "Changes of profiles published to NATS.", registry=self._registry
        )
        self._unpublished = self._counter(
            "nats_failures", "Failures of publishing to NATS, by cause.", "cause"
        )
        # Of the process that publishes.
        self._behind = Gauge(
            "oneself_nats_behind_seconds",
            "How long the oldest change that is not published to NATS has waited.",
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )

    def batch_committed(self, size: int, duration_s: float) -> None:
        self._batch_sizes.observe(size)
        self._batch_seconds.observe(duration_s)

    def batch_retried(self, cause: str) -> None:
        self._retries[cause].inc()

    def plans_applied(self, plans: Iterable[Plan]) -> None:
        for plan in plans:
            for merge in plan.merges:
                self._merges[merge.reason].inc()
            for refusal in plan.refusals:
                self._refusals[refusal.code].inc()

    def changes_published(self, number: int) -> None:
        self._published.inc(number)

    def publication_failed(self, cause: str) -> None:
        self._unpublished[cause].inc()

    def publication_behind(self, seconds: float) -> None:
        self._behind.set(seconds)

    def observe_event(self, outcome: str) -> None:
        """Count one event by its outcome."""
        self._events[outcome].inc()

    def observe_warning(self, code: str) -> None:
        """Count one warning about an event."""
        self._warnings[code].inc()

    def observe(self, scope: Mapping[str, Any], status: int, duration_s: float) -> None:
        """Count one request."""
        route = scope.get("path_template") or "none"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests[method, route, status].inc()
        self._seconds[route].observe(duration_s)
        if duration_s >= SLOW_S and route != "none":
            self.slow_requests.observe(scope, route, status, duration_s)

    def render(self) -> bytes:
        """All metrics in the Prometheus text format."""
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self._registry)
        every_process = CollectorRegistry()
        MultiProcessCollector(every_process)  # type: ignore[no-untyped-call]
        return generate_latest(every_process)

    def _counter(self, name: str, sentence: str, *labels: str) -> _Children:
        return _Children(Counter(f"oneself_{name}", sentence, labels, registry=self._registry))
