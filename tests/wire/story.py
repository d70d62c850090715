"""Somebody using one organisation in any order, and what must hold afterwards whatever they did."""

from __future__ import annotations

import copy
import random
import uuid

import httpx

from wire.client import Cds

ANSWERS = (200, 201, 204, 400, 404, 412, 422)
STEPS = 60
USERS = ("u-1", "u-2", "u-3")


class Story:
    """Somebody doing everything in any order: creating, joining, writing, repeating, erasing."""

    def __init__(self, org: Cds, seed: int) -> None:
        self.org, self.random = org, random.Random(seed)
        self.key = org.trait(multi_valued=True, merge_strategy="combine")
        self.ids: list[str] = []
        self.trackers: list[str] = []
        self.once = [str(uuid.uuid4()) for _ in range(6)]

    def beside(self, seed: int) -> Story:
        """Somebody else who knows everything that this one learns."""
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
                self.come_back,
                self.know,
                self.know,
                self.become,
                self.become,
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
        """Every id answers for one person or for nobody, and the list has every person once."""
        read = {i: self.org.get(f"/profiles/{i}") for i in set(self.ids)}
        assert {answer.status_code for answer in read.values()} <= {200, 404}
        alive = {i: answer.json() for i, answer in read.items() if answer.status_code == 200}
        joined = {i: p["merged_to"]["profile_id"] for i, p in alive.items() if "merged_to" in p}
        survivors = set(alive) - set(joined)
        assert set(joined.values()) <= survivors
        for i in survivors:
            named = {m["profile_id"] for m in alive[i].get("merged_from", [])}
            assert named == {absorbed for absorbed, survivor in joined.items() if survivor == i}
        for absorbed, survivor in joined.items():
            for part in ("user_id", "meta", "traits"):
                assert alive[absorbed].get(part) == alive[survivor].get(part)
        users = [alive[i]["user_id"] for i in survivors if "user_id" in alive[i]]
        assert len(users) == len(set(users))
        listed = self.org.get("/profiles", params={"page_size": 200}).json()["profiles"]
        assert {p["profile_id"] for p in listed} == survivors

    def visit(self, number: int) -> httpx.Response:
        headers = {"Idempotency-Key": self.random.choice(self.once)} if self.random.random() < 0.4 else {}
        return self.org.post("/profiles", {}, headers=headers)

    def come_back(self, number: int) -> httpx.Response:
        return self.org.post("/profiles", {}, tracker=self._one(self.trackers))

    def know(self, number: int) -> httpx.Response:
        return self.org.post("/profiles", {"user_id": self._user(), "traits": {self.key: [str(number)]}})

    def become(self, number: int) -> httpx.Response:
        return self.org.patch(f"/profiles/{self._one(self.ids)}", {"user_id": self._user()})

    def write(self, number: int) -> httpx.Response:
        value = self.random.choice([None, [], [str(number)], [str(number), "x"]])
        headers = {"If-Match": '"1"'} if self.random.random() < 0.1 else {}
        return self.org.patch(
            f"/profiles/{self._one(self.ids)}", {"traits": {self.key: value}}, headers=headers
        )

    def erase(self, number: int) -> httpx.Response:
        return self.org.delete(f"/profiles/{self._one(self.ids)}")

    def _user(self) -> str:
        return self.random.choice(USERS)

    def _one(self, known: list[str]) -> str:
        return self.random.choice(known) if known else str(uuid.uuid4())
