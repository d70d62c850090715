"""How long does a read of a profile by its id take at 1 000 requests per second, and what is the maximum
rate?

Method: `oneself serve` with one worker on a database with 100 000 persons (quick: 2 000). GET of 10 000
profiles in turn at an even 1 000/s (the figure "rate reached" shows whether the service kept up), then as
fast as possible on 64 connections, 15 s each (quick: 3 s). Service, database and generator share the cores.
Bare: the same rows by primary key, one prepared SELECT at a time on one connection.
Units: ms from request to response; responses per second.
"""

import asyncio
import time
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from bench import load, population
from bench.questions.http_writes import PROFILES
from bench.results import Figure, percentile
from bench.stage import Bench, Stage
from oneself.store.queries import Queries

RATE_S = 1_000
_sql = Queries("profile")


async def measure(stage: Stage) -> tuple[Figure, ...]:
    persons = stage.size(2_000, 100_000)
    async with stage.bench() as bench:
        await population.fill(bench.url, bench.dataset_id, bench.config, range(persons), stage.progress)
        with stage.service(bench.url) as service:
            token, address = service.token(), urlsplit(service.url)
            plan = load.Plan(
                host=address.hostname or "",
                port=address.port or 0,
                requests=tuple(load.request("GET", f"{PROFILES}/{i}", token) for i in _ids(persons)),
                connections=64,
                duration_s=stage.size(3, 15),
            )
            steady = await asyncio.to_thread(load.run, load.at_rate(plan, RATE_S))
            most = await asyncio.to_thread(load.run, msgspec.structs.replace(plan, rate_s=None))
        load.check(steady, "200")
        load.check(most, "200")
        alone = await read_alone(bench, _ids(persons))
    means = "SELECT by primary key"
    return (
        Figure("rate reached", steady.per_s, "answers/s", target="1 000"),
        Figure("p50 at 1 000/s", steady.p50_ms, "ms", percentile(alone, 0.5), means, "≤ 2 ms"),
        Figure("p99 at 1 000/s", steady.p99_ms, "ms", percentile(alone, 0.99), means),
        Figure("at will", most.per_s, "answers/s", 1000 * len(alone) / sum(alone), means),
        Figure("p50 at will", most.p50_ms, "ms"),
        Figure("p99 at will", most.p99_ms, "ms"),
    )


def _ids(persons: int) -> list[UUID]:
    # Spread over all profiles, so that the reads are not served from a few cached pages.
    return [population.profile_id(number * 7919 % persons) for number in range(min(persons, 10_000))]


async def read_alone(bench: Bench, profile_ids: list[UUID]) -> list[float]:
    """Return the ms of each read of a row by its key, with PostgreSQL alone."""
    found = []
    async with bench.services.database.connection() as connection:
        statement = await connection.prepare(_sql.find)
        for profile_id in profile_ids:
            started = time.perf_counter()
            await statement.fetch(bench.dataset_id, [profile_id])
            found.append((time.perf_counter() - started) * 1000)
    return found
