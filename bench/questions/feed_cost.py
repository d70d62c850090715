"""What does the change feed cost the write path?

Method: eight callers in the service's process, each submitting events at once, as `batched_ingest` does, on a
database with 100 000 persons (quick: 2 000). Rounds with and without the feed alternate in one process; the
median of five each. CPU is that of this process and of its PostgreSQL backends:
wall time says little on a machine with other work.
Units: µs of CPU for each event; changes per second that one reader reads.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import population, pressure
from bench.results import Figure, median
from bench.stage import Bench, Stage
from oneself.core.resolution.observation import Observation
from oneself.service.context import DatasetRef
from oneself.service.history.change_feed import ChangeFeed
from oneself.service.ingest.batch_decision import BatchDecision
from oneself.store.tables.profile_change import BEGINNING

CALLERS = 8
ROUNDS = 5
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
#: Of /proc/{pid}/stat: CPU in user and in system mode.
USER, SYSTEM = 13, 14


async def measure(stage: Stage) -> tuple[Figure, ...]:
    persons, count = stage.size(2_000, 100_000), stage.size(6_000, 40_000)
    async with stage.bench() as bench:
        await population.fill(bench.url, bench.dataset_id, bench.config, range(persons), stage.progress)
        figures = []
        traffic = population.arrivals(persons)
        for burst, name in ((100, "an event in a batch of 100"), (1, "a single event")):
            number = count if burst > 1 else count // 4
            await _round(bench, traffic, burst, number, records=True)
            found: dict[bool, list[float]] = {True: [], False: []}
            for step in range(ROUNDS):
                stage.progress(step, ROUNDS)
                for records in (True, False) if step % 2 else (False, True):
                    found[records].append(await _round(bench, traffic, burst, number, records=records))
            figures.append(
                Figure(name, median(found[True]), "µs", median(found[False]), "without the feed", "≤ 1.05×")
            )
        read = await _read(bench)
    return (*figures, Figure("changes that a reader reads", read, "changes/s"))


async def _round(
    bench: Bench, traffic: Iterator[Observation], burst: int, count: int, *, records: bool
) -> float:
    """CPU of one event in µs."""
    with _recording(records=records):
        before = await _cpu_us(bench)
        await pressure.at_full_speed(
            bench.services.ingest, bench.dataset_id, traffic, concurrency=CALLERS, burst=burst, count=count
        )
        return (await _cpu_us(bench) - before) / count


@contextmanager
def _recording(*, records: bool) -> Iterator[None]:
    original = BatchDecision._recorder
    if not records:
        BatchDecision._recorder = lambda self: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        BatchDecision._recorder = original  # type: ignore[method-assign]


async def _cpu_us(bench: Bench) -> float:
    """CPU of this process and of the backends of its pool, in µs."""
    found = await bench.services.database.fetch(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    )
    backends = 0.0
    for row in found:
        backends += _backend_us(row["pid"])
    return time.process_time() * 1_000_000 + backends


def _backend_us(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(") ", 1)[1].split()
    return (int(fields[USER - 2]) + int(fields[SYSTEM - 2])) * TICK_US


async def _read(bench: Bench) -> float:
    feed = ChangeFeed(bench.services.database, days=7)
    at, after, number, started = DatasetRef(0, "bench", bench.dataset_id), BEGINNING, 0, time.perf_counter()
    while True:
        page = await feed.page(at, "proven", after=after, size=200)
        number, after = number + len(page.changes), page.position
        if not page.more:
            return number / (time.perf_counter() - started)
