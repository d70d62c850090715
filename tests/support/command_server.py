"""Runs `oneself …` in copies of a process that has imported all commands.

    test ─▶ socket ─▶ this process ─▶ its copy, which becomes the command ─▶ exit code

A new interpreter spends half a second on imports. Whatever a command reads of its environment, its arguments
and its folder, it reads when it runs.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import random
import runpy
import signal
import socket
import sys
import threading
from typing import Any

#: What most commands import when they run.
IMPORTED_LATER = ("oneself.bootstrap", "oneself.services", "oneself.store.database")
#: How often to look whether the tests have ended.
POLL_S = 1.0


def main() -> None:
    """Serve until whoever started this process has ended. Argument: the path of the socket."""
    sys.path.pop(0)
    from oneself.cli.main import COMMANDS

    for name in (*(command.module for command in COMMANDS), *IMPORTED_LATER):
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(16)
        listening.settimeout(POLL_S)
        print("ready", flush=True)
        while os.getppid() == parent:
            with contextlib.suppress(TimeoutError):
                connection, _ = listening.accept()
                if os.fork() == 0:
                    _serve(connection)
                connection.close()


def _serve(connection: socket.socket) -> None:
    """Start the command that somebody asks for; say its process id, and its exit code when it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.settimeout(None)
    asked = json.loads(connection.makefile().readline())
    process_id = os.fork()
    if process_id == 0:
        connection.close()
        _become(asked)
    connection.sendall(f"{process_id}\n".encode())
    _, status = os.waitpid(process_id, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(asked: dict[str, Any]) -> None:
    code = 1
    try:
        for number, path in enumerate((os.devnull, asked["stdout"], asked["stderr"])):
            os.dup2(os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY), number)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        random.seed()
        sys.argv = ["oneself", *asked["arguments"]]
        runpy.run_module("oneself", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        # As an interpreter does when it ends.
        threading._shutdown()
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
