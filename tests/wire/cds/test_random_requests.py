"""Random requests, sequential and concurrent; afterwards the log must fold to the state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from wire.client import Cds
from wire.random_client import RandomClient

PAIRS = 15


def test_an_absorbed_profile_and_then_its_survivor_are_erased(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    first, second = (org.create({"user_id": "u"})["profile_id"] for _ in range(2))
    for profile_id in (second, first):
        assert org.delete(f"/profiles/{profile_id}").status_code == 204
    created = org.create({"user_id": "u"})
    assert "merged_to" not in created
    assert "merged_from" not in org.read(created["profile_id"])


@pytest.mark.parametrize("seed", range(4))
def test_random_requests_leave_every_id_with_one_person(new_org: Callable[[], Cds], seed: int) -> None:
    client = RandomClient(new_org(), seed)
    client.run()
    client.check()


def test_concurrent_random_requests_leave_every_id_with_one_person(new_org: Callable[[], Cds]) -> None:
    """Six concurrent clients share three users, their trackers and their idempotency keys."""
    first = RandomClient(new_org(), 100)
    clients = [first, *(first.with_seed(101 + n) for n in range(5))]
    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(RandomClient.run, clients))
    first.check()


def test_an_absorbed_id_is_updated_and_erased_concurrently(new_org: Callable[[], Cds]) -> None:
    org, gate = new_org(), threading.Barrier(2)
    key = org.trait()

    def send(method: str, path: str) -> int:
        gate.wait()
        body = {"json": {"traits": {key: "late"}}} if method == "PATCH" else {}
        return org.request(method, path, **body).status_code

    with ThreadPoolExecutor(2) as pool:
        for pair in range(PAIRS):
            survivor, absorbed = (org.create()["profile_id"] for _ in range(2))
            for profile_id in (survivor, absorbed):
                org.write(profile_id, {"user_id": f"u-{pair}"})
            patched, erased = pool.map(send, ("PATCH", "DELETE"), [f"/profiles/{absorbed}"] * 2)
            assert patched in (200, 404)
            assert erased == 204
            assert org.get(f"/profiles/{absorbed}").status_code == 404
            assert "merged_from" not in org.read(survivor)
