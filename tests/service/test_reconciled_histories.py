"""Random histories: after they are reconciled, the people of the view `all` are those of the identity graph.

So who is with whom there does not depend on the order in which evidence came, and each view lies within the
next one.

Source: docs/concepts/trust.md, "Joins".
"""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, note, settings

from oneself.services import Services
from support import databases
from support.effort import examples
from support.nested_views import assert_views_nested
from support.reconciled_view import assert_reconciled, assert_verified, reconcile_everybody
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import History, histories

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(60_000)


async def assert_history_reconciled(services: Services, history: History, *, lists_all: bool) -> None:
    note(history)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(history.numbered)
    await (reconcile_everybody(services) if lists_all else services.log.reconciler.reconcile_all())
    await assert_verified(services.database)
    await assert_reconciled(services.database)
    await assert_views_nested(services.database, played.dataset_id)


@QUICK
@given(history=histories(is_edited=False))
async def test_everybody_is_reconciled(services: Services, history: History) -> None:
    await assert_history_reconciled(services, history, lists_all=True)


@QUICK
@given(history=histories(is_edited=False))
async def test_whoever_has_to_be_reconciled_is_listed(services: Services, history: History) -> None:
    await assert_history_reconciled(services, history, lists_all=False)
