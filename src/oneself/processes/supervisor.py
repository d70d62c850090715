"""`oneself serve` as processes: what starts in which order, what a signal means, what stops last.

    1  be the only service on the data folder, bind the port        a second service ends here
    2  embedded PostgreSQL, unless a database is given              restarted when it dies
    3  migrations, outdated state rebuilt from the log, the secret key compared, bootstrap
    4  one process that answers requests, or a parent with several  a dead one is replaced
    5  SIGTERM or SIGINT: requests in flight are answered, workers end, the embedded server stops

A worker whose parent was killed ends by itself; a database server that was left running is used again by the
next start.
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

# A service that was killed may leave workers behind for a moment, until they notice.
BIND_PATIENCE_S = 3.0
BIND_POLL_S = 0.1
# A worker that dies younger than this is not replaced at once, so that a broken one does not spin.
WORKER_AGE_MIN_S = 2.0

log = structlog.get_logger("oneself.processes.supervisor")


def serve(loaded: Loaded, progress_bar: ProgressBar) -> None:
    """Run the service until SIGTERM or SIGINT. Raises Fatal when it cannot start.

    `progress_bar` shows how far a rebuild at the start is.
    """
    logs.configure(loaded.settings)
    for name in loaded.unknown_variables:
        log.warning("unknown setting in the environment", name=name)
    with _signals_interrupt(), ExitStack() as stack:
        try:
            _serve(loaded.settings, stack, progress_bar)
        except KeyboardInterrupt:
            log.info("stopped while starting")


def _serve(settings: Settings, stack: ExitStack, progress_bar: ProgressBar) -> None:
    if not settings.database_url:
        stack.enter_context(hold_data_folder(settings.folder))
    listener = stack.enter_context(_bound(settings))
    settings = msgspec.structs.replace(settings, port=listener.getsockname()[1])
    database_url = settings.database_url or _embedded(settings, stack)
    settings, organisations = asyncio.run(_prepare(settings, database_url, progress_bar))
    ready = _announcer(settings, organisations)
    try:
        if settings.workers == 1:
            worker.run(_alone(settings, database_url, listener, ready))
        else:
            Workers(settings, database_url, listener).run(ready)
    finally:
        # What is left is short and must not be cut off by an impatient second signal.
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, signal.SIG_IGN)
        log.info("stopping")


def _embedded(settings: Settings, stack: ExitStack) -> str:
    embedded = Embedded.attach(settings.folder)
    stack.callback(embedded.stop)
    embedded.keep_running(lambda sentence: log.warning(sentence))
    return embedded.url


async def _prepare(
    settings: Settings, database_url: str, progress_bar: ProgressBar
) -> tuple[Settings, list[str]]:
    """Upgrade of the database, secret key, bootstrap.

    Returns the settings with the secret key, for the workers, and the handles of the organisations.
    """
    await wait_until_ready(database_url, worker.DATABASE_PATIENCE_S)
    await upgrade_database(database_url, progress_bar)
    async with open_services(settings, database_url) as services:
        await services.setup.provisioning.provision(settings)
        return services.settings, [
            overview.handle for overview in await services.directory.organisations.list()
        ]


async def _alone(
    settings: Settings, database_url: str, listener: socket.socket, ready: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    await worker.answer_requests(settings, database_url, listener, stop, ready)


class Member(msgspec.Struct):
    """One worker process, the pipe that tells it that we live, and when it was started (monotonic)."""

    process: SpawnProcess
    pipe: Connection
    started_s: float
    is_ready: bool = False


class Workers:
    """Several processes on one socket: starts them, replaces those that die, ends them together."""

    def __init__(self, settings: Settings, database_url: str, listener: socket.socket) -> None:
        self._arguments = (settings, database_url, listener)
        self._listener = listener
        self._count = settings.workers
        self._patience_s = settings.shutdown_timeout_s + 5
        self._context = multiprocessing.get_context("spawn")
        self._members: list[Member] = []
        self._wake, self._waker = socket.socketpair()
        self._stopping = False

    def run(self, ready: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT; calls `ready` once every worker answers."""
        with self._stop_on_signals(), _shared_counters(self._arguments[0]):
            try:
                self._members = [self._start() for _ in range(self._count)]
                self._watch(ready)
            finally:
                self._end()

    def _start(self) -> Member:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=worker.child, args=(*self._arguments, theirs))
        process.start()
        theirs.close()
        return Member(process, ours, time.monotonic())

    def _watch(self, ready: Callable[[], None]) -> None:
        announced = False
        while not self._stopping:
            pipes = [member.pipe for member in self._members]
            for readable in wait([self._wake, *pipes]):
                self._handle_pipe(readable, announced)
            if not announced and all(member.is_ready for member in self._members):
                announced = True
                ready()

    def _handle_pipe(self, readable: object, announced: bool) -> None:
        member = next((member for member in self._members if member.pipe is readable), None)
        if member is None or self._stopping:
            return
        try:
            member.is_ready = member.pipe.recv() == "ready"
        except EOFError:
            self._replace(member, announced)

    def _replace(self, member: Member, announced: bool) -> None:
        member.process.join()
        if not announced and not member.is_ready:
            raise Fatal("A worker process ended while starting; its last log lines say why.")
        log.warning("a worker process died and is replaced", exit_code=member.process.exitcode)
        self._members.remove(member)
        rest_s = member.started_s + WORKER_AGE_MIN_S - time.monotonic()
        if rest_s > 0:
            wait([self._wake], rest_s)
        self._members.append(self._start())

    def _end(self) -> None:
        # While anybody holds it open, the system goes on accepting connections that nobody will answer.
        self._listener.close()
        for member in self._members:
            member.process.terminate()
        deadline = time.monotonic() + self._patience_s
        for member in self._members:
            member.process.join(max(0.0, deadline - time.monotonic()))
            if member.process.is_alive():
                log.warning("a worker process did not end in time and is killed")
                member.process.kill()
                member.process.join()

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
    """A folder in which the workers count together, empty at the start; they find it in their environment."""
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
    deadline = time.monotonic() + BIND_PATIENCE_S
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
    reason = "it is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
    return SettingsError(
        f"Cannot listen on {settings.host} port {settings.port}: {reason}. Choose another with --port."
    )


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """While nothing better is installed, SIGTERM is what Ctrl-C is: the stack unwinds and all is closed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _announcer(settings: Settings, organisations: list[str]) -> Callable[[], None]:
    def announce() -> None:
        console = Console(highlight=False, soft_wrap=True)
        console.print(
            f"[bold]Oneself {__version__}[/] answers at [bold]{settings.url}[/] (process {os.getpid()})"
        )
        database = (
            "given by ONESELF_DATABASE_URL" if settings.database_url else f"embedded, in {settings.folder}"
        )
        console.print(f"  database      {database}")
        for handle in organisations[:5]:
            console.print(f"  organisation  {settings.url}/t/{handle}/cds/api/v1")
        if not organisations:
            console.print("  organisation  none yet; make one with: oneself org create HANDLE")
        console.print(f"  reference     {settings.url}/docs")
        console.print("  stop          Ctrl-C, or SIGTERM")
        console.file.flush()

    return announce
