"""How long does the service take from the command to the first response?

Method: `oneself serve` with the embedded database and a bootstrap organisation: in an empty folder (the
cluster is created and migrated, and the organisation is set up), again after a clean stop, and again after
both the service and the database were killed. The service is ready when GET /ready returns 200. The median of
three rounds. Bare: the same PostgreSQL alone, created and started in an empty folder, and started again,
until it accepts a connection.
Units: seconds.
"""

import os
import shutil
import signal
import time
from pathlib import Path

from bench.results import Figure, median
from bench.stage import Service, Stage
from oneself.store.embedded.server import Embedded


async def measure(stage: Stage) -> tuple[Figure, ...]:
    rounds = stage.size(1, 3)
    found = [_round(stage, number, rounds) for number in range(rounds)]
    first, again, killed, empty, alone = (median(column) for column in zip(*found, strict=True))
    return (
        Figure("first start", first, "s", empty, "initdb and start", "≤ 5 s"),
        Figure("again", again, "s", alone, "start", "≤ 2 s"),
        Figure("after kill -9 of service and database", killed, "s", alone, "clean start"),
    )


def _round(stage: Stage, number: int, rounds: int) -> tuple[float, ...]:
    folder = stage.folder / f"start-{number}"
    folder.mkdir()
    service = Service(folder, {})
    first = service.start()
    service.stop()
    again = service.start()
    _kill(service, folder)
    killed = service.start()
    service.stop()
    empty, alone = _attached(stage, f"bare-{number}"), _attached(stage, f"bare-{number}")
    shutil.rmtree(folder, ignore_errors=True)
    stage.progress(number + 1, rounds)
    return first, again, killed, empty, alone


def _kill(service: Service, folder: Path) -> None:
    database = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
    service.process.kill()
    service.process.wait()
    os.kill(database, signal.SIGKILL)


def _attached(stage: Stage, name: str) -> float:
    started = time.perf_counter()
    embedded = Embedded.attach(stage.folder / name)
    took = time.perf_counter() - started
    embedded.stop()
    return took
