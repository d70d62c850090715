"""The pseudocode of the contract (docs/wire/interactions.md §9.2): the expected answers of a dataset."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

Pairs = dict[str, str]


@dataclass
class User:
    number: int
    is_anonymous: bool
    values: dict[str, tuple[str, int]] = field(default_factory=dict)
    active: list[int] = field(default_factory=list)
    events: int = 0


@dataclass(frozen=True)
class Token:
    user: User
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ExpectedAnswer:
    """`token` is the received object itself if the answer has to repeat the token byte for byte."""

    user: User
    token: Token | None


class Oracle:
    """One dataset with identity resolution; `default_type` is the identity type of `user.id` on the web."""

    def __init__(self, default_type: str, follows: bool = True) -> None:
        self.default_type, self.follows = default_type, follows
        self.index: dict[tuple[str, str], User] = {}
        self.anonymous: dict[str, User] = {}
        self.device: dict[str, tuple[User, int]] = {}
        self.forward: dict[int, User] = {}
        self._numbers = itertools.count()

    def follow(self, user: User) -> User:
        while user.number in self.forward:
            user = self.forward[user.number]
        return user

    def owner(self, pair: tuple[str, str]) -> User | None:
        return self.index.get(pair)

    def handle(self, device: str, sent: Pairs, token: Token | None, at: int) -> ExpectedAnswer:
        if token and self._changes_default(sent, token):
            token = None
        identities = {**dict(token.pairs if token else ()), **sent}
        if not identities:
            user = self._anonymous(device)
            _record(user, at)
            return ExpectedAnswer(user, None)
        reused = self._reuse(sent, token) if token else None
        if reused:
            user = reused
        else:
            identities = {
                k: v
                for k, v in identities.items()
                if k in sent or not token or self._is_still_owned(token, (k, v))
            }
            user = self._resolve(identities, at)
        self._attach(user, device, sent, at)
        _record(user, at)
        stored_pairs = tuple(
            sorted(
                pair for pair in identities.items() if reused or pair[0] in sent or self.owner(pair) is user
            )
        )
        new_token = Token(user, stored_pairs)
        return ExpectedAnswer(user, (token if token == new_token else new_token) if stored_pairs else None)

    def _changes_default(self, sent: Pairs, token: Token) -> bool:
        before, now = dict(token.pairs).get(self.default_type), sent.get(self.default_type)
        return before is not None and now is not None and before != now

    def _is_still_owned(self, token: Token, pair: tuple[str, str]) -> bool:
        return self.owner(pair) is self.follow(token.user)

    def _reuse(self, sent: Pairs, token: Token) -> User | None:
        user, identities = self.follow(token.user), dict(token.pairs)
        if any(identities.get(k) != v for k, v in sent.items()):
            return None
        return user if all(self.owner(pair) is user for pair in sent.items()) else None

    def _anonymous(self, device: str) -> User:
        if device in self.anonymous:
            return self.anonymous[device]
        if self.follows and device in self.device:
            return self.follow(self.device[device][0])
        self.anonymous[device] = self._new(is_anonymous=True)
        return self.anonymous[device]

    def _resolve(self, pairs: Pairs, at: int) -> User:
        owners: list[User] = []
        for pair in pairs.items():
            owner = self.owner(pair)
            if owner and not any(owner is found for found in owners):
                owners.append(owner)
        if not owners:
            return self._new(is_anonymous=False)
        ranked = sorted(owners, key=lambda user: (_latest(user.active, at), -user.number))
        survivor = ranked.pop()
        for absorbed in ranked:
            self._merge(survivor, absorbed)
        return survivor

    def _attach(self, user: User, device: str, sent: Pairs, at: int) -> None:
        if visitor := self.anonymous.pop(device, None):
            self._merge(user, visitor)
        if device not in self.device or self.device[device][1] <= at:
            self.device[device] = (user, at)
        for kind, value in sent.items():
            self._claim(user, kind, value, at)

    def _claim(self, user: User, kind: str, value: str, at: int) -> None:
        current = user.values.get(kind)
        if self.owner((kind, value)) is user:
            assert current
            user.values[kind] = (value, max(at, current[1]))
            return
        if current and current[1] > at:
            return
        if current:
            del self.index[kind, current[0]]
        user.values[kind] = (value, at)
        self.index[kind, value] = user

    def _merge(self, survivor: User, absorbed: User) -> None:
        for kind, (value, at) in absorbed.values.items():
            current = survivor.values.get(kind)
            if current and current[1] >= at:
                del self.index[kind, value]
                continue
            if current:
                del self.index[kind, current[0]]
            survivor.values[kind] = (value, at)
            self.index[kind, value] = survivor
        survivor.active += absorbed.active
        survivor.events += absorbed.events
        self.forward[absorbed.number] = survivor

    def _new(self, *, is_anonymous: bool) -> User:
        return User(next(self._numbers), is_anonymous)


def _record(user: User, at: int) -> None:
    user.events += 1
    user.active.append(at)


def _latest(times: Iterable[int], at: int) -> int:
    return max((time for time in times if time <= at), default=-1)
