"""One process that answers requests: services, interfaces, an HTTP server on a bound socket.

When `stop` is set it accepts no new connections, answers the requests in flight, and closes everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from multiprocessing.connection import Connection
from typing import Any

import structlog
import uvicorn
import uvloop

from oneself import logs
from oneself.errors import Fatal, OneselfError
from oneself.settings import Settings
from oneself.store.database import wait_until_ready

log = structlog.get_logger("oneself.processes.worker")

# Longer than the idle timeout of common proxies, so that the proxy closes a connection first.
KEEP_ALIVE_S = 75
BACKLOG = 2048
# The start waits this long for a database that is starting, too.
DATABASE_TIMEOUT_S = 30.0
# A batch of 500 observations creates about 30 000 objects, which reference counting frees. With Python's
# default threshold of 700 the collector visits each several times, which takes a third of the write path's
# time.
COLLECTED_OBJECTS_MIN = 100_000


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)


async def answer_requests(
    settings: Settings,
    database_url: str,
    listener: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Serve on `listener` until `stop` is set; calls `ready` once requests are answered."""
    from oneself.api.app import create_app
    from oneself.api.http.metrics import Metrics
    from oneself.bootstrap import open_services

    await wait_until_ready(database_url, DATABASE_TIMEOUT_S)
    metrics = Metrics()
    async with open_services(settings, database_url, metrics) as services:
        app = create_app(services, services.settings, metrics)
        server = Server(_configuration(app, settings), ready)
        tune_garbage_collector()
        watcher = asyncio.create_task(server.exit_on(stop, services.history.event_stream.close))
        background = [
            asyncio.create_task(services.rules.reindexer.run()),
            asyncio.create_task(services.identity_provider.claim_sync.run()),
        ]
        try:
            await server.serve([listener])
        finally:
            watcher.cancel()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await services.ingest.close()
            with contextlib.suppress(OneselfError):
                await services.identity_provider.rejected_claims.flush()


def tune_garbage_collector() -> None:
    """Exclude the objects of the start from garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS_MIN, 20, 100)


def child(settings: Settings, database_url: str, listener: socket.socket, parent: Connection) -> None:
    """The body of a worker process. It ends on SIGTERM, and if the parent process ends."""
    # Ctrl-C reaches all processes of the foreground group; the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(settings)
    try:
        run(_child(settings, database_url, listener, parent))
    except OneselfError as error:
        log.error("worker_not_started", cause=error.message)
        sys.exit(error.exit_code if isinstance(error, Fatal) else os.EX_TEMPFAIL)


async def _child(settings: Settings, database_url: str, listener: socket.socket, parent: Connection) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(parent.fileno(), stop.set)
    await answer_requests(settings, database_url, listener, stop, lambda: parent.send("ready"))


class Server(uvicorn.Server):
    """uvicorn's server, stopped by an event instead of its own signal handlers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def exit_on(self, stop: asyncio.Event, end_streams: Callable[[], None]) -> None:
        await stop.wait()
        # The server waits for requests in flight, and an event stream does not end by itself.
        end_streams()
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def _configuration(app: Any, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=list(settings.trusted_proxies),
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
    )


def bind(settings: Settings) -> socket.socket:
    """A bound, inheritable socket. Raises OSError if the address is in use.

    It listens at once: two services that start at the same moment may both bind, but only one may listen.
    Connections wait until the service is ready.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener
