"""Rules are activated and deactivated while two services write overlapping values.

There are two kinds of writers, which never share a value. Visitors write their values once and have no user:
their profiles must end as the transitive closure over the values. People write the same few values again and
again, and some have a user: where two users share a value, the service must store a refusal.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from support.waiting import until_async

from .load import PAGE_SIZE, Pair, define, request_until_accepted

pytestmark = pytest.mark.postgres

VISITORS = 8
#: Each block of visitors has values of its own, so that groups stay far below every limit.
BLOCK = 60
VALUES_PER_BLOCK = 40
LATE_VALUES_PER_BLOCK = 5
#: The user of each person: two people share a user, two have none.
PEOPLE: tuple[str | None, ...] = ("ann", "ann", "bob", "cid", None, None)
PEOPLES_VALUES = 5
ATTRIBUTES = ("mail", "card")
WRITES_BETWEEN_TOGGLES = BLOCK // 2
DEADLINE_S = 240.0

Values = dict[str, list[str]]


class ConcurrentWriters:
    """Writers through both services.

    `visitors`: profile id → values of each acknowledged profile. `people`: person → its profile id and the
    last acknowledged mark.
    """

    def __init__(self, pair: Pair, seed: int) -> None:
        self._pair = pair
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        self._stopped = asyncio.Event()
        self.visitors: dict[str, Values] = {}
        self.people: dict[int, tuple[str, int]] = {}
        self.writes = 0

    async def run(self) -> None:
        visitors = (self._visit_until_stopped() for _ in range(VISITORS))
        await asyncio.gather(*visitors, *(self._write_person(*person) for person in enumerate(PEOPLE)))

    def stop(self) -> None:
        """Stop every writer after its current write."""
        self._stopped.set()

    async def wait_for_more(self, count: int) -> None:
        """Wait until `count` more writes are acknowledged."""
        wanted = self.writes + count
        await until(lambda: self.writes >= wanted, f"not acknowledged: {count} more writes")

    async def _visit_until_stopped(self) -> None:
        while not self._stopped.is_set():
            number = next(self._numbers)
            is_late = number % 3 == 0
            values = self._one_value(number // BLOCK) if is_late else self._values(number // BLOCK)
            made = await self._send("POST", "/profiles", {} if is_late else {"traits": values})
            if is_late:
                await self._send("PATCH", f"/profiles/{made['profile_id']}", {"traits": values})
            self.visitors[made["profile_id"]] = values

    async def _write_person(self, person: int, user: str | None) -> None:
        user_field = {"user_id": user} if user else {}
        made = await self._send("POST", "/profiles", user_field if person % 2 else {})
        path = f"/profiles/{made['profile_id']}"
        await self._send("PATCH", path, user_field)
        for number in itertools.count():
            value = f"people-{self._random.randrange(PEOPLES_VALUES)}"
            traits = {self._random.choice(ATTRIBUTES): [value], mark(person): str(number)}
            await self._send("PATCH", path, {"traits": traits})
            self.people[person] = made["profile_id"], number
            if self._stopped.is_set():
                return

    async def _send(self, method: str, path: str, body: object) -> dict[str, Any]:
        answer = await request_until_accepted(self._random.choice(self._pair.clients), method, path, body)
        self.writes += 1
        return answer

    def _values(self, block: int) -> Values:
        """One value, or one of each attribute. Few have both, so that a block does not become one group."""
        number = self._random.randrange(4)
        chosen = ATTRIBUTES if number < 2 else ATTRIBUTES[number - 2 : number - 1]
        return {name: [f"v{block}-{self._random.randrange(VALUES_PER_BLOCK)}"] for name in chosen}

    def _one_value(self, block: int) -> Values:
        """A value that only updates write. An update replaces the whole list, so merged profiles must have
        equal lists."""
        name = self._random.choice(ATTRIBUTES)
        return {name: [f"v{block}-late-{self._random.randrange(LATE_VALUES_PER_BLOCK)}"]}


class FinalState:
    """The profiles and refusals after the last write."""

    def __init__(self, profiles: list[dict[str, Any]], refusals: list[dict[str, Any]]) -> None:
        self.profiles = {profile["profile_id"]: profile for profile in profiles}
        self.survivors = {
            member: profile["profile_id"]
            for profile in profiles
            for member in (profile["profile_id"], *(m["profile_id"] for m in profile.get("merged_from", ())))
        }
        self.refused = {
            self.survivors[member]
            for refusal in refusals
            if refusal["code"] == "different_user"
            for member in refusal["profiles"]
        }

    def groups(self, members: set[str]) -> set[frozenset[str]]:
        """The unified profiles, as sets of profile ids, that contain one of `members`."""
        groups: dict[str, set[str]] = {}
        for member, survivor in self.survivors.items():
            groups.setdefault(survivor, set()).add(member)
        return {frozenset(group) for group in groups.values() if group & members}

    def holders(self) -> Iterator[list[dict[str, Any]]]:
        """For each value of each attribute, the profiles that hold it."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for profile in self.profiles.values():
            for name in ATTRIBUTES:
                for value in profile.get("traits", {}).get(name, ()):
                    found.setdefault((name, value), []).append(profile)
        yield from found.values()


