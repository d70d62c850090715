"""Random histories through the write path on PostgreSQL have the result of the oracle, in any batches.

Every example uses new datasets of one database, so that the database need not be emptied between examples.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from oneself.core.identity_graph.joins import View
from oneself.core.resolution.observation import Observation
from oneself.service.log.verify import verify
from oneself.store.database import Database
from scenarios.engine import Outcome, World, one_guard
from scenarios.histories import History, histories
from scenarios.language import load, parse
from scenarios.on_service import Service
from scenarios.play import FILES, Numbered, new_id, play
from scenarios.rendering import render_history, render_step
from scenarios.translate import observation
from support import databases
from support.effort import examples
from unit.core.oracle import Oracle

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(1)
VIEWS: tuple[View, ...] = ("own", "proven", "all")
# Without `index`: one service indexes the datasets of all, so the others would report no outcome.
WITH_RULES = [path for path in FILES if path.stem.startswith("rules-") and "\nindex" not in path.read_text()]


class PredictedHistory(msgspec.Struct, frozen=True):
    """A history with its observations, and the outcomes and the world of the oracle."""

    history: History
    observations: tuple[Observation, ...]
    outcomes: tuple[Outcome, ...]
    world: World


def predict(history: History, name: str = "history") -> PredictedHistory:
    """Run the history on the oracle, in order."""
    note(render_history(history.setup, history.steps))
    oracle, names = Oracle(), Numbered()
    oracle.start(history.setup)
    observations, outcomes = [], []
    for number, step in enumerate(history.steps):
        addressed, created_id = names.addressed(step), new_id(name, number)
        observations.append(observation(step, addressed, created_id, event_id=f"{name}:{number}"))
        outcomes.append(oracle.observe(step, addressed, created_id))
        names.learn(outcomes[-1])
    return PredictedHistory(history, tuple(observations), tuple(outcomes), oracle.see())


async def dataset(database: Database, history: History) -> Service:
    """A new dataset, configured as the history says."""
    service = Service(database, next(DATASETS))
    await service.begin(history.setup)
    return service


def with_one_guard(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [one_guard(outcome) for outcome in outcomes]


async def replay_history(database: Database, history: History) -> None:
    """Run the history on the service, without the oracle. Profiles are erased in any view."""
    note(render_history(history.setup, history.steps))
    names, service = Numbered(), await dataset(database, history)
    created: set[UUID] = set()
    for number, step in enumerate(history.steps):
        addressed = names.addressed(step)
        if step.act != "erase" or addressed in created:
            note(f"view: {VIEWS[number % 3]}")
            outcome = await (
                service.erase(addressed, VIEWS[number % 3])
                if step.act == "erase"
                else service.act(step, addressed, new_id("history", number))
            )
            names.learn(outcome)
            created |= {outcome.created} if outcome.created else set()


async def submit_one_by_one(service: Service, predicted: PredictedHistory) -> list[Outcome]:
    return [await service.submit(one) for one in predicted.observations]


async def submit_concurrently(service: Service, predicted: PredictedHistory) -> list[Outcome]:
    """Submit all observations before the first has an outcome. They are decided in the same order, in few
    batches."""
    return list(await asyncio.gather(*(service.submit(one) for one in predicted.observations)))


@QUICK
@given(history=histories())
async def test_the_service_equals_the_oracle(database: Database, history: History) -> None:
    predicted = predict(history)
    service = await dataset(database, history)
    for one, expected in zip(predicted.observations, predicted.outcomes, strict=True):
        assert one_guard(await service.submit(one)) == one_guard(expected)
    assert await service.world() == predicted.world


@QUICK
@given(history=histories(steps_max=20))
async def test_batches_do_not_change_the_result(database: Database, history: History) -> None:
    predicted = predict(history)
    service = await dataset(database, history)
    assert with_one_guard(await submit_concurrently(service, predicted)) == with_one_guard(predicted.outcomes)
    assert await service.world() == predicted.world


@QUICK
@given(history=histories(), repeated=st.lists(st.integers(0, 11), max_size=6))
async def test_duplicates_change_nothing(database: Database, history: History, repeated: list[int]) -> None:
    """Accepted observations are repeated, concurrently with the original or later."""
    predicted = predict(history)
    service = await dataset(database, history)
    numbers = [number % len(predicted.observations) for number in repeated]
    repeats = [
        predicted.observations[number] for number in numbers if predicted.outcomes[number].rejected is None
    ]
    await asyncio.gather(*(service.submit(one) for one in predicted.observations for _ in range(2)))
    for repeat in repeats:
        assert not (await service.submit(repeat)).merges
    assert await service.world() == predicted.world


@QUICK
@given(one=histories(), other=histories())
async def test_datasets_stay_separate(database: Database, one: History, other: History) -> None:
    """Two datasets receive the same devices, values and users concurrently."""
    first, second = predict(one, "one"), predict(other, "two")
    services = await dataset(database, one), await dataset(database, other)
    await asyncio.gather(submit_concurrently(services[0], first), submit_one_by_one(services[1], second))
    assert await services[0].world() == first.world
    assert await services[1].world() == second.world


@QUICK
@given(history=histories(steps_max=20, erasures=True))
async def test_histories_with_erasures_equal_the_oracle(database: Database, history: History) -> None:
    """The survivor is erased, with all profiles that it absorbed."""
    note(render_history(history.setup, history.steps))
    oracle, names, service = Oracle(), Numbered(), await dataset(database, history)
    oracle.start(history.setup)
    for number, step in enumerate(history.steps):
        before, addressed, created_id = oracle.see(), names.addressed(step), new_id("history", number)
        if step.act == "erase" and addressed not in before.profiles:
            continue
        if step.act == "erase" and addressed:
            addressed = before.root(addressed)
        expected = oracle.observe(step, addressed, created_id)
        names.learn(expected)
        note(f"after: {render_step(step)}")
        assert one_guard(await service.act(step, addressed, created_id)) == one_guard(expected)
        assert names.describe(await service.world()) == names.describe(oracle.see())


@QUICK
@given(several_histories=st.lists(histories(erasures=True), min_size=1, max_size=3))
async def test_the_log_folds_to_the_live_state(database: Database, several_histories: list[History]) -> None:
    await databases.empty(database)
    for history in several_histories:
        await replay_history(database, history)
    report = await verify(database, lambda done, total: None)
    assert report.difference is None


async def test_a_browser_of_an_erased_person_returns_to_its_previous_user(database: Database) -> None:
    """The state must equal the fold of the log without the erased entries."""
    scenario = parse(
        """
        device x  sign-in user=u-1  -> create P1
        device x  sign-in user=u-2  -> create P2, device x moves to P2, refused different_user
        P2        erase             -> erase P2
        """
    )
    await play(scenario, Service(database, next(DATASETS)))
    report = await verify(database, lambda done, total: None)
    assert report.difference is None


async def test_a_refusal_of_an_absorbed_profile_outlives_the_other_profile(
    database: Database,
) -> None:
    scenario = parse(
        """
        identity a

        device x  sign-in user=u-1     -> create P1
        server    event a=v1           -> create P2
        P2        write user=u-2       -> attach P2
        server    create user=u-1 a=v1 -> create P3, merge P3 into P1, refused different_user P2 and P1
        P2        erase                -> erase P2
        """
    )
    await play(scenario, Service(database, next(DATASETS)))
    report = await verify(database, lambda done, total: None)
    assert report.difference is None


async def assert_equals_oracle(database: Database, history: History) -> None:
    """Run each step on the oracle and on the service, and compare the outcomes and the final world."""
    note(render_history(history.setup, history.steps))
    oracle, names, service = Oracle(), Numbered(), await dataset(database, history)
    oracle.start(history.setup)
    for number, step in enumerate(history.steps):
        addressed, created_id = names.addressed(step), new_id("history", number)
        expected = oracle.observe(step, addressed, created_id)
        names.learn(expected)
        note(f"after: {render_step(step)}")
        outcome = await service.act(step, addressed, created_id)
        assert names.describe(one_guard(outcome)) == names.describe(one_guard(expected))
    assert names.describe(await service.world()) == names.describe(oracle.see())


@settings(QUICK, max_examples=examples(100))
@given(history=histories(steps_max=16, rules=True))
async def test_with_rules_the_service_equals_the_oracle(database: Database, history: History) -> None:
    await assert_equals_oracle(database, history)


@pytest.mark.soak
@settings(QUICK, max_examples=500)
@given(history=histories(steps_max=40, rules=True))
async def test_long_histories_with_rules_equal_the_oracle(database: Database, history: History) -> None:
    await assert_equals_oracle(database, history)


@settings(QUICK, max_examples=examples(25))
@given(several_histories=st.lists(histories(steps_max=16, rules=True), min_size=1, max_size=3))
async def test_with_rules_the_log_folds_to_the_live_state(
    database: Database, several_histories: list[History]
) -> None:
    await databases.empty(database)
    for history in several_histories:
        await replay_history(database, history)
    report = await verify(database, lambda done, total: None)
    assert report.difference is None


@pytest.mark.parametrize("path", WITH_RULES, ids=lambda path: path.stem)
async def test_two_organisations_stay_separate(database: Database, path: Path) -> None:
    """Two services run the same scenario concurrently; neither changes the outcomes of the other."""
    scenario = load(path)
    renamed = msgspec.structs.replace(scenario, name=f"{scenario.name} renamed")
    one, other = (Service(database, next(DATASETS)) for _ in range(2))
    await asyncio.gather(play(scenario, one), play(renamed, other))


async def test_reindexing_never_merges_across_organisations(database: Database) -> None:
    """In each organisation, two profiles share a value before the rule exists. `index` runs all jobs."""
    scenario = parse(
        """
        attribute traits.card string overwrite
        server create traits.card=C-1            -> create P1
        server create traits.card=C-1            -> create P2
        rule cards traits.card priority=1 active -> nothing
        index                                    -> nothing
        """
    )
    services = [Service(database, next(DATASETS)) for _ in range(2)]
    for service in services:
        await service.begin(scenario.setup)
    for line in scenario.lines:
        for service in services:
            await service.act(line.step, None, new_id(f"of {service.dataset_id}", line.number))
    for service in services:
        profiles = frozenset(new_id(f"of {service.dataset_id}", line.number) for line in scenario.lines[:2])
        assert (await service.world()).partition() == {profiles}


@pytest.mark.soak
@settings(QUICK, max_examples=500)
@given(history=histories(steps_max=40))
async def test_long_histories_submitted_concurrently(database: Database, history: History) -> None:
    predicted = predict(history)
    service = await dataset(database, history)
    assert with_one_guard(await submit_concurrently(service, predicted)) == with_one_guard(predicted.outcomes)
    assert await service.world() == predicted.world
