"""Random events: a dataset answers as the pseudocode of the contract does."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from wire.interactions.client import PRIMARY, Dataset, new_device, now_ms
from wire.interactions.conftest import NewDataset
from wire.interactions.oracle import Oracle, Token, User

STEPS = 120
STEP_MS = 10_000
VALUES = {"webId": ("w1", "w2", "w3"), "emailAddress": ("a@x", "b@x", "c@x"), "loyaltyId": ("L1", "L2", "L3")}


@dataclass
class RandomVisitors:
    """Sends random events from three browsers, with random identities and earlier tokens."""

    web: Dataset
    random: random.Random
    follows: bool
    late: bool
    devices: list[str] = field(default_factory=lambda: [new_device() for _ in range(3)])
    ids: dict[str, User] = field(default_factory=dict)
    numbers: dict[int, str] = field(default_factory=dict)
    tokens: list[tuple[str, Token]] = field(default_factory=list)
    newest: dict[str, tuple[str, Token]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.oracle = Oracle("webId", self.follows)
        self.begin = now_ms() - (STEPS + 5) * STEP_MS

    def run(self) -> None:
        for number in range(STEPS):
            self.step(number)
        self.check()

    def step(self, number: int) -> None:
        draw = self.random
        device = draw.choice(self.devices)
        identities = {
            kind: draw.choice(VALUES[kind])
            for kind in draw.sample(list(VALUES), draw.choice((0, 0, 1, 1, 2)))
        }
        text, token = self._token(device)
        steps_late = draw.randrange(30) if self.late and draw.random() < 0.25 else 0
        at = self.begin + number * STEP_MS - steps_late * STEP_MS - (number if steps_late else 0)
        answer = self.web.send(self._event(device, identities, text, at))
        expected = self.oracle.handle(device, identities, token, at)
        context = (
            f"step {number}: {device} {identities}, token {token is not None}, {steps_late=} -> {answer}"
        )
        assert answer["errorCode"] == 0, context
        self._assert_same_user(str(answer["resolvedUserId"]), expected.user, device, context)
        entity = (answer.get("persistedUserId") or {}).get("entityId")
        assert (entity is not None) == (expected.token is not None), context
        if entity and expected.token:
            assert (entity == text) == (expected.token is token), context
            self.newest[device] = (entity, expected.token)
            self.tokens.append((entity, expected.token))

    def check(self) -> None:
        """Every user is found by each identity and by every ID that it ever had."""
        for kind, values in VALUES.items():
            for value in values:
                owner = self.oracle.owner((kind, value))
                assert self.web.resolve(**{kind: value}) == (self.numbers[owner.number] if owner else None), (
                    value
                )
        for user_id, user in self.ids.items():
            current = self.oracle.follow(user)
            assert self.web.survivor(user_id) == self.numbers[current.number]
        for number in {self.oracle.follow(user).number for user in self.ids.values()}:
            user = self.ids[self.numbers[number]]
            values = {kind: value for kind, (value, _) in user.values.items()}
            assert self.web.values(self.numbers[number]) == values
            assert len(self.web.events(self.numbers[number])) == min(user.events, 50)

    def _assert_same_user(self, user_id: str, user: User, device: str, context: str) -> None:
        if user.is_anonymous:
            assert user_id == device, context
            self.ids[user_id] = user
            self.numbers[user.number] = user_id
            return
        assert PRIMARY.fullmatch(user_id), context
        assert self.ids.setdefault(user_id, user) is user, context
        assert self.numbers.setdefault(user.number, user_id) == user_id, context

    def _token(self, device: str) -> tuple[str | None, Token | None]:
        draw = self.random.random()
        if draw < 0.7:
            return self.newest.get(device, (None, None))
        return self.random.choice(self.tokens) if draw < 0.85 and self.tokens else (None, None)

    def _event(self, device: str, identities: dict[str, str], token: str | None, at: int) -> dict[str, Any]:
        draw = self.random
        user: dict[str, Any] = {draw.choice(("anonymousId", "anonId")): device}
        for kind, value in identities.items():
            if kind == "webId" and draw.random() < 0.6:
                user["id"] = value
            else:
                user.setdefault(draw.choice(("identities", "attributes")), {})[kind] = value
        if token:
            user["encryptedId"] = token
        return {"user": user, "source": {"time": at}}


@pytest.mark.parametrize("late", [False, True], ids=["in order", "some late"])
@pytest.mark.parametrize("follows", [True, False], ids=["follow", "fresh"])
@pytest.mark.parametrize("seed", range(4))
def test_a_dataset_answers_as_the_pseudocode_does(
    new_dataset: NewDataset, seed: int, follows: bool, late: bool
) -> None:
    mode = "follow" if follows else "fresh"
    web = new_dataset(merged_anonymous=mode, channel_identity_conflict="replace")
    RandomVisitors(web, random.Random(f"{seed} {follows} {late}"), follows, late).run()