async def test_a_rule_toggled_while_two_services_write_loses_no_merge(pair: Pair) -> None:
    await _race(pair, seed=1, rounds=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
async def test_rules_toggled_many_times_lose_no_merge(pair: Pair, seed: int) -> None:
    await _race(pair, seed, rounds=10)


async def _race(pair: Pair, seed: int, *, rounds: int) -> None:
    for name in ATTRIBUTES:
        await define(pair.clients[0], name, multi_valued=True, merge_strategy="combine")
    for person in range(len(PEOPLE)):
        await define(pair.clients[0], mark(person))
    writers = ConcurrentWriters(pair, seed)
    running = asyncio.create_task(writers.run())
    try:
        await _toggle_rules(pair, writers, rounds)
    finally:
        writers.stop()
        await running
    await _wait_until_indexed(pair)
    final = await _read_final_state(pair)
    _check_visitors(writers, final)
    _check_people(writers, final)
    _check_values(final)
    verified = await asyncio.to_thread(pair.services[0].command, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def _toggle_rules(pair: Pair, writers: ConcurrentWriters, rounds: int) -> None:
    """Toggle both rules between writes. Both end active, and writes follow the last change."""
    one, other = pair.clients
    await writers.wait_for_more(WRITES_BETWEEN_TOGGLES)
    first = await request_until_accepted(one, "POST", "/unification-rules", rule("mail", 1, is_active=True))
    second = await request_until_accepted(
        other, "POST", "/unification-rules", rule("card", 2, is_active=False)
    )
    for _ in range(rounds):
        for made, is_active in ((first, False), (first, True), (second, False), (second, True)):
            await writers.wait_for_more(WRITES_BETWEEN_TOGGLES)
            path = f"/unification-rules/{made['rule_id']}"
            await request_until_accepted(random.choice(pair.clients), "PATCH", path, {"is_active": is_active})
    await writers.wait_for_more(WRITES_BETWEEN_TOGGLES)


def mark(person: int) -> str:
    """The trait that only this person writes."""
    return f"mark_{person}"


def rule(name: str, priority: int, *, is_active: bool) -> dict[str, Any]:
    return {
        "rule_name": f"same {name}",
        "property_name": f"traits.{name}",
        "priority": priority,
        "is_active": is_active,
    }


def _check_visitors(writers: ConcurrentWriters, final: FinalState) -> None:
    for profile_id, values in writers.visitors.items():
        traits = final.profiles[final.survivors[profile_id]]["traits"]
        assert all(set(written) <= set(traits[name]) for name, written in values.items()), "a write is lost"
    assert final.groups(set(writers.visitors)) == closure(writers.visitors)


def _check_people(writers: ConcurrentWriters, final: FinalState) -> None:
    assert len(writers.people) == len(PEOPLE)
    for person, (profile_id, number) in writers.people.items():
        profile = final.profiles[final.survivors[profile_id]]
        assert profile["traits"][mark(person)] == str(number), "the last write is lost"
        assert PEOPLE[person] in (None, profile["user_id"]), "two users in one profile"
    users = [profile["user_id"] for profile in final.profiles.values() if profile.get("user_id")]
    assert sorted(users) == sorted({user for user in PEOPLE if user})


def _check_values(final: FinalState) -> None:
    assert final.refused, "profiles of different users had the same values"
    for holders in final.holders():
        users = [profile.get("user_id") for profile in holders]
        assert len(holders) == 1 or (len(set(users)) == len(users) and None not in users), holders
        unrefused = {profile["profile_id"] for profile in holders} - final.refused
        assert len(unrefused) <= 1, "two users hold one value without a refusal"


def closure(written: dict[str, Values]) -> set[frozenset[str]]:
    """The transitive closure: profiles that share a value are in one group."""
    groups: list[tuple[set[str], set[tuple[str, str]]]] = []
    for profile_id, values in written.items():
        members, held = {profile_id}, {(name, value) for name in values for value in values[name]}
        for group in [group for group in groups if group[1] & held]:
            groups.remove(group)
            members |= group[0]
            held |= group[1]
        groups.append((members, held))
    return {frozenset(members) for members, _ in groups}


async def _wait_until_indexed(pair: Pair) -> None:
    """Wait until every rule has been applied to the profiles that existed."""
    http, url = pair.clients[0], f"{_admin(pair)}/unification-rules/progress"

    async def all_done() -> bool:
        jobs = (await _read(http, url))["progress"]
        return len(jobs) == len(ATTRIBUTES) and {job["state"] for job in jobs} == {"done"}

    await until_async(all_done, "not every rule was applied", DEADLINE_S)


async def _read_final_state(pair: Pair) -> FinalState:
    one, other = pair.clients
    marks = [mark(person) for person in range(len(PEOPLE))]
    attributes = ",".join(f"traits.{name}" for name in (*ATTRIBUTES, *marks))
    profiles = await _list(one, "/profiles", "profiles", attributes=attributes)
    return FinalState(profiles, await _list(other, f"{_admin(pair)}/refusals", "refusals", view="all"))


async def _list(http: httpx.AsyncClient, url: str, name: str, **query: str) -> list[dict[str, Any]]:
    """Every page of a list."""
    found: list[dict[str, Any]] = []
    while True:
        page = await _read(http, url, page_size=PAGE_SIZE, **query)
        found += page[name]
        if "next_cursor" not in page["pagination"]:
            return found
        query["cursor"] = page["pagination"]["next_cursor"]


async def _read(http: httpx.AsyncClient, url: str, **query: str | int) -> dict[str, Any]:
    answer = await http.get(url, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _admin(pair: Pair) -> str:
    service = pair.services[0]
    return f"{service.base_url}/t/{service.org}/api/v1"


async def until(condition: Callable[[], bool], message: str) -> None:
    """Wait until the condition holds."""

    async def holds() -> bool:
        return condition()

    await until_async(holds, message, DEADLINE_S)
