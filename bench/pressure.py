"""Generates load in the process of the service: calls `Ingest.submit`, as fast as possible or at a rate."""

import asyncio
import time
from collections.abc import Iterator

import msgspec

from oneself.core.resolution.observation import Observation
from oneself.service.ingest.ingest import Ingest
from oneself.service.ingest.submission import Submission

from .results import percentile

TICK_S = 0.001


class Report(msgspec.Struct, frozen=True):
    """The result: observations per second, latencies of a call in ms."""

    per_s: float
    p50_ms: float
    p99_ms: float


async def at_full_speed(
    ingest: Ingest,
    dataset_id: int,
    observations: Iterator[Observation],
    *,
    concurrency: int,
    burst: int,
    count: int,
) -> Report:
    """Submit `count` observations as fast as possible.

    Each of `concurrency` callers submits `burst` observations at once, and the next ones when all are
    answered.
    """
    bursts = [[next(observations) for _ in range(burst)] for _ in range(count // burst)]
    latencies: list[float] = []

    async def caller() -> None:
        while bursts:
            latencies.append(await _timed(ingest, dataset_id, bursts.pop()))

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(concurrency)))
    per_s = len(latencies) * burst / (time.perf_counter() - started)
    return _report(per_s, latencies)


async def at_rate(
    ingest: Ingest, dataset_id: int, observations: Iterator[Observation], *, rate_s: float, count: int
) -> Report:
    """Submit one observation per call at even intervals, independent of the service."""
    ready = [next(observations) for _ in range(count)]
    tasks: list[asyncio.Task[float]] = []
    started = time.perf_counter()
    while ready:
        due = min(int((time.perf_counter() - started) * rate_s) - len(tasks), len(ready))
        tasks += [asyncio.create_task(_timed(ingest, dataset_id, [ready.pop()])) for _ in range(due)]
        await asyncio.sleep(TICK_S)
    latencies = await asyncio.gather(*tasks)
    return _report(len(latencies) / (time.perf_counter() - started), latencies)


async def _timed(ingest: Ingest, dataset_id: int, observations: list[Observation]) -> float:
    started = time.perf_counter()
    if len(observations) == 1:
        await ingest.submit(dataset_id, Submission(observations[0]))
    else:
        await asyncio.gather(
            *(ingest.submit(dataset_id, Submission(observation)) for observation in observations)
        )
    return time.perf_counter() - started


def _report(per_s: float, latencies: list[float]) -> Report:
    return Report(per_s, percentile(latencies, 0.5) * 1000, percentile(latencies, 0.99) * 1000)
