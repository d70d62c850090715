"""The slowest requests of each organisation: bounded in number and in time."""

from __future__ import annotations

from typing import Any

from oneself.api.http.metrics import Metrics
from oneself.api.http.slow_requests import ORGANISATIONS_MAX, REQUESTS_MAX, SLOW_S, WINDOW_S, SlowRequests


def scope(path: str) -> dict[str, Any]:
    return {"method": "GET", "headers": [(b"accept", b"*/*")], "path": path}


def test_the_slowest_remain_and_leave_after_an_hour() -> None:
    now = 1_000.0
    slow = SlowRequests(now=lambda: now)
    for number in range(REQUESTS_MAX + 5):
        slow.observe(scope("/t/acme/x"), f"/route-{number}", 200, 1.0 + number)
    slow.observe(scope("/console/o/acme"), "/console/o/{org}", 200, 0.5)
    durations = [request.duration_s for request in slow.list("acme")]
    assert durations == [REQUESTS_MAX + 5.0 - number for number in range(REQUESTS_MAX)]
    now += WINDOW_S - 1
    slow.observe(scope("/console/o/acme/overview"), "/later", 200, 0.5)
    now += 2
    assert [request.route for request in slow.list("acme")] == []
    slow.observe(scope("/console/o/acme/overview"), "/last", 200, 0.5)
    assert [request.route for request in slow.list("acme")] == ["/last"]


def test_paths_of_no_organisation_are_left_out_and_organisations_are_bounded() -> None:
    slow = SlowRequests()
    slow.observe(scope("/docs"), "/docs", 200, 1.0)
    assert slow.list("docs") == []
    for number in range(ORGANISATIONS_MAX + 1):
        slow.observe(scope(f"/t/org-{number}/x"), "/x", 200, 1.0)
    assert slow.list("org-0") == []
    assert len(slow.list(f"org-{ORGANISATIONS_MAX}")) == 1


def test_metrics_pass_on_slow_requests_of_known_routes() -> None:
    metrics = Metrics()
    routed = {**scope("/t/acme/x"), "path_template": "/t/{org}/x"}
    metrics.observe(routed, 200, SLOW_S / 2)
    metrics.observe(scope("/t/acme/made-up"), 404, 1.0)
    assert metrics.slow_requests.list("acme") == []
    metrics.observe(routed, 200, SLOW_S)
    assert [request.route for request in metrics.slow_requests.list("acme")] == ["/t/{org}/x"]
