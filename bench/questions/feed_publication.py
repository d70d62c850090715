"""How many changes per second does the service publish to NATS, alone and beside events at full speed?

Method: a nats-server on this machine, with its stream on disk. Eight callers in the service's process submit
events in batches of 100, as `feed_cost` does, without and with a publisher in the same process; the median of
three rounds each. Afterwards a new stream gets everything that the feed has, with nothing beside it. An
event of a new visitor is one change.
Units: events and changes per second; ms from the last event to its change in the stream.
"""

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bench import population, pressure
from bench.results import Figure, median
from bench.stage import Bench, Stage
from oneself.adapters.nats import NatsBroker, NatsOptions, StreamLimits
from oneself.service.feed.publisher import Publisher
from oneself.store.directory import Directory
from oneself.telemetry import NullTelemetry

ROOT = Path(__file__).parents[2]
CALLERS, BURST, ROUNDS = 8, 100, 3
POLL_S = 0.02


async def measure(stage: Stage) -> tuple[Figure, ...]:
    persons, count = stage.size(2_000, 100_000), stage.size(6_000, 40_000)
    with _server(stage.folder / "nats") as url:
        async with stage.bench() as bench:
            await population.fill(bench.url, bench.dataset_id, bench.config, range(persons), stage.progress)
            traffic = population.arrivals(persons)

            async def events() -> float:
                report = await pressure.at_full_speed(
                    bench.services.ingest,
                    bench.dataset_id,
                    traffic,
                    concurrency=CALLERS,
                    burst=BURST,
                    count=count,
                )
                return report.per_s

            await events()
            rates: dict[bool, list[float]] = {True: [], False: []}
            published, delays = [], []
            for step in range(ROUNDS):
                stage.progress(step, ROUNDS)
                rates[False].append(await events())
                async with _publishing(bench, url) as counted:
                    await _caught_up(bench)
                    before, started = counted.number, time.perf_counter()
                    rates[True].append(await events())
                    published.append((counted.number - before) / (time.perf_counter() - started))
                    ended = time.perf_counter()
                    await _caught_up(bench)
                    delays.append((time.perf_counter() - ended) * 1000)
            await bench.services.database.execute("DELETE FROM broker_position")
            async with _publishing(bench, url, stream="again") as counted:
                started = time.perf_counter()
                await _caught_up(bench)
                alone = counted.number / (time.perf_counter() - started)
    return (
        Figure(
            "events, published beside", median(rates[True]), "events/s", median(rates[False]), "not published"
        ),
        Figure("changes published beside events", median(published), "changes/s"),
        Figure("from the last event to its change in the stream", median(delays), "ms"),
        Figure("changes published, nothing beside", alone, "changes/s"),
    )


class _Counted(NullTelemetry):
    def __init__(self) -> None:
        self.number = 0

    def changes_published(self, number: int) -> None:
        self.number += number


@asynccontextmanager
async def _publishing(bench: Bench, url: str, stream: str = "bench") -> AsyncIterator[_Counted]:
    counted = _Counted()
    publisher = Publisher(
        Directory(bench.services.database),
        bench.services.history.change_feed,
        NatsBroker(NatsOptions((url,), stream, StreamLimits(3600.0))),
        counted,
        views=("proven",),
        poll_s=POLL_S,
    )
    task = asyncio.create_task(publisher.run())
    try:
        yield counted
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _caught_up(bench: Bench) -> None:
    """Wait until everything is published."""
    table = Directory(bench.services.database).broker
    while True:
        if not await table.list_behind(("proven",), 1):
            return
        await asyncio.sleep(POLL_S)


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    done = subprocess.run([ROOT / "tools" / "ensure-nats"], capture_output=True, text=True, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [done.stdout.strip(), "-a", "127.0.0.1", "-p", f"{port}", "-js", "-sd", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
