"""Random histories through the write path on PostgreSQL: as the oracle has them, however they are told.

Every example gets datasets of its own in one database, so that nothing has to be emptied in between.
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
from unit.core.oracle import Oracle

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(1)
# Without indexing: whoever indexes does the work of all, and the others find nothing left to tell of.
WITH_RULES = [path for path in FILES if path.stem.startswith("rules-") and "\nindex" not in path.read_text()]


class PredictedHistory(msgspec.Struct, frozen=True):
    """A history with everything decided that the caller decides: ids, and who is addressed."""

    history: History
    observations: tuple[Observation, ...]
    outcomes: tuple[Outcome, ...]
    world: World


def predict(history: History, name: str = "history") -> PredictedHistory:
    """What the oracle says becomes of the history, told in order."""
    note(render_history(history.setup, history.steps))
    oracle, names = Oracle(), Numbered()
    oracle.start(history.setup)
    observations, outcomes = [], []
    for number, step in enumerate(history.steps):
        addressed, made = names.addressed(step), new_id(name, number)
        observations.append(observation(step, addressed, made, event_id=f"{name}:{number}"))
        outcomes.append(oracle.observe(step, addressed, made))
        names.learn(outcomes[-1])
    return PredictedHistory(history, tuple(observations), tuple(outcomes), oracle.see())


async def dataset(database: Database, history: History) -> Service:
    """A new dataset, configured as the history says."""
    service = Service(database, next(DATASETS))
    await service.begin(history.setup)
    return service


def guarded(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [one_guard(outcome) for outcome in outcomes]


async def replay_history(database: Database, history: History) -> None:
    """The history as it goes on the service, whatever the oracle would say of it."""
    note(render_history(history.setup, history.steps))
    names, service = Numbered(), await dataset(database, history)
    known: set[UUID] = set()
    for number, step in enumerate(history.steps):
        addressed = names.addressed(step)
        if step.act != "erase" or addressed in known:
            outcome = await service.act(step, addressed, new_id("history", number))
            names.learn(outcome)
            known |= {outcome.created} if outcome.created else set()


async def submit_one_by_one(service: Service, predicted: PredictedHistory) -> list[Outcome]:
    return [await service.submit(each) for each in predicted.observations]


async def submit_concurrently(service: Service, predicted: PredictedHistory) -> list[Outcome]:
    """All submitted before the first is answered: they are judged in the same order, in few batches."""
    return list(await asyncio.gather(*(service.submit(each) for each in predicted.observations)))


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
async def test_batching_does_not_matter(database: Database, history: History) -> None:
    predicted = predict(history)
    service = await dataset(database, history)
    assert guarded(await submit_concurrently(service, predicted)) == guarded(predicted.outcomes)
    assert await service.world() == predicted.world


@QUICK
@given(history=histories(), again=st.lists(st.integers(0, 11), max_size=6))
async def test_duplicates_change_nothing(database: Database, history: History, again: list[int]) -> None:
    """Repeats of what was accepted, each beside the original or long after it."""
    predicted = predict(history)
    service = await dataset(database, history)
    chosen = [number % len(predicted.observations) for number in again]
    repeats = [
        predicted.observations[number] for number in chosen if predicted.outcomes[number].rejected is None
    ]
    await asyncio.gather(*(service.submit(each) for each in predicted.observations for _ in range(2)))
    for each in repeats:
        assert not (await service.submit(each)).merges
    assert await service.world() == predicted.world


@QUICK
@given(one=histories(), other=histories())
async def test_tenants_stay_separate(database: Database, one: History, other: History) -> None:
    """Two datasets with the same devices, values and users, told at the same time."""
    first, second = predict(one, "one"), predict(other, "two")
    services = await dataset(database, one), await dataset(database, other)
    await asyncio.gather(submit_concurrently(services[0], first), submit_one_by_one(services[1], second))
    assert await services[0].world() == first.world
    assert await services[1].world() == second.world


@QUICK
@given(history=histories(steps_max=20, erasures=True))
async def test_erasures_leave_what_the_oracle_leaves(database: Database, history: History) -> None:
    """Whole people are erased, whichever of their profiles is named."""
    note(render_history(history.setup, history.steps))
    oracle, names, service = Oracle(), Numbered(), await dataset(database, history)
    oracle.start(history.setup)
    for number, step in enumerate(history.steps):
        before, addressed, made = oracle.see(), names.addressed(step), new_id("history", number)
        if step.act == "erase" and addressed not in before.profiles:
            continue
        if step.act == "erase" and addressed:
            addressed = before.root(addressed)
        expected = oracle.observe(step, addressed, made)
        names.learn(expected)
        note(f"after: {render_step(step)}")
        assert one_guard(await service.act(step, addressed, made)) == one_guard(expected)
        assert names.describe(await service.world()) == names.describe(oracle.see())


@QUICK
@given(predicted=st.lists(histories(erasures=True), min_size=1, max_size=3))
async def test_the_log_folds_to_the_live_state(database: Database, predicted: list[History]) -> None:
    await databases.empty(database)
    for history in predicted:
        await replay_history(database, history)
    report = await verify(database, lambda done, total: None)
    assert report.difference is None


async def test_a_browser_of_an_erased_person_is_again_whose_it_was(database: Database) -> None:
    """As the log says without the erased entries."""
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


async def equals_the_oracle(database: Database, history: History) -> None:
    """Step by step: rules and indexing have their place between observations."""
    note(render_history(history.setup, history.steps))
    oracle, names, service = Oracle(), Numbered(), await dataset(database, history)
    oracle.start(history.setup)
    for number, step in enumerate(history.steps):
        addressed, made = names.addressed(step), new_id("history", number)
        expected = oracle.observe(step, addressed, made)
        names.learn(expected)
        note(f"after: {render_step(step)}")
        outcome = await service.act(step, addressed, made)
        assert names.describe(one_guard(outcome)) == names.describe(one_guard(expected))
    assert names.describe(await service.world()) == names.describe(oracle.see())


@settings(QUICK, max_examples=100)
@given(history=histories(steps_max=16, rules=True))
async def test_with_rules_the_service_equals_the_oracle(database: Database, history: History) -> None:
    await equals_the_oracle(database, history)


@pytest.mark.soak
@settings(QUICK, max_examples=500)
@given(history=histories(steps_max=40, rules=True))
async def test_long_histories_with_rules_equal_the_oracle(database: Database, history: History) -> None:
    await equals_the_oracle(database, history)


@settings(QUICK, max_examples=25)
@given(predicted=st.lists(histories(steps_max=16, rules=True), min_size=1, max_size=3))
async def test_with_rules_the_log_folds_to_the_live_state(
    database: Database, predicted: list[History]
) -> None:
    await databases.empty(database)
    for history in predicted:
        await replay_history(database, history)
    report = await verify(database, lambda done, total: None)
    assert report.difference is None


@pytest.mark.parametrize("path", WITH_RULES, ids=lambda path: path.stem)
async def test_two_organisations_stay_separate(database: Database, path: Path) -> None:
    """The same story with the same values in both, told at the same time: each as if it were alone."""
    scenario = load(path)
    other = msgspec.structs.replace(scenario, name=f"{scenario.name} elsewhere")
    mine, theirs = (Service(database, next(DATASETS)) for _ in range(2))
    await asyncio.gather(play(scenario, mine), play(other, theirs))


async def test_reindexing_never_merges_across_organisations(database: Database) -> None:
    """Two profiles in each hold one value before either has its rule; whoever indexes first does all work."""
    story = parse(
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
        await service.begin(story.setup)
    for line in story.lines:
        for service in services:
            await service.act(line.step, None, new_id(f"of {service.dataset_id}", line.number))
    for service in services:
        own = frozenset(new_id(f"of {service.dataset_id}", line.number) for line in story.lines[:2])
        assert (await service.world()).partition() == {own}


@pytest.mark.soak
@settings(QUICK, max_examples=500)
@given(history=histories(steps_max=40))
async def test_long_histories_submitted_concurrently(database: Database, history: History) -> None:
    predicted = predict(history)
    service = await dataset(database, history)
    assert guarded(await submit_concurrently(service, predicted)) == guarded(predicted.outcomes)
    assert await service.world() == predicted.world
