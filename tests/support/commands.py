"""Run `oneself …` and wait until it exits."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from support import command_server


def run_command(
    *arguments: str, environment: dict[str, str] | None = None, deadline_s: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run `oneself …` and wait until it exits."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as connection:
        stdout, stderr = Path(folder) / "stdout", Path(folder) / "stderr"
        for path in (stdout, stderr):
            path.touch()
        asked = {
            "arguments": arguments,
            "environment": {"COLUMNS": "120", **(environment or clean_environment())},
            "folder": os.getcwd(),
            "stdout": str(stdout),
            "stderr": str(stderr),
        }
        connection.connect(_socket_path())
        answer = connection.makefile()
        connection.sendall(json.dumps(asked).encode() + b"\n")
        process_id = int(answer.readline())
        connection.settimeout(deadline_s)
        try:
            code = int(answer.readline())
        except TimeoutError:
            os.kill(process_id, signal.SIGKILL)
            raise subprocess.TimeoutExpired(arguments, deadline_s) from None
        return subprocess.CompletedProcess(arguments, code, stdout.read_text(), stderr.read_text())


def clean_environment() -> dict[str, str]:
    """The environment of this process without settings of Oneself and without a terminal."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ONESELF_", "PYTEST_"))
    }
    return {**environment, "NO_COLOR": "1", "TERM": "dumb"}


@cache
def _socket_path() -> str:
    """The socket of the process that runs the commands of this one."""
    folder = tempfile.mkdtemp(prefix="oneself-commands-")
    path = os.path.join(folder, "socket")
    server = subprocess.Popen(
        [sys.executable, command_server.__file__, path],
        # The width of the terminal is read at imports, if it is set.
        env={name: value for name, value in clean_environment().items() if name != "COLUMNS"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    atexit.register(server.kill)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n", "the commands could not be imported"
    return path
