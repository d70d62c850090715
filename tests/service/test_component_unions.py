"""Fragments that join large profiles: the result is that of a computation from all fragments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, note, settings

from oneself.core.identity_graph.graph import PersonJoin
from oneself.services import Services
from oneself.store.component_union import ComponentUnions, Union
from oneself.store.database import Database
from oneself.store.tables.fragment import FragmentRow, FragmentTable
from scenarios.histories import History, histories
from service.test_identity_graph_histories import (
    assert_equals_the_fold,
    play_one_by_one,
    play_together,
)
from support import databases
from support.view_histories import PlayedHistory
from unit.core.identity_graph import histories as view_histories
from unit.core.identity_graph.steps import Page, Server, Settings, SignIn, Verify

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(60_000)
FOUND: list[Union] = []


@pytest.fixture(autouse=True)
def every_profile_is_large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let fragments join whatever has two fragments, and keep the unions."""
    find = ComponentUnions.find

    async def finds(self: ComponentUnions, seeds: set[object]) -> list[Union]:
        unions = await find(self, seeds)
        FOUND.extend(unions)
        return unions

    monkeypatch.setattr(ComponentUnions, "computed_members_max", 1)
    monkeypatch.setattr(ComponentUnions, "find", finds)
    yield
    FOUND.clear()


@QUICK
@given(history=histories(steps_max=16))
async def test_unions_equal_the_fold(database: Database, history: History) -> None:
    await databases.empty(database)
    await assert_equals_the_fold(database, await play_one_by_one(database, history))


@QUICK
@given(history=histories(steps_max=16))
async def test_unions_equal_the_fold_in_batches(database: Database, history: History) -> None:
    await databases.empty(database)
    await assert_equals_the_fold(database, await play_together(database, history))


@QUICK
@given(history=view_histories.histories(is_edited=False))
async def test_unions_equal_the_fold_of_sign_ins_and_trackers(
    services: Services, history: view_histories.History
) -> None:
    note(history)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(history.numbered)
    await assert_equals_the_fold(services.database, played.dataset_id)


#: A user who signs in on one browser after another.
BROWSERS = [f"v{number}" for number in range(1, 9)]
ONE_BY_ONE = (
    Verify(user="ann", namespace="mail", value="a@"),
    *(
        step
        for tracker in BROWSERS
        for step in (Page(tracker=tracker, values={"plan": tracker}), SignIn(user="ann", tracker=tracker))
    ),
    Page(tracker="v2", values={"plan": "last"}),
)


async def test_what_joins_a_large_profile_locks_nothing_but_its_rows(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many browsers there are: the survivor, what the join leads to, and what joins."""
    locked: list[int] = []
    lock = FragmentTable.lock

    async def locks(
        self: FragmentTable, fragment_ids: Iterable[UUID]
    ) -> tuple[list[FragmentRow], list[PersonJoin]]:
        found = await lock(self, fragment_ids)
        locked.append(len(found[0]))
        return found

    monkeypatch.setattr(FragmentTable, "lock", locks)
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await played.play(enumerate(ONE_BY_ONE))
    assert sum(len(union.joining) for union in FOUND) >= len(BROWSERS) - 2
    assert max(locked) <= 3, locked
    await assert_equals_the_fold(services.database, played.dataset_id)


async def test_many_claimants_of_one_address_are_joined_as_in_the_fold(services: Services) -> None:
    """Of more than twenty claimants of an identifier, each is compared with the oldest alone."""
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    named = (Server(tracker=f"w{number}", ids={"mail": "a@"}) for number in range(26))
    await played.play(enumerate((Verify(user="ann", namespace="mail", value="a@"), *named)))
    assert FOUND
    await assert_equals_the_fold(services.database, played.dataset_id)


async def test_what_joins_a_large_profile_does_not_replace_the_claims_of_its_user(services: Services) -> None:
    """A till says the card of a user with other addresses, more than once."""
    till = (Server(ids={"card": "k", "mail": f"{letter}@"}) for letter in "bcbdc")
    card = Server(user="ann", ids={"card": "k"})
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await played.play(enumerate((Verify(user="ann", namespace="mail", value="a@"), card, *till)))
    assert FOUND
    await assert_equals_the_fold(services.database, played.dataset_id)
    rows = await services.database.fetch("SELECT record_values::text AS told FROM view_profile")
    assert rows
    assert all("a@" in row["told"] and not {"b@", "c@", "d@"} & set(row["told"].split('"')) for row in rows)
