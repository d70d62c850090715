"""A process that answers requests: services, interfaces, and an HTTP server on a bound socket.

When the event `stop` is set, it accepts no new connections, answers requests in flight, and closes
everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
import uvloop

from oneself import logs
from oneself.errors import Fatal, OneselfError
from oneself.processes.bounded_protocol import BoundedProtocol
from oneself.settings import Settings
from oneself.store.database import wait_until_ready

if TYPE_CHECKING:
    from oneself.api.dispatch import Dispatch

log = structlog.get_logger("oneself.processes.worker")

# Longer than the idle timeout of common proxies, so that the proxy closes a connection first.
KEEP_ALIVE_S = 75
BACKLOG = 2048
# How long to wait for a database that is starting or restarting.
DATABASE_TIMEOUT_S = 30.0
# A batch of 500 observations creates about 30 000 objects, which reference counting frees after the response.
# With Python's default threshold of 700, the garbage collector scans each of them several times, which takes
# a third of the time of the write path.
GC_THRESHOLD = 100_000
# Connections are checked for slow clients once a second; the server ticks ten times.
CHECK_TICKS = 10
# For log, listener, event loop, keys, and connections to identity servers.
DESCRIPTORS_RESERVED = 64


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a new uvloop event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)


async def answer_requests(
    settings: Settings,
    database_url: str,
    listener: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Serve on `listener` until `stop` is set. Calls `ready` once the server accepts requests."""
    from oneself.api.app import create_app
    from oneself.api.http.metrics import Metrics
    from oneself.bootstrap import open_services

    await wait_until_ready(database_url, DATABASE_TIMEOUT_S)
    metrics = Metrics()
    async with open_services(settings, database_url, metrics) as services:
        app = create_app(services, services.settings, metrics)
        server = Server(server_config(app, settings), ready)
        tune_garbage_collector()
        stop_task = asyncio.create_task(server.exit_on(stop, services.history.event_stream.followers.close))
        background = [
            asyncio.create_task(services.rules.reindexer.run()),
            asyncio.create_task(services.log.reconciler.run()),
            asyncio.create_task(services.log.join_reviewer.run()),
            asyncio.create_task(services.identity_provider.claim_sync.run()),
            asyncio.create_task(services.identity_provider.verification_relay.run()),
            asyncio.create_task(services.directory.expired_rows.run()),
            asyncio.create_task(services.overview.sample_data.run()),
            asyncio.create_task(services.history.change_feed.run()),
            asyncio.create_task(services.feed.dispatcher.run()),
            asyncio.create_task(services.feed.publisher.run()),
            asyncio.create_task(services.directory.postman.run()),
        ]
        try:
            await server.serve([listener])
        finally:
            stop_task.cancel()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await services.ingest.close()
            with contextlib.suppress(OneselfError):
                await services.identity_provider.rejected_claims.flush()


def tune_garbage_collector() -> None:
    """Exclude objects from start-up from garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 100)


def run_worker(settings: Settings, database_url: str, listener: socket.socket, parent: Connection) -> None:
    """Main function of a worker process.

    It ends on SIGTERM, or when `parent` is closed because the parent ended.
    """
    # Ctrl-C is sent to the whole process group; the parent stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(settings)
    try:
        run(_run_worker(settings, database_url, listener, parent))
    except OneselfError as error:
        log.error("worker_not_started", cause=error.message)
        sys.exit(error.exit_code if isinstance(error, Fatal) else os.EX_TEMPFAIL)


async def _run_worker(
    settings: Settings, database_url: str, listener: socket.socket, parent: Connection
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(parent.fileno(), stop.set)
    await answer_requests(settings, database_url, listener, stop, lambda: parent.send("ready"))


class Server(uvicorn.Server):
    """A uvicorn server that stops on an event instead of handling signals itself."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def exit_on(self, stop: asyncio.Event, end_streams: Callable[[], None]) -> None:
        """Stop the server when `stop` is set.

        `end_streams`: closes event streams, which do not end otherwise.
        """
        await stop.wait()
        end_streams()
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % CHECK_TICKS == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.check(now_s)
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def server_config(app: Dispatch, settings: Settings) -> uvicorn.Config:
    """The configuration of uvicorn."""
    from oneself.processes.event_protocol import event_protocol

    trusted_proxies = list(settings.trusted_proxies)
    return uvicorn.Config(
        app,
        http=event_protocol(app, trusted_proxies, connections_max(settings)),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=trusted_proxies,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
    )


def connections_max(settings: Settings) -> int | None:
    """How many connections of clients this process may have beside what it needs itself; None: any."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return None
    return max(1, descriptors - settings.database_connections - DESCRIPTORS_RESERVED)


def raise_descriptor_limit() -> None:
    """Allow this process, and those that it starts, as many file descriptors as they may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def bind(settings: Settings) -> socket.socket:
    """Return a bound, inheritable socket. Raises OSError if the address is in use.

    The socket listens at once: two services that start at the same time can both bind, but only one can
    listen. A client that connects before the service is ready waits.
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
