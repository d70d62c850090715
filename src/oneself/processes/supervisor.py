"""Runs `oneself serve`: start order, worker processes, signals and shutdown.

    1  lock the data folder, bind the port                          a second service fails here
    2  start embedded PostgreSQL, unless a database is configured   restarted if it crashes
    3  run migrations, rebuild outdated state from the log, check the secret key, bootstrap
    4  serve in this process, or start several worker processes        replaced if they crash
    5  SIGTERM or SIGINT: answer requests in flight, stop workers, stop the embedded server

A worker ends by itself if its parent was killed. The next start reuses a database server that is still
running.
"""

from __future__ import annotations

import asyncio
import errno
import multiprocessing
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import msgspec
import structlog
from rich.console import Console

from oneself import __version__, logs
from oneself.api.http.metrics import SHARED_FOLDER
from oneself.bootstrap import open_services
from oneself.data_folder import make_data_folder
from oneself.errors import Fatal, SettingsError
from oneself.processes import worker
from oneself.processes.upgrade import ProgressBar, upgrade_database
from oneself.settings import Loaded, Settings
from oneself.store.database import wait_until_ready
from oneself.store.embedded.server import Embedded, hold_data_folder

# Workers of a killed service hold the port until they notice that their parent ended.
BIND_TIMEOUT_S = 3.0
BIND_POLL_S = 0.1
# Minimum time between two starts of a worker, so that a worker that crashes at start does not loop.
RESTART_INTERVAL_MIN_S = 2.0

log = structlog.get_logger("oneself.processes.supervisor")


def serve(loaded: Loaded, progress_bar: ProgressBar) -> None:
    """Run the service until SIGTERM or SIGINT. Raises Fatal if it cannot start.

    `progress_bar`: shows the progress of a rebuild at the start.
    """
    logs.configure(loaded.settings)
    for name in loaded.unknown_variables:
        log.warning("unknown_setting", variable=name)
    with _signals_interrupt(), ExitStack() as stack:
        try:
            _serve(loaded.settings, stack, progress_bar)
        except KeyboardInterrupt:
            log.info("stopped_during_start")


def _serve(settings: Settings, stack: ExitStack, progress_bar: ProgressBar) -> None:
    worker.raise_descriptor_limit()
    if not settings.database_url:
        stack.enter_context(hold_data_folder(settings.folder))
    listener = stack.enter_context(_bound(settings))
    settings = msgspec.structs.replace(settings, port=listener.getsockname()[1])
    database_url = settings.database_url or _embedded(settings, stack)
    settings, stored = asyncio.run(_prepare(settings, database_url, progress_bar))
    ready = _announcer(settings, stored)
    try:
        if settings.workers == 1:
            worker.run(_serve_in_process(settings, database_url, listener, ready))
        else:
            Workers(settings, database_url, listener).run(ready)
    finally:
        # A second signal must not interrupt the rest of the shutdown, which is short.
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, signal.SIG_IGN)
        log.info("stopping")


def _embedded(settings: Settings, stack: ExitStack) -> str:
    embedded = Embedded.attach(settings.folder)
    stack.callback(embedded.stop)
    embedded.keep_running(lambda cause: log.warning("embedded_postgresql", cause=cause))
    return embedded.url


async def _prepare(
    settings: Settings, database_url: str, progress_bar: ProgressBar
) -> tuple[Settings, Stored]:
    """Upgrade the database, load the secret key, and bootstrap.

    Returns the settings with the secret key, for the workers, and what a start announces.
    """
    await wait_until_ready(database_url, worker.DATABASE_TIMEOUT_S)
    await upgrade_database(database_url, progress_bar)
    async with open_services(settings, database_url) as services:
        await services.setup.provisioning.provision(settings)
        overviews = await services.directory.organisations.list()
        users = await services.directory.console_users.list()
        administrators = [user.username for user in users if "administrator" in user.roles.values()]
        return services.settings, Stored([overview.handle for overview in overviews], administrators)


