"""The metrics of the write path and of requests."""

from __future__ import annotations

from oneself.api.http.metrics import Metrics
from oneself.bootstrap import build_services
from oneself.core.config.changes import PutIdentityType
from oneself.core.identity.identity_type import IdentityType
from oneself.services import Services
from support.interactions_harness import InteractionsHarness, customer, mail

X, Y = "0123456789abcdef", "fedcba9876543210"


def samples_of(metrics: Metrics) -> dict[str, float]:
    """The samples: name with labels → value."""
    text = (line for line in metrics.render().decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in text)}


async def test_batches_merges_and_refusals_are_counted(services: Services) -> None:
    metrics = Metrics()
    harness = await InteractionsHarness(build_services(services.settings, services.database, metrics)).begin()
    for device, identity in ((X, mail("ann@acme.example")), (Y, customer("c-1"))):
        await harness.event(identity, device=device)
    await harness.event(mail("ann@acme.example"), customer("c-1"))
    await harness.event(customer("null"), device=X)
    samples = samples_of(metrics)
    assert samples['oneself_merges_total{reason="identity:emailAddress"}'] == 1
    assert samples['oneself_refusals_total{code="blocked_value"}'] == 1
    assert samples["oneself_batch_observations_sum"] == 4
    assert samples["oneself_batch_observations_count"] == samples["oneself_batch_seconds_count"] == 4
    assert samples['oneself_batch_observations_bucket{le="1.0"}'] == 4


async def test_a_repeated_batch_is_counted_by_cause(services: Services) -> None:
    metrics = Metrics()
    harness = await InteractionsHarness(build_services(services.settings, services.database, metrics)).begin()
    await harness.event(device=X)
    other_services = build_services(services.settings, services.database)
    change = PutIdentityType(IdentityType("another", "Another"))
    await other_services.configurations.change(harness.dataset_ref.dataset_id, lambda _: change)
    await harness.event(device=X)
    assert samples_of(metrics)['oneself_batch_retries_total{cause="configuration_moved"}'] == 1


def test_requests_are_counted_by_route_and_status() -> None:
    metrics = Metrics()
    scope = {"method": "POST", "path_template": "/api2/event/{dataset}", "path": "/api2/event/web"}
    for status in (200, 200, 503):
        metrics.observe(scope, status, 0.003)
    metrics.observe({"method": "UNKNOWN", "path": "/nowhere"}, 404, 0.001)
    samples, labels = samples_of(metrics), 'method="POST",route="/api2/event/{dataset}"'
    assert samples[f'oneself_http_requests_total{{{labels},status="200"}}'] == 2
    assert samples[f'oneself_http_requests_total{{{labels},status="503"}}'] == 1
    assert samples['oneself_http_requests_total{method="other",route="none",status="404"}'] == 1
    assert samples['oneself_http_request_seconds_count{route="/api2/event/{dataset}"}'] == 3
    assert samples['oneself_http_request_seconds_bucket{le="0.005",route="/api2/event/{dataset}"}'] == 3
