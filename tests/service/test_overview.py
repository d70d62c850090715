"""The numbers of a dataset: what its log and its profiles say, never those of another dataset."""

from __future__ import annotations

import time
from collections import Counter
from uuid import UUID, uuid4

import pytest

from oneself.core.identity.identifier import Identifier
from oneself.core.resolution.observation import PageEvent, SenderTrust
from oneself.core.units import MINUTE_US
from oneself.errors import Unavailable
from oneself.service.ingest.submission import Submission
from oneself.service.overview.counts import MINUTES, CountLimits, DatasetCounts, Overviews
from oneself.services import Services
from support.interactions_harness import InteractionsHarness, customer, mail


@pytest.fixture
async def site(services: Services) -> InteractionsHarness:
    return await InteractionsHarness(services).begin()


async def send(site: InteractionsHarness, interface: str) -> None:
    event = PageEvent(
        observation_id=uuid4(),
        new_profile_id=uuid4(),
        interface=interface,
        identifiers=(Identifier("anonymous_id", "a"),),
    )
    await site.services.ingest.submit(site.dataset_ref.dataset_id, Submission(event))


async def counted(site: InteractionsHarness) -> DatasetCounts:
    return await site.services.overview.overviews.count(site.dataset_ref)


async def test_events_are_counted_by_interface_and_minute_as_the_log_has_them(
    site: InteractionsHarness,
) -> None:
    for device in ("a", "a", "b"):
        await site.event(device=device)
    await send(site, "tracking")
    counts = await counted(site)
    found = Counter[str]()
    for item in counts.minutes:
        found[item.interface] += item.number
        assert abs(item.minute - time.time() // 60) <= 1
    assert found == {"interactions": 3, "tracking": 1}
    await site.services.database.execute(
        "UPDATE log SET seq = seq - $2 WHERE dataset_id = $1 AND content ->> 'face' = 'tracking'",
        site.dataset_ref.dataset_id,
        MINUTES * MINUTE_US,
    )
    assert {item.interface for item in (await counted(site)).minutes} == {"interactions"}


async def test_a_long_log_is_counted_from_the_first_whole_minute_of_its_end(
    site: InteractionsHarness,
) -> None:
    for number in range(6):
        await site.event(device=f"d{number}")
    await site.services.database.execute(
        "UPDATE log SET seq = $2 + number * 60000000 FROM (SELECT observation_id, "
        "row_number() OVER (ORDER BY seq) - 6 AS number FROM log WHERE dataset_id = $1 AND kind = 'event') "
        "AS ordered WHERE log.observation_id = ordered.observation_id",
        site.dataset_ref.dataset_id,
        time.time_ns() // 1000,
    )
    # The configuration is one of the entries.
    few = await Overviews(site.services.database, CountLimits(entries_max=5)).count(site.dataset_ref)
    assert sum(item.number for item in few.minutes) == 4
    assert few.complete_since > (await counted(site)).complete_since
    assert all(item.minute * MINUTE_US >= few.complete_since for item in few.minutes)


@pytest.mark.parametrize(("trust", "proven", "asserted"), [("server", 2, 0), ("browser", 0, 1)])
async def test_joins_are_proven_or_asserted(
    site: InteractionsHarness, trust: SenderTrust, proven: int, asserted: int
) -> None:
    for device in ("a", "b"):
        await site.event(mail("ann@shop.example"), device=device, trust=trust)
    counts = await counted(site)
    assert (counts.proven_joins, counts.asserted_joins) == (proven, asserted)
    assert (counts.fragments - proven - asserted, counts.total) == (1, 1)


async def test_profiles_are_counted_by_kind_and_size_and_merges_and_refusals_by_reason(
    services: Services,
) -> None:
    site = await InteractionsHarness(services).begin(channel_identity_conflict="keep_apart")
    await site.event(device="anonymous")
    for device in ("a", "b", "c"):
        await site.event(device=device)
        await site.event(mail("ann@shop.example"), device=device)
    await site.event(("user_id", "u-1"), device="d", trust="server")
    counts = await counted(site)
    assert dict(counts.profiles) == {"identified": 1, "named": 1, "anonymous": 1}
    assert counts.sizes[3] == 1
    assert sum(counts.sizes.values()) == counts.total
    merges = await services.database.fetch(
        "SELECT plan FROM log WHERE dataset_id = $1 AND plan ? 'merges'", site.dataset_ref.dataset_id
    )
    logged = Counter(item["reason"] for row in merges for item in row["plan"]["merges"])
    assert sum(logged.values()) == 2
    assert counts.merges == logged
    await site.event(("user_id", "u-2"), mail("ann@shop.example"), device="e", trust="server")
    await site.event(("user_id", "u-1"), mail("ann@shop.example"), device="d", trust="server")
    counts = await counted(site)
    assert counts.refusals == await services.profiles.refusals.count(site.dataset_ref)
    assert counts.refusals["different_user"] >= 1


async def test_numbers_are_those_of_one_dataset(services: Services, site: InteractionsHarness) -> None:
    other = await InteractionsHarness(services).begin()
    for device in ("a", "b"):
        await other.event(mail("ann@shop.example"), device=device)
    counts = await counted(site)
    assert (counts.total, counts.fragments, counts.minutes, counts.merges) == (0, 0, (), {})
    assert (await counted(other)).total == 1


async def test_what_looks_over_merged_is_named_by_ids_alone(site: InteractionsHarness) -> None:
    limits = CountLimits(large_parts=3, shared_parts=3, frequent_refusals=1)
    ids: set[UUID] = set()
    for device in ("a", "b", "c"):
        ids.add((await site.event(customer("C-1"), device=device)).profile.profile_id)
    for device in ("y", "z"):
        await site.event(customer("C-2"), device=device)
    counts = await Overviews(site.services.database, limits).count(site.dataset_ref)
    (large,), (shared,) = counts.largest, counts.shared
    assert (large.parts, large.profile_id in ids) == (3, True)
    assert (shared.namespace, shared.parts) == ("customerId", 3)
    assert await site.found(str(shared.fragment_id)) == large.profile_id
    assert counts.frequent == ()
    assert "C-1" not in repr(counts)


async def test_a_count_that_takes_too_long_ends_and_the_last_numbers_stay(
    services: Services, site: InteractionsHarness
) -> None:
    await site.event(device="a")
    overviews = Overviews(services.database, CountLimits(wait_s=60))
    first = await overviews.latest(site.dataset_ref)
    assert first.counts is not None
    assert first.counts.total == 1
    await site.event(device="b")
    assert await overviews.latest(site.dataset_ref) == first
    hurried = Overviews(services.database, CountLimits(statement_ms=1, wait_s=60))
    await services.database.execute(
        "INSERT INTO merge (dataset_id, absorbed_id, seq, survivor_id, reason, observation_id) "
        "SELECT $1, gen_random_uuid(), 1, gen_random_uuid(), md5(number::text), gen_random_uuid() "
        "FROM generate_series(1, 100000) AS number",
        site.dataset_ref.dataset_id,
    )
    with pytest.raises(Unavailable):
        await hurried.count(site.dataset_ref)
    latest = await hurried.latest(site.dataset_ref)
    assert (latest.counts, latest.is_interrupted) == (None, True)
