"""A real nats-server for tests, on a free port of this machine, with JetStream in a folder of its own."""

from __future__ import annotations

import functools
import signal
import socket
import subprocess
from pathlib import Path

from support.waiting import until

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
STOP_DEADLINE_S = 20.0


@functools.cache
def executable() -> str:
    """The path of nats-server; installed if it is missing."""
    done = subprocess.run([ROOT / "tools" / "ensure-nats"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


class NatsServer:
    """Runs from `start` until `stop` or `kill`, and can be started again on the same port and data.

    `configuration`: lines of the server's configuration file.
    """

    def __init__(self, folder: Path, configuration: str = "", *, jetstream: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.port = _free_port()
        self._configuration = folder / "server.conf"
        store = f'jetstream {{ store_dir: "{folder}/data" }}\n' if jetstream else ""
        self._configuration.write_text(f'host: "{HOST}"\nport: {self.port}\n{store}{configuration}\n')
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"nats://{HOST}:{self.port}"

    def start(self) -> NatsServer:
        """Start, and wait until connections are accepted."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [executable(), "-c", str(self._configuration)], stdout=log, stderr=log
            )
        until(self._accepts, self.log)
        return self

    def stop(self) -> None:
        """End the server, if it runs."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, so that it cannot clean up."""
        self._end(signal.SIGKILL)

    def log(self) -> str:
        """What it printed."""
        return (self._folder / "log").read_text("utf-8", "replace")

    def _end(self, signum: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signum)
            process.wait(STOP_DEADLINE_S)

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0 and "Server is ready" in self.log()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
