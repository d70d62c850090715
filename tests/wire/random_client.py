"""Random requests to one organisation, and the invariants that must hold afterwards."""

from __future__ import annotations

import copy
import random
import uuid

import httpx

from wire.client import Cds

ANSWERS = (200, 201, 204, 400, 404, 412, 422)
STEPS = 60
USERS = ("u-1", "u-2", "u-3")


class RandomClient:
    """Sends random requests: creates, merges, writes, repeats and erases profiles."""

    def __init__(self, org: Cds, seed: int) -> None:
        self.org, self.random = org, random.Random(seed)
        self.key = org.trait(multi_valued=True, merge_strategy="combine")
        self.ids: list[str] = []
        self.trackers: list[str] = []
        self.idempotency_keys = [str(uuid.uuid4()) for _ in range(6)]

    def with_seed(self, seed: int) -> RandomClient:
        """A second client with its own random numbers; ids and trackers are shared."""
        other = copy.copy(self)
        other.random = random.Random(seed)
        return other

    def run(self, steps: int = STEPS) -> None:
        for number in range(steps):
            self.step(number)

    def step(self, number: int) -> None:
        act = self.random.choice(
            [
                self.visit,
                self.repeat_visit,
                self.create_with_user,
                self.create_with_user,
                self.set_user,
                self.set_user,
                self.write,
                self.erase,
            ]
        )
        answer = act(number)
        assert answer.status_code in ANSWERS, f"{answer.status_code} {answer.text}"
        if answer.status_code in (200, 201):
            self.ids.append(answer.json()["profile_id"])
            self.trackers.extend(t for t in [answer.json().get("anonymous_profile_tracker")] if t)

    def check(self) -> None:
        """Every id is 404 or belongs to one person, and the list contains every person idempotency_keys."""
        read = {i: self.org.get(f"/profiles/{i}") for i in set(self.ids)}
        assert {answer.status_code for answer in read.values()} <= {200, 404}
        alive = {i: answer.json() for i, answer in read.items() if answer.status_code == 200}
        survivor_by_absorbed = {i: p["merged_to"]["profile_id"] for i, p in alive.items() if "merged_to" in p}
        survivors = set(alive) - set(survivor_by_absorbed)
        assert set(survivor_by_absorbed.values()) <= survivors
        for i in survivors:
            absorbed_ids = {m["profile_id"] for m in alive[i].get("merged_from", [])}
            assert absorbed_ids == {
                absorbed for absorbed, survivor in survivor_by_absorbed.items() if survivor == i
            }
        for absorbed, survivor in survivor_by_absorbed.items():
            for part in ("user_id", "meta", "traits"):
                assert alive[absorbed].get(part) == alive[survivor].get(part)
        users = [alive[i]["user_id"] for i in survivors if "user_id" in alive[i]]
        assert len(users) == len(set(users))
        listed = self.org.get("/profiles", params={"page_size": 200}).json()["profiles"]
        assert {p["profile_id"] for p in listed} == survivors

    def visit(self, number: int) -> httpx.Response:
        headers = (
            {"Idempotency-Key": self.random.choice(self.idempotency_keys)}
            if self.random.random() < 0.4
            else {}
        )
        return self.org.post("/profiles", {}, headers=headers)

    def repeat_visit(self, number: int) -> httpx.Response:
        return self.org.post("/profiles", {}, tracker=self._any_of(self.trackers))

    def create_with_user(self, number: int) -> httpx.Response:
        return self.org.post("/profiles", {"user_id": self._user(), "traits": {self.key: [str(number)]}})

    def set_user(self, number: int) -> httpx.Response:
        return self.org.patch(f"/profiles/{self._any_of(self.ids)}", {"user_id": self._user()})

    def write(self, number: int) -> httpx.Response:
        value = self.random.choice([None, [], [str(number)], [str(number), "x"]])
        headers = {"If-Match": '"1"'} if self.random.random() < 0.1 else {}
        return self.org.patch(
            f"/profiles/{self._any_of(self.ids)}", {"traits": {self.key: value}}, headers=headers
        )

    def erase(self, number: int) -> httpx.Response:
        return self.org.delete(f"/profiles/{self._any_of(self.ids)}")

    def _user(self) -> str:
        return self.random.choice(USERS)

    def _any_of(self, items: list[str]) -> str:
        return self.random.choice(items) if items else str(uuid.uuid4())
