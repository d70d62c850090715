"""How many observations per second become durable and resolved, if they arrive in batches of 100?

Method: eight callers in the service's process, each submitting 100 events at once and the next 100 when all
are answered, on a database with 100 000 persons (quick: 2 000); the median of three rounds. Bare: one COPY of
the same log rows, and INSERT with 100 rows per commit on two connections.
Units: observations per second; ms from submit until all 100 are answered.
"""

from bench import bare, population, pressure
from bench.results import Figure
from bench.stage import Stage

CALLERS = 8
BURST = 100


async def measure(stage: Stage) -> tuple[Figure, ...]:
    persons, count = stage.size(2_000, 100_000), stage.size(8_000, 120_000)
    async with stage.bench() as bench:
        await population.fill(bench.url, bench.dataset_id, bench.config, range(persons), stage.progress)
        traffic = population.arrivals(persons)
        ingest, dataset_id = bench.services.ingest, bench.dataset_id
        await pressure.at_full_speed(
            ingest, dataset_id, traffic, concurrency=CALLERS, burst=BURST, count=4_000
        )
        rounds = []
        for number in range(3):
            stage.progress(number, 4)
            rounds.append(
                await pressure.at_full_speed(
                    ingest, dataset_id, traffic, concurrency=CALLERS, burst=BURST, count=count
                )
            )
        full = sorted(rounds, key=lambda report: report.per_s)[1]
        inserted = await bare.insert_log(bench.url, count, per_commit=BURST, connections=2)
        copied = await bare.copy_log(bench.url)
    return (
        Figure("durable resolved, in batches of 100", full.per_s, "obs/s", copied, "one COPY", "≥ 20 000"),
        Figure("share of bare COPY", 100 * full.per_s / copied, "%", target="≥ 40 %"),
        Figure("the same, beside INSERT", full.per_s, "obs/s", inserted, "INSERT, 100 a commit"),
        Figure("p50 of a batch", full.p50_ms, "ms"),
        Figure("p99 of a batch", full.p99_ms, "ms"),
    )
