"""The last activity before a late event: read through the index, and only to rank candidates."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from oneself.core.resolution.kinds import KINDS
from oneself.service.ingest.submission import Resolution
from oneself.services import Services
from oneself.store.queries import Queries
from oneself.store.tables import log
from support.interactions_harness import InteractionsHarness, customer, mail
from support.statement_plans import plan_of

pytestmark = pytest.mark.postgres
#: Kinds of observation that make a person active.
ACTIVE_KINDS = sorted(kind for kind, rows in KINDS.items() if any(row.makes_active for row in rows.values()))

X, Y, Z = "0123456789abcdef", "fedcba9876543210", "00112233445566aa"
MINUTE_US = 60 * 1_000_000
FIND = Queries("log").find_activity
ENTRY = """
INSERT INTO log (dataset_id, seq, observation_id, profile_id, kind, config_version, content)
VALUES ($1, $2, gen_random_uuid(), $3, $4, 1, $5)
"""


@pytest.fixture
async def harness(services: Services) -> InteractionsHarness:
    return await InteractionsHarness(services).begin()


async def identified_event(harness: InteractionsHarness, device: str, number: str) -> Resolution:
    return await harness.event(customer(number), device=device)


async def append_entries(
    harness: InteractionsHarness, profile_id: UUID, *entries: tuple[int, dict[str, Any]], kind: str = "event"
) -> None:
    """Append entries of a profile, each (seq, content), to the log."""
    for seq, content in entries:
        await harness.services.database.execute(
            ENTRY, harness.dataset_ref.dataset_id, seq, profile_id, kind, content
        )


async def last_activities(
    harness: InteractionsHarness, profile_id: UUID, *instants: int, before_seq: int = 2**63 - 1
) -> list[int]:
    rows = await harness.services.database.fetch(
        FIND, harness.dataset_ref.dataset_id, [profile_id] * len(instants), list(instants), before_seq
    )
    return sorted(row["at"] for row in rows)


async def test_the_newest_activity_before_an_instant_is_found(harness: InteractionsHarness) -> None:
    profile_id = (await harness.event(device=X)).profile.profile_id
    await append_entries(
        harness, profile_id, (100, {}), (200, {"occurred_at": 50}), (300, {"is_interactive": False})
    )
    await append_entries(harness, profile_id, (310, {}), kind="match")
    await append_entries(harness, profile_id, (400, {"occurred_at": 320}), (500, {}))
    assert await last_activities(harness, profile_id, 99) == [50], (
        "it was recorded later and occurred earlier"
    )
    assert await last_activities(harness, profile_id, 200) == [100], (
        "the last recorded event did not occur last"
    )
    assert await last_activities(harness, profile_id, 315) == [100], "neither entry is an activity"
    assert await last_activities(harness, profile_id, 330) == [320]
    assert await last_activities(harness, profile_id, 500) == [500]
    assert await last_activities(harness, profile_id, 330, before_seq=400) == [100], "not recorded yet"
    assert await last_activities(harness, profile_id, 200, 330) == [100, 320], "each instant has a result"
    assert await last_activities(harness, profile_id, 49) == []


async def test_activity_of_absorbed_profiles_counts_for_the_survivor(harness: InteractionsHarness) -> None:
    survivor = (await identified_event(harness, X, "c1")).profile.profile_id
    absorbed = (await harness.event(device=Y)).profile.profile_id
    assert (await identified_event(harness, Y, "c1")).survivor.profile_id == survivor
    await append_entries(harness, absorbed, (100, {}))
    assert await last_activities(harness, survivor, 150) == [100]


@pytest.mark.parametrize("kind", ACTIVE_KINDS)
async def test_every_kind_of_activity_is_found(harness: InteractionsHarness, kind: str) -> None:
    profile_id = (await harness.event(device=X)).profile.profile_id
    await append_entries(harness, profile_id, (100, {}), kind=kind)
    assert await last_activities(harness, profile_id, 100) == [100]


async def test_activity_is_read_by_the_index(harness: InteractionsHarness) -> None:
    """In both directions from the instant, for any number of profiles and entries."""
    profile_id = (await harness.event(device=X)).profile.profile_id
    plan = await plan_of(
        harness.services.database,
        harness.dataset_ref.dataset_id,
        profile_id,
        FIND,
        [profile_id],
        [3_000],
        2**62,
    )
    reads = [line for line in plan.splitlines() if "Scan" in line and " on log" in line]
    assert [line.split(" on log")[0].strip(" ->") for line in reads] == [
        "Index Scan Backward using log_by_profile",
        "Index Scan using log_by_profile",
    ], plan
    assert "Seq Scan" not in plan, plan


async def test_activity_is_read_only_when_candidates_must_be_ranked(
    harness: InteractionsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement fails in this test. A late event with one candidate does not run it."""
    ann = await identified_event(harness, X, "c1")
    await harness.event(device=Y)
    late = ann.seq - MINUTE_US
    monkeypatch.setattr(log._sql, "find_activity", FIND.replace("FROM log", "FROM nowhere"))
    assert (
        await harness.event(customer("c1"), mail("ann@acme.example"), device=X, at=late)
    ).survivor.user_id is None
    with pytest.raises(asyncpg.UndefinedTableError):
        await harness.event(customer("c1"), device=Y, at=late)


async def test_the_profile_last_active_at_that_time_survives(harness: InteractionsHarness) -> None:
    """Ann was active before Bea and again after her. A late event, from the time between, merges both."""
    ann = await harness.event(mail("ann@acme.example"), device=X)
    bea = await harness.event(customer("c1"), device=Y)
    await harness.event(mail("ann@acme.example"), device=X)
    merged = await harness.event(mail("ann@acme.example"), customer("c1"), device=Z, at=bea.seq + 1)
    assert merged.survivor.profile_id == bea.profile.profile_id
    assert [profile.profile_id for profile in merged.merged] == [ann.profile.profile_id]
