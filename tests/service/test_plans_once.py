"""Batches of events of pages plan each statement once, so that no plan may depend on what tables contain."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from oneself.services import Services
from oneself.store.database import Database, connect
from support.interactions_harness import InteractionsHarness, customer, mail

PLANNED_ONCE = "plan_cache_mode = force_generic_plan"
#: In the message that begins a transaction which plans its statements once, where the server is new enough.
ASKED = "'plan_cache_mode'"
BY_DATASET = re.compile(r"\(*(?:\w+\.)?dataset_id = \$1\)*")
#: One row of a dataset: its configuration, whether people keep anything apart, whether identifiers changed
#: hands, its wide lock, and the last of an index.
ONE_ROW = ("config_key", "wide_lock_key", "on separation", "on identifier_transfer", "Backward")


class RecordingConnection:
    """A connection that notes its statements with parameters."""

    def __init__(self, connection: Any, statements: set[str]) -> None:
        self._connection, self._statements = connection, statements

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)
        if name not in ("fetch", "fetchrow", "fetchval", "execute"):
            return method

        async def recording(sql: str, *parameters: object) -> Any:
            self._statements.add(sql)
            return await method(sql, *parameters)

        return recording


@pytest.fixture
def planned_once(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The statements of transactions that plan each of them once."""
    statements: set[str] = set()
    transaction = Database.transaction

    @asynccontextmanager
    async def recording(self: Database, first: str | None = None) -> AsyncIterator[Any]:
        async with transaction(self, first) as connection:
            is_planned_once = first is not None and ASKED in first
            yield RecordingConnection(connection, statements) if is_planned_once else connection

    monkeypatch.setattr(Database, "transaction", recording)
    return statements


async def tell_story(harness: InteractionsHarness) -> None:
    """Events of new and known visitors, alone and together, early and late, with merges and refusals."""
    for rounds in range(2):
        for size in (1, 12):
            people = [f"{size}-{number}" for number in range(size)]
            await asyncio.gather(*(harness.event(device=item) for item in people))
            await asyncio.gather(*(harness.event(customer(item), device=item) for item in people))
            await asyncio.gather(
                *(
                    harness.event(customer(item), mail(f"{item}@x.example"), device=f"{rounds}-{item}")
                    for item in people
                )
            )
            await harness.event(mail(f"{people[-1]}@x.example"), device="shared", at=10**15)
            await harness.event(customer(people[0]), mail("other@x.example"), device="shared")
            await harness.event(device=people[0], at=10**15, event_id=f"e-{rounds}")
            await harness.event(customer("null"), device=people[0])


async def test_every_statement_finds_its_rows_by_a_key(
    services: Services, planned_once: set[str], new_database: Callable[[], Awaitable[str]]
) -> None:
    await tell_story(await InteractionsHarness(services).begin())
    assert len(planned_once) > 10
    connection = await connect(await new_database())
    try:
        if connection.get_server_version().major < 17:
            pytest.skip("Statements are planned once from PostgreSQL 17 on.")
        await connection.execute(f"SET {PLANNED_ONCE}")
        for number, sql in enumerate(planned_once):
            count = max(int(found) for found in re.findall(r"\$(\d+)", sql))
            await connection.execute(f"PREPARE planned_{number} AS {sql}")
            nothing = ", ".join(["NULL"] * count)
            rows = await connection.fetch(f"EXPLAIN (COSTS off) EXECUTE planned_{number} ({nothing})")
            plan = [row[0].strip() for row in rows]
            for line, condition in pairwise(plan):
                is_by_dataset = BY_DATASET.fullmatch(condition.partition("Cond: ")[2]) is not None
                assert not is_by_dataset or any(name in line for name in ONE_ROW), "\n".join((sql, *plan))
                assert "Seq Scan" not in line, "\n".join((sql, *plan))
    finally:
        await connection.close()


async def test_other_observations_are_planned_as_they_come(
    services: Services, planned_once: set[str]
) -> None:
    harness = await InteractionsHarness(services).begin()
    planned_once.clear()
    await harness.event(device="known", trust="server")
    await harness.event(device="known", values={"traits": {"plan": "gold"}})
    await harness.event(device="known", choices={"tracking": (True, 1)})
    assert not planned_once
