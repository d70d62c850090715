"""Runs a scenario on an engine and reports differences from the expected outcomes.

The comparison is exact: a missing outcome and an unexpected outcome are both differences. Only kinds, reasons
and pairs of refusals may be omitted.
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
# Files with documented behaviour that is not implemented yet, with the reason; only the oracle plays them.
NOT_IMPLEMENTED: dict[str, str] = {}


class Difference(AssertionError):
    """The outcome on an engine differs from the scenario."""


async def play(scenario: Scenario, engine: Engine) -> None:
    """Run every line on the engine. Raises `Difference` at the first line whose outcome differs."""
    await engine.begin(scenario.setup)
    names = Numbered()
    before = await engine.world()
    for line in scenario.lines:
        outcome = await engine.act(line.step, names.addressed(line.step), new_id(scenario.name, line.number))
        after = await engine.world()
        names.learn(outcome)
        actual = _actual_clauses(line, outcome, before, after, names)
        _require_none(scenario.name, line.number, line.text, _differences(line.expected, actual))
        before = after
    for end in scenario.endings:
        _require_none(scenario.name, end.number, end.text, _ending_differences(end.ending, before, names))


def expected_failure(path: Path) -> pytest.MarkDecorator:
    """The pytest mark for a file that may be listed in `NOT_IMPLEMENTED`."""
    reason = NOT_IMPLEMENTED.get(path.stem)
    return pytest.mark.xfail(reason is not None, reason=reason or "", raises=Difference)


async def play_file(path: Path, engine: Engine) -> None:
    """Run the scenario in the file `path`."""
    await play(load(path), engine)


def new_id(name: str, number: int) -> UUID:
    """The id of a profile that line `number` creates, the same on every engine."""
    return uuid5(NAMESPACE_OID, f"{name}:{number}")


class Numbered:
    """Maps profile ids to P1, P2, … in order of creation, and back."""

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
        """An outcome or a world with P1, P2, … instead of ids, for readable comparisons."""
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


def _actual_clauses(
    line: Line, outcome: Outcome, before: World, after: World, names: Numbered
) -> set[Clause]:
    """The actual outcome of a line, as clauses."""
    if outcome.rejected is not None:
        return {Reject(outcome.rejected)}
    if line.step.act == "index":
        return _by_indexing(outcome, before, after, names) or {Nothing()}
    actual: set[Clause] = set()
    if outcome.attached is not None:
        actual |= _attachment(outcome, before, after, names)
    erased = tuple(
        sorted(names.name(profile_id) for profile_id in before.profiles.keys() - after.profiles.keys())
    )
    if erased:
        actual.add(Erase(erased))
    actual |= _moves(before, after, names)
    actual |= {
        Refuse(code, () if other is None else (names.name(other), names.name(outcome.attached)))
        for code, other in outcome.refusals
    }
    actual |= {Drop(namespace, code) for namespace, code in outcome.drops}
    return actual or {Nothing()}


def _by_indexing(outcome: Outcome, before: World, after: World, names: Numbered) -> set[Clause]:
    """The changes of indexing. Unchanged profiles and repeated refusals need no clause."""
    actual: set[Clause] = set()
    for one in outcome.indexed:
        survivor = names.name(one.attached)
        actual |= {Merge((names.name(absorbed),), survivor, reason) for absorbed, reason in one.merges}
        actual |= {Refuse(code, tuple(sorted((names.name(other), survivor)))) for code, other in one.refusals}
        actual |= {Drop(namespace, code) for namespace, code in one.drops}
    for profile_id, facts in after.profiles.items():
        kind_before = before.profiles[profile_id].kind
        if facts.survivor is None and kind_before == "anonymous" != facts.kind:
            actual.add(Attach(names.name(profile_id), facts.kind, promoted=True))
    return actual


def _attachment(outcome: Outcome, before: World, after: World, names: Numbered) -> set[Clause]:
    assert outcome.attached is not None
    kind = after.profiles[outcome.attached].kind
    clauses: set[Clause] = set()
    if outcome.created is not None:
        clauses.add(
            Create(names.name(outcome.created), kind if outcome.created == outcome.attached else None)
        )
    survivor = names.name(outcome.attached)
    clauses |= {Merge((names.name(absorbed),), survivor, reason) for absorbed, reason in outcome.merges}
    previous = before.profiles.get(outcome.attached)
    if previous is not None:
        clauses.add(Attach(survivor, kind, promoted=previous.kind == "anonymous" != kind))
    return clauses


def _moves(before: World, after: World, names: Numbered) -> set[Clause]:
    moves: set[Clause] = set()
    for device, profile_id in before.devices.items():
        if profile_id not in after.profiles:
            continue
        current = after.devices.get(device)
        if current != after.root(profile_id):
            moves.add(Move(device, None if current is None else names.name(current)))
    return moves


def _differences(expected: tuple[Clause, ...], actual: set[Clause]) -> list[str]:
    """The missing and the unexpected clauses, as text."""
    expected_clauses = [part for clause in expected for part in _single(clause)]
    unmatched = set(actual)
    problems = []
    for clause in expected_clauses:
        match = next((other for other in unmatched if _satisfies(other, clause)), None)
        if match is None:
            problems.append(f"missing: {describe(clause)}")
        else:
            unmatched.discard(match)
    implied = {clause for clause in unmatched if _implied(clause, expected_clauses)}
    return problems + [f"unexpected: {describe(clause)}" for clause in unmatched - implied]


def _single(clause: Clause) -> list[Clause]:
    if isinstance(clause, Merge):
        return [Merge((absorbed,), clause.survivor, clause.reason) for absorbed in clause.absorbed]
    return [Erase(tuple(sorted(clause.profiles)))] if isinstance(clause, Erase) else [clause]


def _satisfies(actual: Clause, expected: Clause) -> bool:
    match actual, expected:
        case Create(profile, kind), Create(other, expected_kind):
            return profile == other and expected_kind in (None, kind)
        case Attach(profile, kind, promoted), Attach(other, expected_kind, expected_promotion):
            return (profile, promoted) == (other, expected_promotion) and expected_kind in (None, kind)
        case Merge(absorbed, survivor, reason), Merge(others, into, expected_reason):
            return (absorbed, survivor) == (others, into) and expected_reason in (None, reason)
        case Refuse(code, pair), Refuse(expected_code, expected_pair):
            return code == expected_code and (not expected_pair or set(pair) == set(expected_pair))
    return actual == expected


def _implied(clause: Clause, expected_clauses: list[Clause]) -> bool:
    """Whether an expected merge implies this clause: the observation is attached to the survivor."""
    return isinstance(clause, Attach) and any(
        isinstance(other, Merge) and other.survivor == clause.profile for other in expected_clauses
    )


def _ending_differences(ending: Ending, world: World, names: Numbered) -> list[str]:
    found = _found(ending, world, names)
    return [] if found is None else [f"found: {found}"]


def _found(ending: Ending, world: World, names: Numbered) -> str | None:
    """None if the ending holds, else a description of the actual state."""
    if isinstance(ending, DeviceAt):
        profile_id = world.devices.get(ending.device)
        name = None if profile_id is None else names.name(profile_id)
        return None if name == ending.profile else f"device {ending.device} at {name or 'nobody'}"
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
            found = None if facts.survivor is None else names.name(facts.survivor)
            matches = found == survivor and reason in (None, facts.reason)
            return None if matches else f"merged_to {found} because {facts.reason}"


def describe(clause: Clause) -> str:
    """A clause in the language of the scenarios."""
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


def _require_none(name: str, number: int, text: str, differences: list[str]) -> None:
    if differences:
        raise Difference(f"{name}:{number}: {text}\n    " + "\n    ".join(differences))
