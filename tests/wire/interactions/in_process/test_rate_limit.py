"""The rate limit of events per address."""

from __future__ import annotations

import json

import httpx
import pytest

from oneself.api.http.metrics import Metrics
from oneself.api.http.rate_limit import WINDOW_S, RateLimiter
from oneself.api.interactions.endpoint import EventEndpoint
from oneself.services import Services
from oneself.web.networks import IPV6_PREFIX_BITS

HOME, OFFICE = "192.0.2.1", "192.0.2.2"


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_an_address_beyond_its_limit_waits_for_the_next_window() -> None:
    clock = Clock()
    limit = RateLimiter(2, clock)
    clock.now_s += 3
    assert [limit.acquire(HOME) for _ in range(2 * WINDOW_S)] == [0] * 2 * WINDOW_S
    assert limit.acquire(HOME) == WINDOW_S - 3
    clock.now_s += WINDOW_S - 3
    assert limit.acquire(HOME) == 0


def test_other_addresses_are_not_limited() -> None:
    limit = RateLimiter(1, Clock())
    for _ in range(WINDOW_S + 1):
        limit.acquire(HOME)
    assert limit.acquire(HOME) > 0
    assert limit.acquire(OFFICE) == 0


@pytest.mark.parametrize(
    ("first", "other", "together"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("no:address", "no:other", False),
    ],
)
def test_addresses_of_one_ipv6_network_share_a_limit(first: str, other: str, together: bool) -> None:
    limit = RateLimiter(1, Clock())
    for _ in range(WINDOW_S):
        assert limit.acquire(first) == 0
    assert (limit.acquire(other) > 0) is together, f"/{IPV6_PREFIX_BITS}"


def test_zero_means_no_limit() -> None:
    limit = RateLimiter(0, Clock())
    assert not any(limit.acquire(HOME) for _ in range(10_000))


async def test_a_rate_limited_event_gets_retry_after_and_is_not_stored(services: Services) -> None:
    created = await services.setup.provisioning.create("limits")
    metrics = Metrics()
    endpoint = EventEndpoint(services, metrics, per_address_s=1).endpoint
    transport = httpx.ASGITransport(app=endpoint, client=(HOME, 1))  # type: ignore[arg-type]
    path = f"/t/limits/api2/event/{created.dataset_ref.dataset}"
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as page:
        # The loop spans at most three windows.
        answers = [await page.post(path, json={"user": {}}) for _ in range(3 * WINDOW_S + 1)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert limited
    assert json.loads(limited[0].content)["errorCode"] == 3
    assert 0 < int(limited[0].headers["Retry-After"]) <= WINDOW_S
    stored = await services.database.fetchval(
        "SELECT count(*) FROM log WHERE dataset_id = $1 AND kind = 'event'", created.dataset_ref.dataset_id
    )
    assert stored == len(answers) - len(limited)
    assert f'oneself_events_total{{outcome="limited"}} {len(limited)}.0' in metrics.render().decode()
