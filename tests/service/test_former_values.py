"""Values that were replaced before a rule read them.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0061-former-values.md.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from oneself.services import Services
from support.nested_views import assert_views_nested
from support.reconciled_view import assert_reconciled, assert_verified
from support.view_histories import PlayedHistory
from unit.core.identity_graph.steps import Create, Server, Settings, Step

pytestmark = pytest.mark.postgres
DATASETS = count(95_000)
BY_CARD_LATER = Settings(active=("mail", "phone", "number"))


async def _played(services: Services, *steps: Step) -> PlayedHistory:
    played = await PlayedHistory(services, next(DATASETS)).begin(BY_CARD_LATER)
    return await played.play(list(enumerate(steps)))


def _card(profile: str, value: str | None) -> Server:
    ids: dict[str, Any] = {"card": value}
    return Server(profile=profile, ids=ids)


@pytest.fixture
async def replaced(services: Services) -> PlayedHistory:
    """Two records with one card, which a server takes from the first one before a rule reads cards."""
    ann, ben = Create(name="ann", ids={"card": "c1"}), Create(name="ben", ids={"card": "c1"})
    played = await _played(services, ann, ben, _card("ann", "c2"))
    assert await played.members("ann") == {0}
    await played.change_rule(is_active=True)
    return played


async def _former_in_log(services: Services, played: PlayedHistory) -> int:
    found = "SELECT count(*) FROM log WHERE dataset_id = $1 AND content ? 'former'"
    return int(await services.database.fetchval(found, played.dataset_id))


async def test_who_had_a_value_at_one_time_is_joined_in_every_wider_view(
    services: Services, replaced: PlayedHistory
) -> None:
    assert await replaced.members("ann") == {0, 1}
    await services.log.reconciler.reconcile_all()
    await assert_verified(services.database)
    await assert_reconciled(services.database)
    await assert_views_nested(services.database, replaced.dataset_id)


async def test_who_had_it_one_after_the_other_is_not(services: Services) -> None:
    ann, ben = Create(name="ann", ids={"card": "c1"}), Create(name="ben", ids={"card": "c1"})
    played = await _played(services, ann, _card("ann", None), ben)
    await played.change_rule(is_active=True)
    assert await played.members("ann") == {0}
    assert await _former_in_log(services, played) == 1
    await assert_verified(services.database)


async def test_an_erasure_takes_what_was_indexed_of_the_record(
    services: Services, replaced: PlayedHistory
) -> None:
    assert await _former_in_log(services, replaced) == 1
    rows = {replaced.step_of(row.fragment.began_at): row.fragment for row in await replaced.fragments()}
    await replaced.erase_record(rows[1].fragment_id)
    assert await replaced.members("ann") == {0}
    await assert_verified(services.database)
    await replaced.erase_record(rows[0].fragment_id)
    assert await _former_in_log(services, replaced) == 0
    await assert_verified(services.database)


async def test_a_job_that_runs_again_indexes_nothing_twice(
    services: Services, replaced: PlayedHistory
) -> None:
    before = {row.fragment.fragment_id: row.fragment.claims for row in await replaced.fragments()}
    await replaced.change_rule(is_active=False)
    await replaced.change_rule(is_active=True)
    assert {row.fragment.fragment_id: row.fragment.claims for row in await replaced.fragments()} == before
    assert await _former_in_log(services, replaced) == 1
    assert await replaced.members("ann") == {0, 1}
    await assert_verified(services.database)
