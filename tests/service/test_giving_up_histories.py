"""Random histories in which users give up their accounts, through the services on PostgreSQL.

Source: docs/decisions/0050-giving-up-an-account.md.
"""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from oneself.service.log.verify import verify
from oneself.services import Services
from oneself.store.transaction import Tables
from support import databases
from support.reconciled_view import assert_parted, assert_reconciled
from support.stored_views import folded_profiles, stored_profiles
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import ADDRESSES, HONEST, TRACKERS, History, histories
from unit.core.identity_graph.steps import GiveUpAccount, SignIn, Step

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(80_000)
_PAIRS = [(one, other) for one in HONEST for other in HONEST if one != other]
_LIST_ALL = (
    "INSERT INTO unreconciled_fragment SELECT dataset_id, fragment_id, 1 FROM fragment ON CONFLICT DO NOTHING"
)
_given_up = st.lists(st.tuples(st.integers(2, 20), st.sampled_from(_PAIRS)), min_size=1, max_size=3)


async def assert_sound(services: Services, played: PlayedHistory) -> None:
    """The log folds to what is stored, and the identity graph and the view `all` agree."""
    report = await verify(services.database, lambda done, total: None)
    assert report.difference is None, report.difference
    await services.log.reconciler.reconcile_all()
    await assert_parted(Tables(services.database, played.dataset_id))
    await services.database.execute(_LIST_ALL)
    await services.log.reconciler.reconcile_all()
    await assert_reconciled(services.database)
    report = await verify(services.database, lambda done, total: None)
    assert report.difference is None, report.difference


GIVEN = given(
    history=histories(steps_max=20),
    trackers=st.tuples(*(st.sampled_from((None, *TRACKERS)) for _ in HONEST)),
    given_up=_given_up,
    erased=st.sampled_from((None, *HONEST)),
)


@QUICK
@GIVEN
async def test_every_view_follows_who_gives_up_an_account(
    services: Services,
    history: History,
    trackers: tuple[str | None, ...],
    given_up: list[tuple[int, tuple[str, str]]],
    erased: str | None,
) -> None:
    await play(services, history, trackers, given_up, erased)


@pytest.mark.soak
@settings(QUICK, max_examples=300)
@GIVEN
async def test_every_view_follows_who_gives_up_an_account_in_many_histories(
    services: Services,
    history: History,
    trackers: tuple[str | None, ...],
    given_up: list[tuple[int, tuple[str, str]]],
    erased: str | None,
) -> None:
    await play(services, history, trackers, given_up, erased)


async def play(
    services: Services,
    history: History,
    trackers: tuple[str | None, ...],
    given_up: list[tuple[int, tuple[str, str]]],
    erased: str | None,
) -> None:
    """Play a history in which accounts are given up, and erase what a user owns at its end."""
    steps: list[Step] = [
        SignIn(user=user, tracker=tracker, claims={"mail": ADDRESSES[user]})
        for user, tracker in zip(HONEST, trackers, strict=True)
    ]
    steps += history.steps
    for place, (user, into) in given_up:
        steps.insert(place, GiveUpAccount(user=user, into=into))
    note(steps)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(enumerate(steps))
    expected, rules = await folded_profiles(services.database, played.dataset_id)
    assert await stored_profiles(services.database, played.dataset_id, rules) == expected
    await assert_sound(services, played)
    if erased is not None:
        await played.erase(erased)
        await assert_sound(services, played)
