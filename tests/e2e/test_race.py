"""Two services on one database, writing about the same people at the same moment."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from conftest import NewDatabase, StartService
from support.service import RunningService

from .load import PERMISSIONS, client, define, stored

pytestmark = pytest.mark.postgres

USERS = 4
WRITES = 120
KEYS = 25


class Pair:
    """Two services on one database, and a client of each."""

    def __init__(self, services: list[RunningService], clients: list[httpx.AsyncClient]) -> None:
        self.services = services
        self.clients = clients


@pytest.fixture
async def pair(start_service: StartService, new_database: NewDatabase) -> AsyncIterator[Pair]:
    url = await new_database()
    services = [
        await asyncio.to_thread(lambda name=name: start_service(database_url=url, name=name))  # type: ignore[misc]
        for name in ("one", "two")
    ]
    async with AsyncExitStack() as stack:
        token = services[0].token(*PERMISSIONS)
        clients = [await stack.enter_async_context(client(service, token)) for service in services]
        await define(clients[0], "seen", multi_valued=True, merge_strategy="combine")
        yield Pair(services, clients)


async def test_overlapping_people_come_out_as_one_each_and_nothing_is_lost(pair: Pair) -> None:
    """Half of the writes make a profile that has its user at once, half stamp a temporary one later."""
    expected: dict[str, set[str]] = {f"user-{number}": set() for number in range(USERS)}

    async def write(number: int) -> None:
        user = f"user-{number % USERS}"
        http = pair.clients[number % 2 if number % 3 else random.randrange(2)]
        body = {"traits": {"seen": [str(number)]}}
        if number % 8 < USERS:
            made = await _answered(http, "POST", "/profiles", {**body, "user_id": user})
        else:
            made = await _answered(http, "POST", "/profiles", body)
            other = pair.clients[random.randrange(2)]
            await _answered(other, "PATCH", f"/profiles/{made['profile_id']}", {"user_id": user})
        expected[user].add(str(number))

    await asyncio.gather(*(write(number) for number in range(WRITES)))
    found = await stored(pair.clients[1], "seen")
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, expected.values()))
    verified = await asyncio.to_thread(pair.services[0].command, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"{WRITES} profiles" in verified.stdout


async def test_the_same_key_at_the_same_moment_in_two_processes_makes_one_profile(pair: Pair) -> None:
    for _ in range(KEYS):
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        body = {"traits": {"seen": ["once"]}}
        first, second = await asyncio.gather(
            *(http.post("/profiles", json=body, headers=headers) for http in pair.clients)
        )
        assert (first.status_code, second.status_code) == (201, 201), (first.text, second.text)
        assert first.json() == second.json()
        assert first.headers["set-cookie"] == second.headers["set-cookie"]
    assert len(await stored(pair.clients[0], "seen")) == KEYS


async def _answered(http: httpx.AsyncClient, method: str, path: str, body: object) -> dict[str, str]:
    """Send until it is accepted; a lost race may be told as 503 and is then tried again."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    while True:
        answer = await http.request(method, path, json=body, headers=headers)
        if answer.status_code != 503:
            assert answer.is_success, answer.text
            return dict(answer.json())
        await asyncio.sleep(float(answer.headers["retry-after"]))
