"""A batch is retried only after the violation of a constraint that concurrent batches can violate."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from oneself.services import Services
from oneself.store import working_set
from oneself.store.database import Database
from oneself.store.errors import RACES, constraint_of
from oneself.store.transaction import Transaction
from support.interactions_harness import InteractionsHarness, mail

VIOLATE = "DO $$ BEGIN RAISE unique_violation USING CONSTRAINT = '{}'; END $$"
UNIQUE_INDEXES = """
SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indisunique AND relnamespace = current_schema()::regnamespace
"""


class Saves:
    """Counts calls of `save`; the first call violates a constraint."""

    def __init__(self, constraint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._constraint = constraint
        self._save = working_set.save
        monkeypatch.setattr(working_set, "save", self)

    async def __call__(self, transaction: Transaction, *arguments: Any) -> None:
        self.count += 1
        if self.count == 1:
            await transaction.connection.execute(VIOLATE.format(self._constraint))
        await self._save(transaction, *arguments)


@pytest.mark.parametrize("constraint", sorted(RACES))
async def test_a_lost_race_for_a_constraint_is_retried(
    services: Services, monkeypatch: pytest.MonkeyPatch, constraint: str
) -> None:
    harness = await InteractionsHarness(services).begin()
    saves = Saves(constraint, monkeypatch)
    resolution = await harness.event(mail("ann@acme.example"))
    assert saves.count == 2
    assert await harness.found(resolution.survivor.primary_id) == resolution.survivor.profile_id


@pytest.mark.parametrize(
    "constraint", ["log_key", "merge_key", "claim_key", "idempotency_record_key", "profile_key"]
)
async def test_the_violation_of_another_constraint_is_raised(
    services: Services, monkeypatch: pytest.MonkeyPatch, constraint: str
) -> None:
    harness = await InteractionsHarness(services).begin()
    saves = Saves(constraint, monkeypatch)
    with pytest.raises(asyncpg.UniqueViolationError) as caught:
        await harness.event(mail("ann@acme.example"))
    assert constraint_of(caught.value) == constraint
    assert saves.count == 1


async def test_the_constraints_that_can_race_are_in_the_schema(database: Database) -> None:
    assert {row["relname"] for row in await database.fetch(UNIQUE_INDEXES)} >= RACES
