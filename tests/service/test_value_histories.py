"""Random histories: what the history of values comes to is what the profile shows."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import HealthCheck, given, note, settings

from oneself.core.identity_graph.joins import View
from oneself.core.values.record import Path, read
from oneself.service.context import DatasetRef
from oneself.service.history.entries import ValueStep
from oneself.service.history.value_steps import find_value_steps
from oneself.services import Services
from oneself.store.transaction import Tables
from support import databases
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import History, histories

pytestmark = pytest.mark.postgres
DATASETS = count(170_000)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=histories(is_edited=False))
async def test_the_steps_of_a_single_fragment_come_to_its_values(
    services: Services, history: History
) -> None:
    note(history)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(history.numbered)
    ref = DatasetRef(played.dataset_id, "values", played.dataset_id)
    rows = await played.fragments()
    sizes = Counter(row.proven_id for row in rows)
    tables = Tables(services.database, played.dataset_id)
    view: View = "proven"
    for row in rows:
        if sizes[row.proven_id] > 1:
            continue
        found = await services.profiles.lookup.find(ref, str(row.fragment.fragment_id), view)
        assert found is not None
        steps, is_complete = await find_value_steps(tables, found)
        assert is_complete
        last: dict[Path, object] = {}
        for step in steps:
            assert isinstance(step, ValueStep)
            assert last.get(step.path) == step.before
            last[step.path] = step.after
        assert {path: read(row.values, path) for path in last} == last
        assert {(scope, key) for scope, section in row.values.items() for key in section} <= {
            path[:2] for path in last
        }
