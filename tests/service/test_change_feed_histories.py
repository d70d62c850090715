"""Random histories: a system that keeps a table of ids from the change feed alone is always right.

With people who are joined, who part by proof or by hand, who are reconciled and who are erased, in all views.
"""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from oneself.service.context import DatasetRef
from oneself.services import Services
from support import databases
from support.effort import examples
from support.feed_consumer import FollowedDataset
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import History, histories
from unit.core.identity_graph.steps import SignIn

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(80_000)


@QUICK
@given(history=histories(), erases=st.booleans(), read_every=st.integers(1, 6))
async def test_a_table_that_follows_the_feed_is_right(
    services: Services, history: History, erases: bool, read_every: int
) -> None:
    note(history)
    await databases.empty(services.database)
    dataset_id = next(DATASETS)
    played = await PlayedHistory(services, dataset_id).begin(history.settings)
    followed = FollowedDataset(services.database, DatasetRef(dataset_id, f"history-{dataset_id}", dataset_id))
    for number, step in history.numbered:
        await played.play([(number, step)])
        if number % read_every == 0:
            await services.log.reconciler.reconcile_all()
            await followed.read()
            await followed.assert_right()
    if erases:
        for user in sorted({step.user for _, step in history.numbered if isinstance(step, SignIn)})[:2]:
            await played.erase(user)
            await followed.read()
            await followed.assert_right()
        for row in (await played.fragments())[:2]:
            await played.erase_record(row.fragment.fragment_id)
    await services.log.reconciler.reconcile_all()
    await followed.read()
    await followed.assert_right()
