"""Two services on one database write about the same people at the same time."""

from __future__ import annotations

import asyncio
import random
import uuid

import pytest

from .load import Pair, request_until_accepted, stored

pytestmark = pytest.mark.postgres

USERS = 4
WRITES = 120
KEYS = 25


async def test_overlapping_writes_end_in_one_profile_per_person(pair: Pair) -> None:
    """Half of the writes create a profile with a user, half set the user of a temporary profile later."""
    expected: dict[str, set[str]] = {f"user-{number}": set() for number in range(USERS)}

    async def write(number: int) -> None:
        user = f"user-{number % USERS}"
        http = pair.clients[number % 2 if number % 3 else random.randrange(2)]
        body = {"traits": {"seen": [str(number)]}}
        if number % 8 < USERS:
            made = await request_until_accepted(http, "POST", "/profiles", {**body, "user_id": user})
        else:
            made = await request_until_accepted(http, "POST", "/profiles", body)
            other = pair.clients[random.randrange(2)]
            await request_until_accepted(other, "PATCH", f"/profiles/{made['profile_id']}", {"user_id": user})
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
