"""How many observations per second become durable and resolved, if each is submitted on its own?

Method: 256 callers in the service's process, each submitting one event and the next when it is answered, on
a database with 100 000 persons (quick: 2 000); the median of three rounds. Then the same events arrive evenly
at half that rate. Bare: INSERT of the same log rows, one row per commit, on 32 connections.
Units: observations per second; ms from submit to answer.
"""

from bench import bare, population, pressure
from bench.results import Figure
from bench.stage import Stage

CALLERS = 256


async def measure(stage: Stage) -> tuple[Figure, ...]:
    persons, count = stage.size(2_000, 100_000), stage.size(4_000, 60_000)
    async with stage.bench() as bench:
        await population.fill(bench.url, bench.dataset_id, bench.config, range(persons), stage.progress)
        traffic = population.arrivals(persons)
        ingest, dataset_id = bench.services.ingest, bench.dataset_id
        await pressure.at_full_speed(ingest, dataset_id, traffic, concurrency=CALLERS, burst=1, count=2_000)
        rounds = []
        for number in range(3):
            stage.progress(number, 4)
            rounds.append(
                await pressure.at_full_speed(
                    ingest, dataset_id, traffic, concurrency=CALLERS, burst=1, count=count
                )
            )
        full = sorted(rounds, key=lambda report: report.per_s)[1]
        half = await pressure.at_rate(ingest, dataset_id, traffic, rate_s=full.per_s / 2, count=count // 2)
        alone = await bare.insert_log(bench.url, stage.size(2_000, 20_000), per_commit=1, connections=32)
    means = "INSERT of the same rows, one a commit, 32 connections"
    return (
        Figure("durable resolved, one per call", full.per_s, "obs/s", alone, means, "≥ 8 000 (over HTTP)"),
        Figure("p50 at full load", full.p50_ms, "ms"),
        Figure("p99 at full load", full.p99_ms, "ms"),
        Figure("p50 at half load", half.p50_ms, "ms"),
        Figure("p99 at half load", half.p99_ms, "ms", target="≤ 25 ms"),
    )