async def _serve_in_process(
    settings: Settings, database_url: str, listener: socket.socket, ready: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    await worker.answer_requests(settings, database_url, listener, stop, ready)


class Stored(msgspec.Struct, frozen=True):
    """What a start announces: the handles of organisations, and the names of console administrators."""

    organisations: list[str]
    administrators: list[str]


class WorkerProcess(msgspec.Struct):
    """A worker process.

    `pipe`: the worker ends when it is closed. `started_s`: time of the start, monotonic.
    """

    process: SpawnProcess
    pipe: Connection
    started_s: float
    is_ready: bool = False


class Workers:
    """Worker processes that share a socket. Starts them, replaces crashed ones, and stops them."""

    def __init__(self, settings: Settings, database_url: str, listener: socket.socket) -> None:
        self._arguments = (settings, database_url, listener)
        self._listener = listener
        self._count = settings.workers
        self._stop_timeout_s = settings.shutdown_timeout_s + 5
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[WorkerProcess] = []
        self._wake, self._waker = socket.socketpair()
        self._stopping = False

    def run(self, ready: Callable[[], None]) -> None:
        """Run until SIGTERM or SIGINT. Calls `ready` once all workers accept requests."""
        with self._stop_on_signals(), _shared_counters(self._arguments[0]):
            try:
                self._workers = [self._start() for _ in range(self._count)]
                self._watch(ready)
            finally:
                self._end()

    def _start(self) -> WorkerProcess:
        parent_end, child_end = self._context.Pipe()
        process = self._context.Process(target=worker.run_worker, args=(*self._arguments, child_end))
        process.start()
        child_end.close()
        return WorkerProcess(process, parent_end, time.monotonic())

    def _watch(self, ready: Callable[[], None]) -> None:
        announced = False
        while not self._stopping:
            pipes = [child.pipe for child in self._workers]
            for readable in wait([self._wake, *pipes]):
                self._handle_pipe(readable, announced)
            if not announced and all(child.is_ready for child in self._workers):
                announced = True
                ready()

    def _handle_pipe(self, readable: object, announced: bool) -> None:
        child = next((child for child in self._workers if child.pipe is readable), None)
        if child is None or self._stopping:
            return
        try:
            child.is_ready = child.pipe.recv() == "ready"
        except EOFError:
            self._replace(child, announced)

    def _replace(self, child: WorkerProcess, announced: bool) -> None:
        child.process.join()
        if not announced and not child.is_ready:
            raise Fatal("A worker process ended while starting. Its last log lines contain the reason.")
        log.warning("worker_replaced", exit_code=child.process.exitcode)
        self._workers.remove(child)
        delay_s = child.started_s + RESTART_INTERVAL_MIN_S - time.monotonic()
        if delay_s > 0:
            wait([self._wake], delay_s)
        self._workers.append(self._start())

    def _end(self) -> None:
        # While a process holds the socket open, the kernel accepts connections that will not be answered.
        self._listener.close()
        for child in self._workers:
            child.process.terminate()
        deadline = time.monotonic() + self._stop_timeout_s
        for child in self._workers:
            child.process.join(max(0.0, deadline - time.monotonic()))
            if child.process.is_alive():
                log.warning("worker_killed", cause="it did not stop in time")
                child.process.kill()
                child.process.join()

    @contextmanager
    def _stop_on_signals(self) -> Iterator[None]:
        def stop(*_: object) -> None:
            self._stopping = True
            self._waker.send(b"x")

        before = {signum: signal.signal(signum, stop) for signum in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)


@contextmanager
def _shared_counters(settings: Settings) -> Iterator[None]:
    """Create the folder for the shared metrics of the workers, and name it in their environment."""
    folder = settings.folder / f"metrics-{settings.port}"
    shutil.rmtree(folder, ignore_errors=True)
    make_data_folder(folder)
    os.environ[SHARED_FOLDER] = str(folder)
    try:
        yield
    finally:
        del os.environ[SHARED_FOLDER]
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    deadline = time.monotonic() + BIND_TIMEOUT_S
    while True:
        try:
            listener = worker.bind(settings)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise _cannot_listen(settings, error) from error
        time.sleep(BIND_POLL_S)
    with listener:
        yield listener


def _cannot_listen(settings: Settings, error: OSError) -> SettingsError:
    reason = "the port is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
    return SettingsError(
        f"Cannot listen on {settings.host} port {settings.port}: {reason}. Choose another port with --port."
    )


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt as Ctrl-C does, so that the stack unwinds and closes everything."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _announcer(settings: Settings, stored: Stored) -> Callable[[], None]:
    def announce() -> None:
        console = Console(highlight=False, soft_wrap=True)
        console.print(
            f"[bold]Oneself {__version__}[/] answers at [bold]{settings.url}[/] (process {os.getpid()})"
        )
        database = (
            "configured by ONESELF_DATABASE_URL"
            if settings.database_url
            else f"embedded, in {settings.folder}"
        )
        console.print(f"  database      {database}")
        for handle in stored.organisations[:5]:
            console.print(f"  organisation  {settings.url}/t/{handle}/cds/api/v1")
        if not stored.organisations:
            console.print("  organisation  none yet; create one with: oneself org create HANDLE")
        console.print(f"  console       {settings.url}/console/")
        names = ", ".join(stored.administrators[:5])
        advice = "none yet; create one with: oneself console-user create NAME"
        console.print(f"  administrator {names or advice}")
        console.print(f"  reference     {settings.url}/docs")
        console.print("  stop          Ctrl-C, or SIGTERM")
        console.file.flush()

    return announce
