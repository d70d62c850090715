"""How many events per second does the interactions endpoint resolve, store and answer, one per HTTP request?

Method: `oneself serve` on a database with 100 000 identified users (quick: 2 000; `http_events_million` uses
1 000 000), with one and with two worker processes. A load generator in a process of its own has 256
connections that send as fast as possible for 15 s (quick: 3 s): mixed traffic (70 % page views with a token,
20 % identified, 5 % that identify a new browser, 5 % that merge two users), then page views with a token
only, then mixed traffic at half the rate reached, then events of one user on all connections, first of one
browser, then each of a new one. Service, database and generator share the cores. Bare: INSERT of the same
log rows, one per commit, on 32 connections.
Units: responses per second; ms from request to response.
"""

import asyncio
import time
from urllib.parse import urlsplit

import msgspec

from bench import bare, load, population, visitors
from bench.results import Figure
from bench.stage import ORG, Bench, Service, Stage

CONNECTIONS = 256
#: The visitor of all events of one person.
HOT = 2
PATH = f"/t/{ORG}/api2/event/default"


async def measure(stage: Stage) -> tuple[Figure, ...]:
    return tuple(await ask(stage, stage.size(2_000, 100_000)))


async def ask(stage: Stage, persons: int) -> list[Figure]:
    """Measure on a database with this number of users."""
    async with stage.bench() as bench:
        changed = await bench.services.configurations.change(bench.dataset_id, lambda _: visitors.binding())
        bench = msgspec.structs.replace(bench, config=changed)
        await population.fill(
            bench.url, bench.dataset_id, bench.config, range(persons), stage.progress, visitors.history
        )
        figures: list[Figure] = []
        for workers in (1, 2):
            with stage.service(bench.url, workers) as service:
                token = await _tokens(bench)
                figures += await _ask(stage, service, persons, workers, token)
        alone = await bare.insert_log(bench.url, stage.size(2_000, 20_000), per_commit=1, connections=32)
    means = "INSERT of the same rows, one a commit, 32 connections"
    return [*figures, Figure(f"{persons:_} people: bare INSERT", alone, "rows/s", alone, means)]


async def _tokens(bench: Bench) -> visitors.Tokens:
    dataset_ref = await bench.services.directory.organisations.get(ORG)
    key_ring = await bench.services.events.token_keys.key_ring(dataset_ref)
    return visitors.tokens(key_ring, dataset_ref.handle, dataset_ref.dataset, time.time_ns() // 1_000_000)


async def _ask(
    stage: Stage, service: Service, persons: int, workers: int, token: visitors.Tokens
) -> list[Figure]:
    count = stage.size(5_000, 120_000)
    events = visitors.mixed(persons, count, token, seed=workers)
    views = visitors.mixed(persons, count, token, 10 + workers, mix=(1.0, 0.0, 0.0, 0.0))
    one = [visitors.body_of(HOT, 0) for _ in range(64)]
    many = visitors.on_new_browsers(HOT, persons, count, seed=30 + workers)
    name = f"{persons:_} people, {workers} {'worker' if workers == 1 else 'workers'}"
    mixed = await _run(stage, service, events)
    half = await _run(stage, service, visitors.mixed(persons, count, token, 20 + workers), mixed.per_s / 2)
    viewed = await _run(stage, service, views)
    hot = await _run(stage, service, one)
    spread = await _run(stage, service, many)
    return [
        Figure(f"{name}: mixed traffic", mixed.per_s, "events/s", target="≥ 8 000"),
        Figure(f"{name}: mixed, p50", mixed.p50_ms, "ms"),
        Figure(f"{name}: mixed, p99", mixed.p99_ms, "ms"),
        Figure(f"{name}: mixed at half load, p50", half.p50_ms, "ms"),
        Figure(f"{name}: mixed at half load, p99", half.p99_ms, "ms", target="≤ 25 ms"),
        Figure(f"{name}: page views with a token", viewed.per_s, "events/s", target="≥ 8 000"),
        Figure(f"{name}: one hot person", hot.per_s, "events/s"),
        Figure(f"{name}: one hot person, on a new browser each time", spread.per_s, "events/s"),
    ]


async def _run(
    stage: Stage, service: Service, events: list[dict[str, object]], rate_s: float | None = None
) -> load.Report:
    address = urlsplit(service.url)
    plan = load.Plan(
        host=address.hostname or "",
        port=address.port or 0,
        requests=tuple(visitors.request(event, PATH) for event in events),
        connections=CONNECTIONS,
        duration_s=stage.size(3, 15),
        rate_s=rate_s,
    )
    report = await asyncio.to_thread(load.run, plan)
    load.check(report, "200")
    return report
