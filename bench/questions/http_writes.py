"""How many profile writes per second does one process answer over HTTP, one write per request?

Method: `oneself serve` with one worker on a database with 100 000 persons (quick: 2 000). A load generator in
a process of its own, with 256 connections and a bearer token, sends POST /profiles with a trait, then PATCH
of 10 000 profiles in turn. Each runs as fast as possible for 15 s (quick: 3 s), then at half that rate.
Service, database and generator share the cores. Bare: INSERT of the same log rows, one per commit, on 32
connections.
Units: responses per second; ms from request to response.
"""

import asyncio
from urllib.parse import urlsplit

from bench import bare, load, population
from bench.results import Figure
from bench.stage import ORG, Service, Stage

CONNECTIONS = 256
PROFILES = f"/t/{ORG}/cds/api/v1/profiles"
BODY = {"traits": {"plan": "premium"}}


async def measure(stage: Stage) -> tuple[Figure, ...]:
    persons = stage.size(2_000, 100_000)
    async with stage.bench() as bench:
        await population.fill(bench.url, bench.dataset_id, bench.config, range(persons), stage.progress)
        with stage.service(bench.url) as service:
            token = service.token()
            post = (load.request("POST", PROFILES, token, BODY),)
            patch = tuple(
                load.request("PATCH", f"{PROFILES}/{population.profile_id(person)}", token, _changed(person))
                for person in range(min(persons, 10_000))
            )
            figures = [*await _ask(stage, service, "POST", post), *await _ask(stage, service, "PATCH", patch)]
        alone = await bare.insert_log(bench.url, stage.size(2_000, 20_000), per_commit=1, connections=32)
    means = "INSERT of the same rows, one a commit, 32 connections"
    return (*figures, Figure("bare INSERT", alone, "rows/s", alone, means))


def _changed(person: int) -> dict[str, object]:
    return {"traits": {"plan": f"premium-{person % 7}"}}


async def _ask(stage: Stage, service: Service, verb: str, requests: tuple[bytes, ...]) -> list[Figure]:
    address = urlsplit(service.url)
    plan = load.Plan(
        host=address.hostname or "",
        port=address.port or 0,
        requests=requests,
        connections=CONNECTIONS,
        duration_s=stage.size(3, 15),
    )
    full = await asyncio.to_thread(load.run, plan)
    load.check(full, "200" if verb == "PATCH" else "201")
    half = await asyncio.to_thread(load.run, load.at_rate(plan, full.per_s / 2))
    return [
        Figure(f"{verb} at will", full.per_s, "answers/s", target="≥ 8 000 (events)"),
        Figure(f"{verb} p50 at will", full.p50_ms, "ms"),
        Figure(f"{verb} p99 at will", full.p99_ms, "ms"),
        Figure(f"{verb} p50 at half load", half.p50_ms, "ms"),
        Figure(f"{verb} p99 at half load", half.p99_ms, "ms", target="≤ 25 ms (events)"),
    ]
