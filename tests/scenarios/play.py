"""Plays a scenario on an engine and says where it came out otherwise than the file says.

The comparison is strict both ways: a clause that did not happen and a happening without a clause are
both differences. Only kinds, pairs of refusals and reasons may be left unsaid.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec
import pytest

from scenarios.engine import Engine, Outcome, World
from scenarios.flow import render_flow
from scenarios.language import load
from scenarios.words import (
    Attach,
    Clause,
    Create,
    DeviceAt,
    Drop,
    Ending,
    Erase,
    Gone,
    KindIs,
    Line,
    Merge,
    MergedTo,
    Move,
    Nothing,
    Refuse,
    Reject,
    Scenario,
    Step,
    UserIs,
    ValuesAre,
)

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.scenario"))
# Files with documented behaviour that `oneself` does not have yet; only the oracle plays them.
AHEAD: dict[str, str] = {}


class Difference(AssertionError):
    """An engine came out otherwise than the scenario says."""


async def play(scenario: Scenario, engine: Engine) -> None:
    """Run every line on the engine; raises `Difference` at the first line that comes out otherwise."""
    await engine.begin(scenario.setup)
    names = Numbered()
    before = await engine.world()
    for line in scenario.lines:
        outcome = await engine.act(line.step, names.addressed(line.step), new_id(scenario.name, line.number))
        after = await engine.world()
        names.learn(outcome)
        happened = _happened(line, outcome, before, after, names)
        _demand(scenario.name, line.number, line.text, _differences(line.expected, happened))
        before = after
    for end in scenario.endings:
        _demand(scenario.name, end.number, end.text, _unmet(end.ending, before, names))


def ahead(path: Path) -> pytest.MarkDecorator:
    """The mark of a file for an engine that runs on `oneself`."""
    reason = AHEAD.get(path.stem)
    return pytest.mark.xfail(reason is not None, reason=reason or "", raises=Difference)


async def play_file(path: Path, engine: Engine) -> None:
    """Run the scenario in `path`."""
    await play(load(path), engine)


def new_id(name: str, number: int) -> UUID:
    """The id that a profile made by line `number` gets: the same on every engine."""
    return uuid5(NAMESPACE_OID, f"{name}:{number}")


class Numbered:
    """P1, P2, … in order of creation."""

    def __init__(self) -> None:
        self._ids: list[UUID] = []

    def learn(self, outcome: Outcome) -> None:
        if outcome.created is not None:
            self._ids.append(outcome.created)

    def addressed(self, step: Step) -> UUID | None:
        return None if step.profile is None else self.id(step.profile)

    def id(self, name: str) -> UUID:
        position = int(name[1:])
        if position > len(self._ids):
            return uuid5(NAMESPACE_OID, f"nobody:{name}")
        return self._ids[position - 1]

    def describe(self, answer: Any) -> Any:
        """An outcome or a world with P1, P2, … for the ids, easy to compare by eye."""
        if isinstance(answer, UUID):
            return self.name(answer)
        if isinstance(answer, frozenset):
            return sorted(map(self.describe, answer), key=repr)
        if isinstance(answer, tuple):
            return tuple(map(self.describe, answer))
        if isinstance(answer, dict):
            described = {self.describe(key): self.describe(value) for key, value in answer.items()}
            return dict(sorted(described.items()))
        return self.describe(msgspec.structs.asdict(answer)) if isinstance(answer, msgspec.Struct) else answer

    def name(self, profile_id: UUID | None) -> str:
        return f"P{self._ids.index(profile_id) + 1}" if profile_id in self._ids else str(profile_id)


def _happened(line: Line, outcome: Outcome, before: World, after: World, names: Numbered) -> set[Clause]:
    """Everything the line did, in the words of the language."""
    if outcome.rejected is not None:
        return {Reject(outcome.rejected)}
    if line.step.act == "index":
        return _by_indexing(outcome, before, after, names) or {Nothing()}
    happened: set[Clause] = set()
    if outcome.attached is not None:
        happened |= _attachment(outcome, before, after, names)
    erased = tuple(sorted(names.name(gone) for gone in before.profiles.keys() - after.profiles.keys()))
    if erased:
        happened.add(Erase(erased))
    happened |= _moves(before, after, names)
    happened |= {
        Refuse(code, () if other is None else (names.name(other), names.name(outcome.attached)))
        for code, other in outcome.refusals
    }
    happened |= {Drop(namespace, code) for namespace, code in outcome.drops}
    return happened or {Nothing()}


def _by_indexing(outcome: Outcome, before: World, after: World, names: Numbered) -> set[Clause]:
    """What indexing changed; that a profile stays as it is need not be said, nor twice who was refused."""
    happened: set[Clause] = set()
    for one in outcome.indexed:
        survivor = names.name(one.attached)
        happened |= {Merge((names.name(absorbed),), survivor, reason) for absorbed, reason in one.merges}
        happened |= {
            Refuse(code, tuple(sorted((names.name(other), survivor)))) for code, other in one.refusals
        }
        happened |= {Drop(namespace, code) for namespace, code in one.drops}
    for profile_id, facts in after.profiles.items():
        was = before.profiles[profile_id].kind
        if facts.survivor is None and was == "anonymous" != facts.kind:
            happened.add(Attach(names.name(profile_id), facts.kind, promoted=True))
    return happened


def _attachment(outcome: Outcome, before: World, after: World, names: Numbered) -> set[Clause]:
    assert outcome.attached is not None
    kind = after.profiles[outcome.attached].kind
    made: set[Clause] = set()
    if outcome.created is not None:
        made.add(Create(names.name(outcome.created), kind if outcome.created == outcome.attached else None))
    survivor = names.name(outcome.attached)
    made |= {Merge((names.name(absorbed),), survivor, reason) for absorbed, reason in outcome.merges}
    known = before.profiles.get(outcome.attached)
    if known is not None:
        made.add(Attach(survivor, kind, promoted=known.kind == "anonymous" != kind))
    return made


def _moves(before: World, after: World, names: Numbered) -> set[Clause]:
    moves: set[Clause] = set()
    for device, person in before.devices.items():
        if person not in after.profiles:
            continue
        now = after.devices.get(device)
        if now != after.root(person):
            moves.add(Move(device, None if now is None else names.name(now)))
    return moves


def _differences(expected: tuple[Clause, ...], happened: set[Clause]) -> list[str]:
    """What was expected and did not happen, and what happened and was not expected."""
    wanted = [part for clause in expected for part in _single(clause)]
    left = set(happened)
    problems = []
    for clause in wanted:
        match = next((other for other in left if _satisfies(other, clause)), None)
        if match is None:
            problems.append(f"missing: {describe(clause)}")
        else:
            left.discard(match)
    implied = {clause for clause in left if _implied(clause, wanted)}
    return problems + [f"unexpected: {describe(clause)}" for clause in left - implied]


def _single(clause: Clause) -> list[Clause]:
    if isinstance(clause, Merge):
        return [Merge((absorbed,), clause.survivor, clause.reason) for absorbed in clause.absorbed]
    return [Erase(tuple(sorted(clause.profiles)))] if isinstance(clause, Erase) else [clause]


def _satisfies(happened: Clause, wanted: Clause) -> bool:
    match happened, wanted:
        case Create(profile, kind), Create(other, said):
            return profile == other and said in (None, kind)
        case Attach(profile, kind, promoted), Attach(other, said, wanted_promotion):
            return (profile, promoted) == (other, wanted_promotion) and said in (None, kind)
        case Merge(absorbed, survivor, reason), Merge(others, into, said_reason):
            return (absorbed, survivor) == (others, into) and said_reason in (None, reason)
        case Refuse(code, pair), Refuse(said_code, said_pair):
            return code == said_code and (not said_pair or set(pair) == set(said_pair))
    return happened == wanted


def _implied(clause: Clause, wanted: list[Clause]) -> bool:
    """A merge says where the observation went; a plain attachment need not be said again."""
    return isinstance(clause, Attach) and any(
        isinstance(other, Merge) and other.survivor == clause.profile for other in wanted
    )


def _unmet(ending: Ending, world: World, names: Numbered) -> list[str]:
    found = _found(ending, world, names)
    return [] if found is None else [f"found: {found}"]


def _found(ending: Ending, world: World, names: Numbered) -> str | None:
    """None if the ending holds, else what was found instead."""
    if isinstance(ending, DeviceAt):
        person = world.devices.get(ending.device)
        where = None if person is None else names.name(person)
        return None if where == ending.profile else f"device {ending.device} at {where or 'nobody'}"
    facts = world.profiles.get(names.id(ending.profile))
    if isinstance(ending, Gone) or facts is None:
        return None if isinstance(ending, Gone) and facts is None else f"{ending.profile} {facts or 'gone'}"
    match ending:
        case ValuesAre(_, values):
            return None if facts.values == values else render_flow(facts.values)
        case KindIs(_, kind):
            return None if facts.kind == kind else facts.kind
        case UserIs(_, user):
            return None if facts.user == user else f"user {facts.user}"
        case MergedTo(_, survivor, reason):
            where = None if facts.survivor is None else names.name(facts.survivor)
            agrees = where == survivor and reason in (None, facts.reason)
            return None if agrees else f"merged_to {where} because {facts.reason}"


def describe(clause: Clause) -> str:
    """A clause as a file would say it."""
    match clause:
        case Create(profile, kind):
            return f"create {profile} {kind or ''}".strip()
        case Attach(profile, kind, promoted):
            return f"{'promote' if promoted else 'attach'} {profile} {kind or ''}".strip()
        case Merge(absorbed, survivor, reason):
            because = f" because {reason}" if reason else ""
            return f"merge {', '.join(absorbed)} into {survivor}{because}"
        case Move(device, profile):
            return f"device {device} moves to {profile or 'nobody'}"
        case Refuse(code, pair):
            return f"refused {code} {' and '.join(pair)}".strip()
        case Drop(namespace, code):
            return f"drop {namespace} {code}"
        case Reject(code):
            return f"reject {code}"
        case Erase(profiles):
            return f"erase {', '.join(profiles)}"
        case Nothing():
            return "nothing"


def _demand(name: str, number: int, text: str, differences: list[str]) -> None:
    if differences:
        raise Difference(f"{name}:{number}: {text}\n    " + "\n    ".join(differences))
