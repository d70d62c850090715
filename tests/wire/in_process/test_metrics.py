"""The figures of the write path, in one process."""

from __future__ import annotations

from oneself.api.http.metrics import Metrics
from oneself.bootstrap import build_services
from oneself.core.config.changes import PutIdentityType
from oneself.core.identity.identity_type import IdentityType
from oneself.services import Services
from support.interactions_harness import InteractionsHarness, customer, mail

X, Y = "0123456789abcdef", "fedcba9876543210"


def lines(metrics: Metrics) -> dict[str, float]:
    """Name with labels → value."""
    text = (line for line in metrics.render().decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in text)}


async def test_the_write_path_is_counted(services: Services) -> None:
    figures = Metrics()
    harness = await InteractionsHarness(build_services(services.settings, services.database, figures)).begin()
    for device, who in ((X, mail("ann@acme.example")), (Y, customer("c-1"))):
        await harness.event(who, device=device)
    await harness.event(mail("ann@acme.example"), customer("c-1"))
    await harness.event(customer("null"), device=X)
    seen = lines(figures)
    assert seen['oneself_merges_total{reason="identity:emailAddress"}'] == 1
    assert seen['oneself_refusals_total{code="blocked_value"}'] == 1
    assert seen["oneself_batch_observations_sum"] == 4
    assert seen["oneself_batch_observations_count"] == seen["oneself_batch_seconds_count"] == 4
    assert seen['oneself_batch_observations_bucket{le="1.0"}'] == 4


async def test_a_batch_that_is_repeated_is_counted_by_cause(services: Services) -> None:
    figures = Metrics()
    harness = await InteractionsHarness(build_services(services.settings, services.database, figures)).begin()
    await harness.event(device=X)
    elsewhere = build_services(services.settings, services.database)
    change = PutIdentityType(IdentityType("another", "Another"))
    await elsewhere.configurations.change(harness.dataset_ref.dataset_id, lambda _: change)
    await harness.event(device=X)
    assert lines(figures)['oneself_batch_retries_total{cause="configuration_moved"}'] == 1


def test_requests_are_counted_by_route_and_status() -> None:
    metrics = Metrics()
    scope = {"method": "POST", "path_template": "/api2/event/{dataset}", "path": "/api2/event/web"}
    for status in (200, 200, 503):
        metrics.observe(scope, status, 0.003)
    metrics.observe({"method": "MADE-UP", "path": "/nowhere"}, 404, 0.001)
    seen, labels = lines(metrics), 'method="POST",route="/api2/event/{dataset}"'
    assert seen[f'oneself_http_requests_total{{{labels},status="200"}}'] == 2
    assert seen[f'oneself_http_requests_total{{{labels},status="503"}}'] == 1
    assert seen['oneself_http_requests_total{method="other",route="none",status="404"}'] == 1
    assert seen['oneself_http_request_seconds_count{route="/api2/event/{dataset}"}'] == 3
    assert seen['oneself_http_request_seconds_bucket{le="0.005",route="/api2/event/{dataset}"}'] == 3
