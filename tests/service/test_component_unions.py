"""Fragments and profiles that join large ones: the result is that of a computation from all fragments."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from oneself.services import Services
from oneself.store.component_merge import ComponentMerge, ComponentMerges
from oneself.store.component_union import ComponentUnions, Union
from oneself.store.database import Database
from oneself.store.tables.fragment import FragmentTable, LockedFragments
from scenarios.histories import History, histories
from service.test_identity_graph_histories import (
    assert_equals_the_fold,
    play_one_by_one,
    play_together,
)
from support import databases
from support.effort import examples
from support.view_histories import PlayedHistory
from unit.core.identity_graph import histories as view_histories
from unit.core.identity_graph.steps import GiveUp, Page, Report, Server, Settings, SignIn, Step, Verify

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(60_000)
FOUND: list[Union] = []
MERGED: list[ComponentMerge] = []


@pytest.fixture(autouse=True)
def every_profile_is_large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let fragments join whatever has two fragments, and keep the unions."""
    find = ComponentUnions.find

    async def finds(self: ComponentUnions, seeds: set[object]) -> list[Union]:
        unions = await find(self, seeds)
        FOUND.extend(unions)
        return unions

    merging = ComponentMerges.find

    async def merges(self: ComponentMerges, *asked: Any) -> ComponentMerge | None:
        merge = await merging(self, *asked)
        if merge is not None:
            MERGED.append(merge)
        return merge

    monkeypatch.setattr(ComponentUnions, "computed_members_max", 1)
    monkeypatch.setattr(ComponentUnions, "find", finds)
    monkeypatch.setattr(ComponentMerges, "find", merges)
    yield
    FOUND.clear()
    MERGED.clear()


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


_MAILS, _CARDS = st.sampled_from(["a@", "b@"]), st.sampled_from(["c1", "c2"])
_NAMED = st.one_of(
    st.builds(lambda mail: {"mail": mail}, _MAILS),
    st.builds(lambda card: {"card": card}, _CARDS),
    st.builds(lambda mail, card: {"mail": mail, "card": card}, _MAILS, _CARDS),
    st.just({"phone": "1"}),
)
_VALUES = st.sampled_from([{}, {"plan": "new"}, {"interests": ["more"]}, {"plan": None}])
_USERS, _TRACKERS = st.sampled_from(["ann", "ben"]), st.sampled_from(["t1", "t2", "t3", "t4"])
#: Servers that name much of few people, and users who come later.
_STEPS = st.one_of(
    st.builds(Server, ids=_NAMED, values=_VALUES),
    st.builds(Server, tracker=_TRACKERS, ids=_NAMED, values=_VALUES),
    st.builds(Server, tracker=_TRACKERS, ids=_NAMED),
    st.builds(Server, user=_USERS, ids=_NAMED, values=_VALUES),
    st.builds(SignIn, user=_USERS, tracker=_TRACKERS),
    st.builds(Report, user=_USERS, tracker=_TRACKERS),
    st.builds(Verify, user=_USERS, namespace=st.just("mail"), value=_MAILS),
    st.builds(GiveUp, user=_USERS, namespace=st.just("mail")),
    st.builds(Page, tracker=_TRACKERS, values=_VALUES),
)


@QUICK
@given(steps=st.lists(_STEPS, min_size=4, max_size=16))
async def test_merges_equal_the_fold(services: Services, steps: list[Any]) -> None:
    note(steps)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await played.play(enumerate(steps))
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

    async def locks(self: FragmentTable, fragment_ids: Iterable[UUID]) -> LockedFragments:
        found = await lock(self, fragment_ids)
        locked.append(len(found.rows))
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


