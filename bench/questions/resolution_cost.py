"""Does the cost of resolving an observation depend on the number of profiles?

Method: one database with 10 000, then 100 000, then 1 000 000 persons (quick: 1 000 and 10 000), about 1.1
profiles and 1.4 claims each, filled by COPY of the folded histories. At the smallest size, `verify` replays
the log and must find no difference. At each size, traffic of known browsers, signed-in users and new
browsers: 3 000 observations one after another, then 20 000 in bursts of 100. Bare: one look-up of a claim by
its key for the same persons, as a prepared SELECT.
Units: ms from submit to answer, one at a time; µs per observation in bursts; ratios of largest to smallest.
"""

import time
from itertools import islice

import msgspec

from bench import population, pressure
from bench.pressure import Report
from bench.results import Figure, median
from bench.stage import Bench, Stage
from oneself.service.log.verify import verify

SIZES_QUICK = (1_000, 10_000)
SIZES_FULL = (10_000, 100_000, 1_000_000)
FIND_CLAIM = """
SELECT profile_id, seq FROM claim
WHERE dataset_id = $1 AND namespace = $2 AND value = $3 AND until_seq IS NULL
"""


class Cost(msgspec.Struct, frozen=True):
    """The costs at one size.

    `alone`: one at a time. `together`: in bursts. `bare_ms`: of one bare look-up.
    """

    alone: Report
    together: Report
    bare_ms: float


async def measure(stage: Stage) -> tuple[Figure, ...]:
    sizes = SIZES_FULL if stage.is_full else SIZES_QUICK
    costs: dict[int, Cost] = {}
    filled = 0
    async with stage.bench() as bench:
        for persons in sizes:
            more = range(filled, persons)
            await population.fill(bench.url, bench.dataset_id, bench.config, more, stage.progress)
            filled = persons
            if persons == sizes[0]:
                await _verify(bench)
            costs[persons] = await _cost(bench, persons)
    figures = [figure for persons in sizes for figure in _figures(persons, costs[persons])]
    first, last = costs[sizes[0]], costs[sizes[-1]]
    alone, together = last.alone.p50_ms / first.alone.p50_ms, first.together.per_s / last.together.per_s
    bare = last.bare_ms / first.bare_ms
    return (
        *figures,
        Figure("one at a time, largest to smallest", alone, "×", bare, "look-up by key", "≤ 1.5×"),
        Figure("in bursts, largest to smallest", together, "×", target="≤ 1.5×"),
    )


def _figures(persons: int, cost: Cost) -> list[Figure]:
    size = f"{persons:,} people".replace(",", " ")
    return [
        Figure(f"{size}: one at a time, p50", cost.alone.p50_ms, "ms", cost.bare_ms, "look-up by key"),
        Figure(f"{size}: one at a time, p99", cost.alone.p99_ms, "ms"),
        Figure(f"{size}: in bursts of 100", 1_000_000 / cost.together.per_s, "µs/obs"),
    ]


async def _verify(bench: Bench) -> None:
    """Check that the filled database equals the replayed log."""
    report = await verify(bench.services.database, lambda _done, _total: None)
    if report.difference is not None:
        raise RuntimeError(f"The filled database differs from its log: {report.difference}")


async def _cost(bench: Bench, persons: int) -> Cost:
    ingest, dataset_id = bench.services.ingest, bench.dataset_id
    traffic = population.arrivals(persons, seed=persons)
    # Warm-up: prepares the statements on every connection of the pool and caches pages.
    await pressure.at_full_speed(ingest, dataset_id, traffic, concurrency=4, burst=100, count=10_000)
    alone = await pressure.at_full_speed(ingest, dataset_id, traffic, concurrency=1, burst=1, count=3_000)
    rounds = [
        await pressure.at_full_speed(ingest, dataset_id, traffic, concurrency=4, burst=100, count=20_000)
        for _ in range(3)
    ]
    together = sorted(rounds, key=lambda report: report.per_s)[1]
    return Cost(alone, together, await look_up(bench, persons))


async def look_up(bench: Bench, persons: int) -> float:
    """Return the ms of one look-up of a claim by its key, a lower bound for any resolution."""
    observations = islice(population.arrivals(persons, seed=persons + 1), 2_000)
    identifiers = [observation.identifiers[0] for observation in observations]
    found = []
    async with bench.services.database.connection() as connection:
        statement = await connection.prepare(FIND_CLAIM)
        for identifier in identifiers:
            started = time.perf_counter()
            await statement.fetch(bench.dataset_id, identifier.namespace, identifier.value)
            found.append((time.perf_counter() - started) * 1000)
    return median(found)
