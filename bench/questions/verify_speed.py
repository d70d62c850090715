"""How fast does `oneself verify` replay the log and compare it with the live state?

Method: a database with 100 000 persons (quick: 2 000), about 1.5 log entries each, filled by COPY of the
folded histories. `verify` runs once in this process. Bare: reading the same log rows in order, in chunks of
the same size.
Units: log entries per second.
"""

import time

from bench import population
from bench.results import Figure
from bench.stage import Bench, Stage
from oneself.service.log.verify import verify
from oneself.store.tables.log import BEGINNING
from oneself.store.transaction import Tables


async def measure(stage: Stage) -> tuple[Figure, ...]:
    persons = stage.size(2_000, 100_000)
    async with stage.bench() as bench:
        await population.fill(bench.url, bench.dataset_id, bench.config, range(persons), stage.progress)
        started = time.perf_counter()
        report = await verify(bench.services.database, stage.progress)
        per_s = report.entries / (time.perf_counter() - started)
        if report.difference is not None:
            raise RuntimeError(f"The filled database differs from its log: {report.difference}")
        alone = await _read(bench)
    return (Figure("log entries verified", per_s, "entries/s", alone, "reading the same rows"),)


async def _read(bench: Bench) -> float:
    position, count = BEGINNING, 0
    started = time.perf_counter()
    async with bench.services.database.connection() as connection:
        log = Tables(connection, bench.dataset_id).log
        while entries := await log.list_after(position):
            position, count = (entries[-1].seq, entries[-1].observation_id), count + len(entries)
    return count / (time.perf_counter() - started)
