"""Random histories with merges and splits by hand, through the services on PostgreSQL.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0042-splits-and-merges-by-hand.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, note, settings
from hypothesis import strategies as st

from oneself.services import Services
from support import databases
from support.effort import examples
from support.reconciled_view import assert_sound, reconcile_everybody
from support.stored_views import folded_profiles, stored_profiles
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import History, histories, some_ids
from unit.core.identity_graph.steps import Create, Ids, Merge, Settings, SignIn, Split, Step

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(70_000)


#: What an application created for a user is taken out of the user's profile.
TAKEN_FROM_USER = History(
    Settings(),
    (
        SignIn(user="ben"),
        Create(name="p1", tracker="v1", user="ben", ids={"number": "n1"}, values={"plan": "w1"}),
        Split(profiles=("p1",)),
        SignIn(user="ben", tracker="v1"),
    ),
)
#: What is parted from a record begins in the batch in which the log is replayed up to the split.
BEGUN_AND_PARTED_IN_ONE_BATCH = History(
    Settings(),
    (
        Create(name="one"),
        Create(name="other"),
        Create(name="p2", tracker="v2", ids={"mail": "b@"}),
        Merge(one="one", other="other"),
        Create(name="p4", tracker="v4", ids={"mail": "b@"}),
        Split(profiles=("p4",), view="all"),
    ),
)


@QUICK
@example(history=TAKEN_FROM_USER)
@example(history=BEGUN_AND_PARTED_IN_ONE_BATCH)
@given(history=histories())
async def test_every_view_follows_what_people_decide(services: Services, history: History) -> None:
    """The log folds to what is stored, and the identity graph and the view `all` agree."""
    note(history)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(history.numbered)
    expected, rules = await folded_profiles(services.database, played.dataset_id)
    assert await stored_profiles(services.database, played.dataset_id, rules) == expected
    await assert_sound(services, played.dataset_id)


#: Of a profile: its view, the steps that its fragments took, its user and its values.
_Told = set[tuple[str, frozenset[int], str | None, str]]


async def _played(services: Services, history: History, steps: Iterable[tuple[int, Step]]) -> PlayedHistory:
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    return await played.play(steps)


async def _told(services: Services, played: PlayedHistory) -> _Told:
    await reconcile_everybody(services)
    return await played.told()


@QUICK
@given(
    history=histories(steps_max=12, is_edited=False, has_matches=False),
    first=some_ids(),
    second=some_ids(),
    data=st.data(),
)
async def test_merge_anything_split_equals_never_merged(
    services: Services, history: History, first: Ids, second: Ids, data: Any
) -> None:
    note(history)
    await databases.empty(services.database)
    begun = [
        (0, Create(name="one", ids=first, values={"plan": "one"})),
        (1, Create(name="other", ids=second)),
    ]
    after = [(number + 2, step) for number, step in history.numbered]
    place = data.draw(st.integers(0, len(after)))
    apart = await _played(services, history, [*begun, *after])
    merge = (place + 2, Merge(one="one", other="other"))
    merged = await _played(services, history, [*begun, *after[:place], merge, *after[place:]])
    side = await apart.members("one")
    # The split must end the merge, and nothing but the merge must have joined the two.
    assume(side != await apart.members("other"))
    assume(await merged.members("one") == await merged.members("other"))
    await merged.split_steps(side)
    assert await _told(services, merged) == await _told(services, apart)
