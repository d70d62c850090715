"""The stage: a folder of its own, `oneself serve` as a process in it, and the shop's two applications.

Law of this module: everything it starts it also stops; a folder is emptied only if an earlier demo made it.
No setting of the surrounding environment reaches the demo.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from oneself.data_folder import explained_folder_errors, make_data_folder
from oneself.demo.teller import Teller
from oneself.errors import Fatal, SettingsError

ORG = "bookshop"
BACKEND = "bookshop-backend"
WEB = "bookshop-web"
SHOP_NAME = "Paper & Ink"
#: Where the events of its pages go.
DATASET = "web"
MARK = "made-by-oneself-demo"
USUAL_PORT = 8700
LOG_FILE = "service.log"
GREETING = re.compile(r"answers at (http://\S+)")
READY_DEADLINE_S = 120.0
STOP_DEADLINE_S = 60.0
POLL_S = 0.05
LOG_LINES = 15
#: What the web application may do in the name of a person who signed in.
WEB_PERMISSIONS = ("internal_cds_profile_view", "internal_cds_profile_update")


class Stage(msgspec.Struct, frozen=True):
    """Addresses and credentials of a running demo. `service` and `shop` are without a trailing slash."""

    folder: Path
    service: str
    shop: str
    backend_secret: str
    web_secret: str

    @property
    def api(self) -> str:
        """Where the customer data service of the bookshop is."""
        return f"/t/{ORG}/cds/api/v1"

    @property
    def event_path(self) -> str:
        """Where pages of the bookshop send events."""
        return f"/t/{ORG}/api2/event/{DATASET}"

    @property
    def callback(self) -> str:
        """Where the browser returns to after signing in."""
        return f"{self.shop}/signed-in"


@contextmanager
def shop_socket(port: int | None) -> Iterator[socket.socket]:
    """A socket for the shop that nobody else can take: the port after the service's if it is free, else any.

    It listens at once, because binding alone does not keep others out; visitors wait until the shop opens.
    """
    listener = _listening((port or USUAL_PORT) + 1) or _listening(0)
    if listener is None:
        raise SettingsError("No port is free on this machine.")
    with listener:
        yield listener


def _listening(port: int) -> socket.socket | None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        return None
    return listener


@contextmanager
def staged(
    data_dir: Path | None, port: int | None, listener: socket.socket, teller: Teller
) -> Iterator[Stage]:
    """A running stage. `data_dir`: None takes a temporary folder, which is removed at the end.

    `port` of the service: None takes the usual one, or any if that is taken. `door`: the shop's socket.
    """
    with _folder(data_dir) as folder:
        stage = Stage(
            folder=folder,
            service="",
            shop=f"http://localhost:{listener.getsockname()[1]}",
            backend_secret=secrets.token_urlsafe(18),
            web_secret=secrets.token_urlsafe(18),
        )
        with _service(stage, port) as address:
            opened = msgspec.structs.replace(stage, service=address)
            _make_web_application(opened, teller)
            yield opened


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is None:
        made = Path(tempfile.mkdtemp(prefix="oneself-demo-"))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return
    folder = data_dir.expanduser().absolute()
    make_data_folder(folder)
    with explained_folder_errors(folder):
        _empty(folder)
    yield folder


def _empty(folder: Path) -> None:
    """Remove what an earlier demo left. Raises SettingsError if anything else is there."""
    if any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise SettingsError(f"{folder} is not empty and no demo made it. Give another --data-dir.")
        shutil.rmtree(folder)
        folder.mkdir()
    (folder / MARK).touch()


@contextmanager
def _service(stage: Stage, port: int | None) -> Iterator[str]:
    """A running service; where it answers."""
    process, address = _started(stage, port or USUAL_PORT)
    if process.poll() is not None and port is None:
        # Somebody else has the usual port.
        process, address = _started(stage, 0)
    try:
        if not address:
            raise Fatal(f"The service did not start. The end of its log:\n{_end_of_log(stage)}")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _started(stage: Stage, port: int) -> tuple[subprocess.Popen[bytes], str]:
    """The service as a process, and the address of its greeting; empty if it ended without one."""
    with (stage.folder / LOG_FILE).open("wb") as log:
        # A session of its own: Ctrl-C is for us, we stop the service ourselves.
        process = subprocess.Popen(
            [sys.executable, "-m", "oneself", "serve"],
            env={**environment(stage), "ONESELF_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        return process, _greeting(stage, process)
    except BaseException:
        process.terminate()
        raise


def _greeting(stage: Stage, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + READY_DEADLINE_S
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if greeting := GREETING.search((stage.folder / LOG_FILE).read_text("utf-8", "replace")):
            return greeting[1]
        if ended:
            break
        time.sleep(POLL_S)
    return ""


def _end_of_log(stage: Stage) -> str:
    return "\n".join((stage.folder / LOG_FILE).read_text("utf-8", "replace").splitlines()[-LOG_LINES:])


def environment(stage: Stage) -> dict[str, str]:
    """The environment of the service and of commands beside it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ONESELF_")}
    inherited.pop("FORCE_COLOR", None)
    return {
        **inherited,
        "NO_COLOR": "1",
        "ONESELF_DATA_DIR": str(stage.folder),
        "ONESELF_BOOTSTRAP_ORG": ORG,
        "ONESELF_BOOTSTRAP_CLIENT_ID": BACKEND,
        "ONESELF_BOOTSTRAP_CLIENT_SECRET": stage.backend_secret,
    }


def run_command(stage: Stage, *arguments: str) -> str:
    """Run `oneself …` beside the service; what it printed. Raises Fatal with what it said when it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "oneself", *arguments],
        env=environment(stage),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Fatal(f"oneself {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def _make_web_application(stage: Stage, teller: Teller) -> None:
    permissions = [part for name in WEB_PERMISSIONS for part in ("--permission", name)]
    addresses = ["--redirect-uri", stage.callback, "--post-logout-redirect-uri", f"{stage.shop}/"]
    arguments = ["app", "create", SHOP_NAME, "--kind", "web", "--client-id", WEB, *addresses, *permissions]
    command = (
        f"oneself app create '{SHOP_NAME}' --kind web --client-id {WEB} --redirect-uri {stage.callback} …"
    )
    teller.command(command)
    run_command(stage, *arguments, "--client-secret", stage.web_secret)