#: Two profiles of several browsers each: by address, and by card.
BY_MAIL = tuple(
    Server(tracker=f"m{number}", ids={"mail": "a@"}, values={"plan": f"m{number}"}) for number in range(4)
)
BY_CARD = tuple(
    Server(tracker=f"c{number}", ids={"card": "k"}, values={"interests": [f"c{number}"]})
    for number in range(3)
)
CARD_OF_USER = Server(user="ann", ids={"card": "k"}, values={"plan": "ann"})
JOINING = {
    "a server names what two profiles hold": (
        *BY_MAIL,
        *BY_CARD,
        Server(ids={"mail": "a@", "card": "k"}, values={"plan": "both", "interests": ["both"]}),
    ),
    "a server says of a user what a profile holds": (SignIn(user="ann"), *BY_CARD, CARD_OF_USER),
    "a server says of a new user what a profile holds": (*BY_CARD, CARD_OF_USER),
    "a user of several browsers gets what a profile holds": (
        *(Page(tracker="v1"), SignIn(user="ann", tracker="v1"), Page(tracker="v2")),
        *(SignIn(user="ann", tracker="v2"), *BY_CARD, CARD_OF_USER, Page(tracker="v1", values={"plan": "v"})),
    ),
    "a user verifies the address of a profile": (
        SignIn(user="ann", claims={"mail": "a@"}),
        *BY_MAIL,
        Verify(user="ann", namespace="mail", value="a@"),
        Page(tracker="m1", values={"plan": "after"}),
    ),
    "a new user verifies the address of a profile": (
        *BY_MAIL,
        Verify(user="ann", namespace="mail", value="a@"),
        Server(ids={"mail": "a@"}, values={"interests": ["after"]}),
    ),
}


@pytest.mark.parametrize("steps", JOINING.values(), ids=JOINING.keys())
async def test_large_profiles_become_one_as_in_the_fold(services: Services, steps: tuple[Any, ...]) -> None:
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await played.play(enumerate(steps))
    assert MERGED
    await assert_equals_the_fold(services.database, played.dataset_id)


async def test_whoever_writes_to_a_profile_that_is_absorbed_meanwhile_repeats(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Browsers of two profiles speak, and more of them come, while these become one."""
    find, is_merging = ComponentMerges.find, asyncio.Event()

    async def signals(self: ComponentMerges, *asked: Any) -> ComponentMerge | None:
        merge = await find(self, *asked)
        if merge is not None:
            is_merging.set()
        return merge

    async def play_meanwhile(place: int, step: Step) -> None:
        await asyncio.wait_for(is_merging.wait(), 60)
        await played.play([(place, step)])

    monkeypatch.setattr(ComponentMerges, "find", signals)
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    for number in range(6):
        is_merging.clear()
        mail, card = {"mail": f"a{number}@"}, {"card": f"k{number}"}
        known = [(f"m{number}-{item}", mail) for item in range(4)]
        known += [(f"c{number}-{item}", card) for item in range(4)]
        await played.play(enumerate(Server(tracker=tracker, ids=ids) for tracker, ids in known))
        said = [Page(tracker=tracker, values={"plan": f"of {tracker}"}) for tracker, _ in known]
        more = [Server(tracker=f"{tracker}-more", ids=ids) for tracker, ids in known[::2]]
        meanwhile = [play_meanwhile(place, step) for place, step in enumerate([*said, *more], 1)]
        await asyncio.gather(played.play([(0, Server(ids=mail | card))]), *meanwhile)
    assert len(MERGED) >= 6
    await assert_equals_the_fold(services.database, played.dataset_id)


async def test_an_oldest_record_that_another_absorbed_is_computed(services: Services) -> None:
    """The profile is not called by the fragment that ranks first, as that is absorbed in the view `own`."""
    steps = (
        *(Server(ids={"mail": "a@", "phone": "1"}), *BY_MAIL),
        Verify(user="ann", namespace="mail", value="a@"),
        Server(user="ann", ids={"phone": "1"}),
    )
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await played.play(enumerate(steps))
    assert not MERGED
    await assert_equals_the_fold(services.database, played.dataset_id)


async def test_profiles_of_two_users_stay_apart(services: Services) -> None:
    """A verification does not take along whom a server said to be somebody else."""
    of_ben = Server(user="ben", ids={"card": "k"})
    both = Server(ids={"mail": "a@", "card": "k"})
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await played.play(
        enumerate((*BY_CARD, of_ben, *BY_MAIL, Verify(user="ann", namespace="mail", value="a@"), both))
    )
    await assert_equals_the_fold(services.database, played.dataset_id)
