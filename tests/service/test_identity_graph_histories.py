"""Random histories: the tables of the identity graph equal the fold of the log, in any batches."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, note, settings

from oneself.service.log.verify import verify
from oneself.services import Services
from oneself.store.database import Database
from scenarios.histories import History, histories
from scenarios.on_service import Service
from scenarios.play import Numbered, new_id
from scenarios.rendering import render_history
from scenarios.translate import observation
from support import databases
from support.effort import examples
from support.stored_views import ReadProfiles, folded_profiles, stored_profiles
from support.view_histories import PlayedHistory
from unit.core.identity_graph import histories as view_histories
from unit.core.identity_graph.steps import (
    Create,
    GiveUp,
    Page,
    Report,
    Server,
    Settings,
    SignIn,
    Verify,
)

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(20_000)


async def play_one_by_one(database: Database, history: History) -> int:
    """Run the history on a new dataset, one step in each batch. Returns the dataset."""
    note(render_history(history.setup, history.steps))
    service, names = Service(database, next(DATASETS)), Numbered()
    await service.begin(history.setup)
    for number, step in enumerate(history.steps):
        names.learn(await service.act(step, names.addressed(step), new_id("graph", number)))
    return service.dataset_id


async def play_together(database: Database, history: History) -> int:
    """Run the history on a new dataset, all steps at once. Returns the dataset."""
    note(render_history(history.setup, history.steps))
    service = Service(database, next(DATASETS))
    await service.begin(history.setup)
    names = {f"P{number}": new_id("graph", number - 1) for number in range(1, 7)}
    steps = enumerate(history.steps)
    observations = [
        observation(step, names.get(step.profile or ""), new_id("graph", number)) for number, step in steps
    ]
    await asyncio.gather(*(service.submit(item) for item in observations))
    return service.dataset_id


async def assert_equals_the_fold(database: Database, dataset_id: int) -> None:
    expected, rules = await folded_profiles(database, dataset_id)
    stored = await stored_profiles(database, dataset_id, rules)
    assert stored == expected
    assert_own_within_proven(stored)
    report = await verify(database, lambda done, total: None)
    assert report.difference is None, report.difference


def assert_own_within_proven(profiles: ReadProfiles) -> None:
    """Who is with whom in `own` is so in `proven`, and where both know a user, it is the same one."""
    proven_of: dict[object, object] = {}
    for (view, fragment_id), own in profiles.items():
        if view == "own":
            proven = profiles["proven", fragment_id]
            assert proven_of.setdefault(own.profile_id, proven.profile_id) == proven.profile_id
            assert own.user_id in (None, proven.user_id)


@QUICK
@given(history=histories(steps_max=16))
async def test_the_tables_equal_the_fold(database: Database, history: History) -> None:
    await databases.empty(database)
    await assert_equals_the_fold(database, await play_one_by_one(database, history))


@QUICK
@given(history=histories(steps_max=16))
async def test_the_tables_equal_the_fold_in_batches(database: Database, history: History) -> None:
    await databases.empty(database)
    await assert_equals_the_fold(database, await play_together(database, history))


#: A verified claim that ends is part of no later report.
GIVEN_UP = view_histories.History(
    Settings(),
    (Verify(user="ann", namespace="mail", value="a@"), GiveUp(user="ann", namespace="mail")),
)


@QUICK
@example(history=GIVEN_UP)
@given(history=view_histories.histories(is_edited=False))
async def test_the_tables_equal_the_fold_of_sign_ins_and_trackers(
    services: Services, history: view_histories.History
) -> None:
    note(history)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(history.numbered)
    await assert_equals_the_fold(services.database, played.dataset_id)


#: A page and a person who is erased share a card; the merge ends the page's address, which another takes.
TAKEN_MEANWHILE = (
    Page(ids={"mail": "m@", "card": "c1"}),
    SignIn(user="ann", claims={"mail": "a@"}),
    Create(name="p2", user="ann", ids={"card": "c1"}),
    Create(name="p3", tracker="v3", ids={"mail": "m@"}),
)


async def test_an_identity_that_others_took_stays_theirs_after_an_erasure(services: Services) -> None:
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await played.play([*enumerate(TAKEN_MEANWHILE)])
    await played.erase("ann")
    report = await verify(services.database, lambda done, total: None)
    assert report.difference is None, report.difference


async def assert_account_is_silent(services: Services, history: view_histories.History) -> None:
    """Once what an account said of itself is gone, no browser leads to its user, and the log folds."""
    note(history)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(history.numbered)
    for user in ("ann", "ben"):
        await played.forget_words(user)
        owned = [row.fragment for row in await played.fragments() if row.fragment.user_id == user]
        assert {item.owner.proof for item in owned if item.owner} <= {"user", "named", "identifier"}
        assert all(item.reported is None for item in owned)
        report = await verify(services.database, lambda done, total: None)
        assert report.difference is None, report.difference


#: A report brings a browser that an application has said to be another user's.
REPORTED = view_histories.History(
    Settings(detach_on_sign_out=True),
    (Create(name="p1", tracker="v1", user="ben", values={"plan": None}), Report(user="ann", tracker="v1")),
)


@QUICK
@example(history=REPORTED)
@given(history=view_histories.histories(is_edited=False))
async def test_an_account_that_is_handed_over_is_silent(
    services: Services, history: view_histories.History
) -> None:
    await assert_account_is_silent(services, history)


@pytest.mark.soak
@settings(QUICK, max_examples=500)
@given(history=view_histories.histories(is_edited=False, steps_max=36))
async def test_accounts_that_are_handed_over_in_long_histories(
    services: Services, history: view_histories.History
) -> None:
    await assert_account_is_silent(services, history)


@pytest.mark.soak
@settings(QUICK, max_examples=500)
@given(history=histories(steps_max=40))
async def test_long_histories_equal_the_fold(database: Database, history: History) -> None:
    await databases.empty(database)
    await assert_equals_the_fold(database, await play_one_by_one(database, history))
    await databases.empty(database)
    await assert_equals_the_fold(database, await play_together(database, history))


async def test_a_first_merge_makes_concurrent_writers_to_the_survivor_repeat(services: Services) -> None:
    """They found no row of the view, into which they have to write as well."""
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await played.play(enumerate([Server(ids={"mail": "a@", "card": "c1"})]))
    (alone,) = await played.fragments()
    await played.play(enumerate([Server(ids={"mail": "a@"})]))
    survivor = next(row for row in await played.fragments() if row.fragment == alone.fragment)
    assert survivor.proven_id == alone.fragment.fragment_id
    assert survivor.read_version != alone.read_version
