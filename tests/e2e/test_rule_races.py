"""Rules that are switched on and off while two services write overlapping values.

Two kinds of writers, whose values never meet. Visitors bring their values once and have no user: who is one
of them is exactly the transitive closure over the values. People write the same few values again and again,
and some have a user: there the law is that of refusals.
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

from .load import PAGE_SIZE, Pair, answered, define

pytestmark = pytest.mark.postgres

VISITORS = 8
#: So many visitors in a row draw from values of their own: groups stay far below every limit.
BLOCK = 60
VALUES_PER_BLOCK = 40
LATE_VALUES_PER_BLOCK = 5
#: Two people of one user, one of each other user, and two of none.
PEOPLE: tuple[str | None, ...] = ("ann", "ann", "bob", "cid", None, None)
PEOPLES_VALUES = 5
ATTRIBUTES = ("mail", "card")
SWITCH_AFTER = BLOCK // 2
DEADLINE_S = 240.0

Values = dict[str, list[str]]


class ConcurrentWriters:
    """Writers through both services. `visitors`: what each acknowledged profile was given; `people`: the
    last acknowledged mark of each, with the id of the profile that it made."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self._pair = pair
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        self._stopped = asyncio.Event()
        self.visitors: dict[str, Values] = {}
        self.people: dict[int, tuple[str, int]] = {}
        self.writes = 0

    async def run(self) -> None:
        visitors = (self._visit_on() for _ in range(VISITORS))
        await asyncio.gather(*visitors, *(self._live(*person) for person in enumerate(PEOPLE)))

    def stop(self) -> None:
        """Let every writer finish what it has begun."""
        self._stopped.set()

    async def more(self, count: int) -> None:
        """Wait until that many further writes are acknowledged."""
        wanted = self.writes + count
        await until(lambda: self.writes >= wanted, f"{count} further writes")

    async def _visit_on(self) -> None:
        while not self._stopped.is_set():
            number = next(self._numbers)
            is_late = number % 3 == 0
            values = self._one_value(number // BLOCK) if is_late else self._values(number // BLOCK)
            made = await self._send("POST", "/profiles", {} if is_late else {"traits": values})
            if is_late:
                await self._send("PATCH", f"/profiles/{made['profile_id']}", {"traits": values})
            self.visitors[made["profile_id"]] = values

    async def _live(self, person: int, user: str | None) -> None:
        known = {"user_id": user} if user else {}
        made = await self._send("POST", "/profiles", known if person % 2 else {})
        path = f"/profiles/{made['profile_id']}"
        await self._send("PATCH", path, known)
        for number in itertools.count():
            value = f"people-{self._random.randrange(PEOPLES_VALUES)}"
            traits = {self._random.choice(ATTRIBUTES): [value], mark(person): str(number)}
            await self._send("PATCH", path, {"traits": traits})
            self.people[person] = made["profile_id"], number
            if self._stopped.is_set():
                return

    async def _send(self, method: str, path: str, body: object) -> dict[str, Any]:
        answer = await answered(self._random.choice(self._pair.clients), method, path, body)
        self.writes += 1
        return answer

    def _values(self, block: int) -> Values:
        """One value, or one of each attribute: too few of the latter for a block to become one group."""
        number = self._random.randrange(4)
        chosen = ATTRIBUTES if number < 2 else ATTRIBUTES[number - 2 : number - 1]
        return {name: [f"v{block}-{self._random.randrange(VALUES_PER_BLOCK)}"] for name in chosen}

    def _one_value(self, block: int) -> Values:
        """One of those that are brought alone and by updates only: an update replaces the whole list, which
        is the same one for everybody who is joined by it."""
        name = self._random.choice(ATTRIBUTES)
        return {name: [f"v{block}-late-{self._random.randrange(LATE_VALUES_PER_BLOCK)}"]}


class FinalState:
    """What is there at the end."""

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
        """The ids that are one profile, of those that have one of `members`."""
        groups: dict[str, set[str]] = {}
        for member, survivor in self.survivors.items():
            groups.setdefault(survivor, set()).add(member)
        return {frozenset(group) for group in groups.values() if group & members}

    def holders(self) -> Iterator[list[dict[str, Any]]]:
        """The profiles that hold a value, for each value of each attribute."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for profile in self.profiles.values():
            for name in ATTRIBUTES:
                for value in profile.get("traits", {}).get(name, ()):
                    found.setdefault((name, value), []).append(profile)
        yield from found.values()


async def test_a_rule_that_is_switched_while_two_services_write(pair: Pair) -> None:
    await _race(pair, seed=1, rounds=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
async def test_rules_that_are_switched_all_the_time(pair: Pair, seed: int) -> None:
    await _race(pair, seed, rounds=10)


async def _race(pair: Pair, seed: int, *, rounds: int) -> None:
    for name in ATTRIBUTES:
        await define(pair.clients[0], name, multi_valued=True, merge_strategy="combine")
    for person in range(len(PEOPLE)):
        await define(pair.clients[0], mark(person))
    writers = ConcurrentWriters(pair, seed)
    running = asyncio.create_task(writers.run())
    try:
        await _switch(pair, writers, rounds)
    finally:
        writers.stop()
        await running
    await _indexed(pair)
    found = await _found(pair)
    _check_visitors(writers, found)
    _check_people(writers, found)
    _check_values(found)
    verified = await asyncio.to_thread(pair.services[0].command, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def _switch(pair: Pair, writers: ConcurrentWriters, rounds: int) -> None:
    """Both rules end active; every switch falls among writes, of which some come after the last one."""
    one, other = pair.clients
    await writers.more(SWITCH_AFTER)
    first = await answered(one, "POST", "/unification-rules", rule("mail", 1, is_active=True))
    second = await answered(other, "POST", "/unification-rules", rule("card", 2, is_active=False))
    for _ in range(rounds):
        for made, is_active in ((first, False), (first, True), (second, False), (second, True)):
            await writers.more(SWITCH_AFTER)
            path = f"/unification-rules/{made['rule_id']}"
            await answered(random.choice(pair.clients), "PATCH", path, {"is_active": is_active})
    await writers.more(SWITCH_AFTER)


def mark(person: int) -> str:
    """The trait that only this one of the people writes."""
    return f"mark_{person}"


def rule(name: str, priority: int, *, is_active: bool) -> dict[str, Any]:
    return {
        "rule_name": f"same {name}",
        "property_name": f"traits.{name}",
        "priority": priority,
        "is_active": is_active,
    }


def _check_visitors(writers: ConcurrentWriters, found: FinalState) -> None:
    for profile_id, values in writers.visitors.items():
        traits = found.profiles[found.survivors[profile_id]]["traits"]
        assert all(set(given) <= set(traits[name]) for name, given in values.items()), "a write is lost"
    assert found.groups(set(writers.visitors)) == closure(writers.visitors)


def _check_people(writers: ConcurrentWriters, found: FinalState) -> None:
    assert len(writers.people) == len(PEOPLE)
    for person, (profile_id, number) in writers.people.items():
        profile = found.profiles[found.survivors[profile_id]]
        assert profile["traits"][mark(person)] == str(number), "the last write is lost"
        assert PEOPLE[person] in (None, profile["user_id"]), "two users in one profile"
    users = [profile["user_id"] for profile in found.profiles.values() if profile.get("user_id")]
    assert sorted(users) == sorted({user for user in PEOPLE if user})


def _check_values(found: FinalState) -> None:
    assert found.refused, "people of different users brought the same values all the time"
    for holders in found.holders():
        users = [profile.get("user_id") for profile in holders]
        assert len(holders) == 1 or (len(set(users)) == len(users) and None not in users), holders
        unrefused = {profile["profile_id"] for profile in holders} - found.refused
        assert len(unrefused) <= 1, "two users hold one value, and no refusal says so"


def closure(given: dict[str, Values]) -> set[frozenset[str]]:
    """Who is one, told naively: whoever shares a value, on and on."""
    groups: list[tuple[set[str], set[tuple[str, str]]]] = []
    for profile_id, values in given.items():
        members, held = {profile_id}, {(name, value) for name in values for value in values[name]}
        for group in [group for group in groups if group[1] & held]:
            groups.remove(group)
            members |= group[0]
            held |= group[1]
        groups.append((members, held))
    return {frozenset(members) for members, _ in groups}


async def _indexed(pair: Pair) -> None:
    """Wait until every rule has been applied to the profiles that existed."""
    http, url = pair.clients[0], f"{_admin(pair)}/unification-rules/progress"

    async def all_done() -> bool:
        work = (await _read(http, url))["progress"]
        return len(work) == len(ATTRIBUTES) and {each["state"] for each in work} == {"done"}

    await until_async(all_done, "not every rule was applied", DEADLINE_S)


async def _found(pair: Pair) -> FinalState:
    one, other = pair.clients
    marks = [mark(person) for person in range(len(PEOPLE))]
    attributes = ",".join(f"traits.{name}" for name in (*ATTRIBUTES, *marks))
    profiles = await _list(one, "/profiles", "profiles", attributes=attributes)
    return FinalState(profiles, await _list(other, f"{_admin(pair)}/refusals", "refusals"))


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


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""

    async def holds() -> bool:
        return condition()

    await until_async(holds, what, DEADLINE_S)
