"""One process that answers requests: services, faces, an HTTP server on a socket that is already bound.

It stops when told by `Stop`: no new connections, requests in flight are answered, then everything closes.
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

# Longer than the idle time of common proxies, so that they close a connection first.
KEEP_ALIVE_S = 75
BACKLOG = 2048
# A database that starts together with us, or is restarted just now, is waited for.
DATABASE_PATIENCE_S = 30.0
# A batch of 500 observations makes some 30 000 objects, which all go by themselves when it is answered. With
# Python's own threshold of 700 the collector looks at each of them several times: a third of the write path.
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

    await wait_until_ready(database_url, DATABASE_PATIENCE_S)
    metrics = Metrics()
    async with open_services(settings, database_url, metrics) as services:
        app = create_app(services, services.settings, metrics)
        server = Server(_configuration(app, settings), ready)
        calm_collector()
        watcher = asyncio.create_task(server.exit_on(stop, services.history.event_stream.close))
        background = [
            asyncio.create_task(services.rules.reindexer.run()),
            asyncio.create_task(services.identity_provider.claim_sync.run()),
            asyncio.create_task(services.directory.expired_rows.run()),
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


def calm_collector() -> None:
    """Let the garbage collector leave alone what start-up made, and come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS_MIN, 20, 100)


def child(settings: Settings, database_url: str, listener: socket.socket, parent: Connection) -> None:
    """Body of a worker process. It ends on SIGTERM, and when `parent` breaks because the parent is gone."""
    # Ctrl-C reaches the whole foreground group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(settings)
    try:
        run(_child(settings, database_url, listener, parent))
    except OneselfError as error:
        log.error(error.message)
        sys.exit(error.exit_code if isinstance(error, Fatal) else os.EX_TEMPFAIL)


async def _child(settings: Settings, database_url: str, listener: socket.socket, parent: Connection) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(parent.fileno(), stop.set)
    await answer_requests(settings, database_url, listener, stop, lambda: parent.send("ready"))


class Server(uvicorn.Server):
    """uvicorn's server, told to stop by an event instead of by signals of its own."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def exit_on(self, stop: asyncio.Event, end_streams: Callable[[], None]) -> None:
        await stop.wait()
        # Requests in flight are waited for, and a stream of events would never end by itself.
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
    """A bound, inheritable socket; raises OSError when the address is taken.

    It listens at once: two services that start at the same moment may both bind, but only one may listen.
    Who connects before the service is ready waits.
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
